"""All observers of transitions: receipts, log, hooks, traces, and those that a process adds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

import anyio

from rotator.engine.reconciler import Transition
from rotator.host.cron import SystemClock
from rotator.host.shutdown import Part, StopBudget, patience
from rotator.host.threads import BoundedCalls, within
from rotator.observe.event_log import log_transition
from rotator.observe.hooks import DELIVERED, Fetch, Heartbeat, Hooks
from rotator.observe.receipts import Receipts, keep
from rotator.ports import Fault, Refused, Transient
from rotator.settings import Settings
from rotator.vault.kv import Kv
from rotator.vault.shared_documents import COMMANDS

Observer = Callable[[Transition], None]
FleetObserver = Callable[[datetime, str, str, str, str], None]  # time, event, person, words, actor
_LAST_CALLS = 10.0  # seconds that the end of the process may wait for hooks
_DISK = 2.0  # seconds for the file of receipts
_LAST_HEAD = 0.5  # the last heartbeat's share of that


def _uncounted(hook: str, outcome: str) -> None:
    """Count nothing, where there are no metrics."""


class Observers:
    """Made once per process, so that queues and counts outlive a lost Vault. Raises Refused as `keep` does.

    `called` counts the calls of hooks; `unwell` says why the fleet is not healthy, empty when it is.
    """

    def __init__(
        self, settings: Settings, called: Callable[[str, str], None] = _uncounted, unwell: Callable[[], str] = str
    ) -> None:
        self.receipts: Receipts | None = keep(settings.audit)
        self._file = BoundedCalls(f"receipts {settings.audit.file}", _DISK)
        self._required = settings.audit.required
        self.failed: set[str] = set()  # hooks with undelivered transitions
        self.budget: StopBudget | None = None  # the daemon's stop, once it has begun
        self._called = called
        self.hooks = Hooks(settings.hooks, SystemClock(), self._count)
        self._heart = Heartbeat(settings.ping, unwell, called) if settings.ping else None
        self.every: timedelta | None = settings.ping.every if settings.ping else None
        self._told: list[Observer] = [*([self.receipts.take] if self.receipts else []), log_transition]
        self._told += [self.hooks] if settings.hooks else []
        self._close: Callable[[], None] = lambda: None
        if settings.tracing:
            from rotator.observe.tracing import over_otlp  # only here: without the extra it cannot be imported

            traces = over_otlp(settings.tracing, settings.daemon.instance)
            self._told.append(traces)
            self._close = traces.close

    def add(self, further: Iterable[Observer]) -> None:
        """Add an observer."""
        self._told += further

    @property
    def told(self) -> tuple[Observer, ...]:
        """The observers, in order; receipts come first."""
        return tuple(self._told)

    def _count(self, hook: str, outcome: str) -> None:
        if outcome != DELIVERED:
            self.failed.add(hook)
        self._called(hook, outcome)

    async def recorded(self) -> None:
        """Write all receipts to the disk before anything else happens, or return why that failed.

        A drive that hangs is waited for once, and not again until it answers.
        """
        if self.receipts:
            try:
                await self._file.run(self.receipts.barred)
            except Transient as fault:
                self.receipts.note(fault.reason)

    @property
    def fleet(self) -> FleetObserver | None:
        """The observers of events about the whole installation."""
        return self.receipts.take_fleet if self.receipts else None

    def barred(self) -> str:
        """Why nothing may begin where receipts are required; rotations under way go on. See `recorded`."""
        return self.receipts.trouble if self.receipts and self._required else ""

    async def meet(self, kv: Kv) -> None:
        """Compare the receipts with the head in our heartbeat in Vault, and let each heartbeat carry the newest head.

        Raises Transient. The next heartbeat replaces that head, so this comes first.
        """
        if self.receipts is None or _shared(kv):
            return
        with suppress(Refused):  # a policy that allows writing only
            told = (await kv.read(kv.node)).values or {}
            try:
                await self._file.run(partial(self.receipts.compare, told))
            except Transient as fault:
                self.receipts.note(fault.reason)
        kv.tells["receipts"] = self.receipts.tells

    async def run(self, fetch: Fetch) -> None:
        """Call hooks until cancelled."""
        await self.hooks.run(fetch)

    async def ping(self, fetch: Fetch) -> None:
        """Send the dead-man ping if all is well."""
        if self._heart:
            await self._heart.beat(fetch)

    async def part(self, kv: Kv) -> None:
        """Write the last head, and deliver to hooks for a few seconds at most."""
        seconds = patience(min(_LAST_CALLS, self.budget.begin(Part.OBSERVERS) if self.budget else _LAST_CALLS))
        if self.receipts and not _shared(kv):
            with anyio.move_on_after(seconds * _LAST_HEAD), suppress(Fault):  # the last heartbeat has it already
                await self.recorded()
                await kv.beat()
        await self.hooks.drain(min(seconds, self.budget.left(Part.OBSERVERS)) if self.budget else seconds)
        if self._heart:
            await self._heart.aclose()
        if self.budget:
            kv.session.closes_within = self.budget.begin(Part.LOGIN)

    def close(self) -> None:
        """Write the last receipts, if possible, and send the last traces."""
        if self.receipts and not self.receipts.trouble:
            with suppress(TimeoutError):
                within(_DISK, self.receipts.flush)
        self._close()


def _shared(kv: Kv) -> bool:
    """Whether our heartbeat's document is the one that all commands share."""
    return kv.node.path.endswith(f"/{COMMANDS}")
