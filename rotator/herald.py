"""Owns who else hears of transitions: hooks, the dead-man ping and traces, introduced to the actor at work.

Made once per process. What is told, and how, is theirs; nothing here can harm a rotation.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from rotator.app import App, Observer
from rotator.clockwork import SystemClock
from rotator.hooks import Heartbeat, Hooks
from rotator.settings import Settings

_LAST_CALLS = 10.0  # seconds that the end of the process may wait for hooks


def _uncounted(hook: str, outcome: str) -> None:
    """Where nobody scrapes."""


class Herald:
    """`called` counts the calls of hooks; `unwell` says why not all is well, empty when it is."""

    def __init__(
        self, settings: Settings, called: Callable[[str, str], None] = _uncounted, unwell: Callable[[], str] = str
    ) -> None:
        self._hooks = Hooks(settings.hooks, SystemClock(), called)
        self._heart = Heartbeat(settings.ping, unwell, called) if settings.ping else None
        self.every: timedelta | None = settings.ping.every if settings.ping else None
        self.observers: list[Observer] = [self._hooks] if settings.hooks else []
        self._close: Callable[[], None] = lambda: None
        if settings.tracing:
            from rotator.tracing import over_otlp  # only here: without the extra it cannot be imported

            traces = over_otlp(settings.tracing, settings.daemon.instance)
            self.observers.append(traces)
            self._close = traces.close

    async def run(self, app: App) -> None:
        """Call hooks until cancelled."""
        await self._hooks.run(app.fetch)

    async def ping(self, app: App) -> None:
        """Say that all is well, if it is."""
        if self._heart:
            await self._heart.beat(app.fetch)

    async def drain(self) -> None:
        """Let hooks hear what has happened before the end, which waits a few seconds at most."""
        await self._hooks.drain(_LAST_CALLS)
        if self._heart:
            await self._heart.aclose()

    def close(self) -> None:
        """Send the last traces."""
        self._close()
