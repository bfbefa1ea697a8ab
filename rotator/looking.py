"""Owns reading without effects: summaries and explanations, straight from the journal."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from rotator import logs
from rotator.app import App, opened
from rotator.ports import Entry, Refused
from rotator.rotation.summary import Summary, explain, summarise
from rotator.settings import Settings
from rotator.settings.faults import suggest


async def summaries(settings: Settings, names: Iterable[str]) -> tuple[list[Summary], datetime]:
    """One summary per credential (all when no names are given), and the time they are of."""
    chosen = [known(settings, name) for name in names] or list(settings.credentials)
    logs.configure("error", json=None)
    async with opened(settings) as app:
        rows = [_summary(app, await app.journal.load(name)) for name in chosen]
        return rows, app.clock.now()


async def explained(settings: Settings, name: str) -> list[str]:
    """The sentences about one credential."""
    known(settings, name)
    logs.configure("error", json=None)
    async with opened(settings) as app:
        entry = await app.journal.load(name)
        return list(explain(settings.credentials[name], entry.record, app.clock.now(), entry.lease.holder))


def known(settings: Settings, name: str) -> str:
    """The name, if settings have it. Raises Refused with a suggestion."""
    if name not in settings.credentials:
        raise Refused(f"no credential is called {name!r}; {suggest(name, settings.credentials)}")
    return name


def _summary(app: App, entry: Entry) -> Summary:
    return summarise(app.settings.credentials[entry.name], entry.record, app.clock.now(), entry.lease.holder)
