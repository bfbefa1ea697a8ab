"""Owns reading without effects: states and explanations, straight from the journal."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import anyio

from rotator import logs
from rotator.app import App, reading
from rotator.engine.lease import standing
from rotator.engine.presence import has_ended
from rotator.ports import Entry, Refused
from rotator.rotation.sentences import explain
from rotator.rotation.state import Observed, State, state
from rotator.settings import Settings

_AT_ONCE = 8  # reads; Vault's edge has as many threads


async def states(settings: Settings, names: Iterable[str]) -> tuple[list[State], datetime]:
    """One state per credential (all when no names are given), and the time they are of. Raises Transient."""
    chosen = list(names) or list(settings.credentials)
    found: dict[str, State] = {}
    logs.configure("error", json=None)
    async with reading(settings) as app:
        places = anyio.CapacityLimiter(_AT_ONCE)

        async def look(name: str) -> None:
            async with places:
                found[name] = await _state(app, name)

        async with anyio.create_task_group() as group:
            for name in chosen:
                group.start_soon(look, name)
        return [found[name] for name in chosen], app.clock.now()


async def explained(settings: Settings, name: str) -> list[str]:
    """The sentences about one credential."""
    logs.configure("error", json=None)
    async with reading(settings) as app:
        entry = await app.journal.load(name)
        now = app.clock.now()
        return list(explain(settings.credentials[name], entry.record, now, _observed(entry, now)))


async def _state(app: App, name: str) -> State:
    """One record that cannot be read must not hide the others."""
    credential, now = app.settings.credentials[name], app.clock.now()
    try:
        entry = await app.journal.load(name)
    except Refused as fault:
        return state(credential, None, now, Observed(broken=f"its record cannot be read: {fault.reason}"))
    return state(credential, entry.record, now, _observed(entry, now))


def _observed(entry: Entry, now: datetime) -> Observed:
    return Observed(holder=entry.lease.holder, lease=standing(entry, now, has_ended))
