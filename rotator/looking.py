"""Owns reading without effects: summaries and explanations, straight from the journal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

import anyio

from rotator import logs
from rotator.app import App, reading
from rotator.engine.lease import standing
from rotator.engine.presence import has_ended
from rotator.ports import Refused
from rotator.rotation.summary import Summary, explain, summarise
from rotator.settings import Settings

UNREADABLE = "unreadable"  # stands where a phase would, for a record that cannot be read
_AT_ONCE = 8  # reads; Vault's edge has as many threads


async def summaries(settings: Settings, names: Iterable[str]) -> tuple[list[Summary], datetime]:
    """One summary per credential (all when no names are given), and the time they are of. Raises Transient."""
    chosen = list(names) or list(settings.credentials)
    rows: dict[str, Summary] = {}
    logs.configure("error", json=None)
    async with reading(settings) as app:
        places = anyio.CapacityLimiter(_AT_ONCE)

        async def look(name: str) -> None:
            async with places:
                rows[name] = await _summary(app, name)

        async with anyio.create_task_group() as group:
            for name in chosen:
                group.start_soon(look, name)
        return [rows[name] for name in chosen], app.clock.now()


async def explained(settings: Settings, name: str) -> list[str]:
    """The sentences about one credential."""
    logs.configure("error", json=None)
    async with reading(settings) as app:
        entry = await app.journal.load(name)
        now = app.clock.now()
        return list(explain(settings.credentials[name], entry.record, now, standing(entry, now, has_ended)))


async def _summary(app: App, name: str) -> Summary:
    """One record that cannot be read must not hide the others."""
    credential, now = app.settings.credentials[name], app.clock.now()
    try:
        entry = await app.journal.load(name)
    except Refused as fault:
        nothing = summarise(credential, None, now)
        return replace(nothing, phase=UNREADABLE, next_at=None, next="a person must act", trouble=fault.reason)
    return summarise(credential, entry.record, now, entry.lease.holder, standing(entry, now, has_ended))
