"""Owns `rotate unused`: what lives on the targets and nobody uses, whose it is, and the command that would end it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from rotator.app import App
from rotator.ports import Fault, Holding
from rotator.rotation.names import parse
from rotator.rotation.record import Record, Token
from rotator.rotation.strays import is_stray

OURS, STRANGE = "ours", "not ours"


@dataclass(frozen=True, slots=True)
class Found:
    """One token that lives on a target. `whose`: what it is to us; `end`: what to type to end it, if it is ours."""

    target: str
    holding: Holding
    whose: str
    end: str


async def unused(app: App, older: timedelta) -> tuple[list[Found], list[str]]:
    """What was not used for so long, and which targets could not be looked at, in words."""
    found: list[Found] = []
    silent: list[str] = []
    for target in app.settings.targets:
        try:
            holdings = await _inventory(app, target)
            records = await _records(app, target)
        except Fault as fault:
            silent.append(f"target {target} not listed: {fault.reason}")
            continue
        if holdings is None:
            silent.append(f"target {target} does not tell what lives there")
            continue
        found += _judged(target, holdings, records, app.clock.now() - older)
    return found, silent


async def _inventory(app: App, target: str) -> tuple[Holding, ...] | None:
    credential = next((each for each in app.settings.credentials.values() if each.target == target), None)
    return await app.site(credential).inventory() if credential else ()


async def _records(app: App, target: str) -> dict[str, Record]:
    loaded = {
        name: (await app.journal.load(name)).record
        for name, each in app.settings.credentials.items()
        if each.target == target
    }
    return {name: record for name, record in loaded.items() if record is not None}


def _judged(
    target: str, holdings: tuple[Holding, ...], records: Mapping[str, Record], before: datetime
) -> Iterator[Found]:
    for each in holdings:
        seen = max(filter(None, (each.last_used, each.created_at)), default=None)
        if seen is None or seen <= before:
            yield Found(target, each, *whose(each, records))


def whose(holding: Holding, records: Mapping[str, Record]) -> tuple[str, str]:
    """What a token is to us, and the command that would end it."""
    for name, record in records.items():
        if record.current and record.current.token.id == holding.id:
            leave = f"take [credentials.{name}] out of the settings, reload, then rotate strays --reap --unclaimed"
            return f"published for {name}", leave
        if record.predecessor and record.predecessor.token.id == holding.id:
            return f"predecessor of {name}", f"rotate revoke {name}"
        if record.candidate and record.candidate.token.id == holding.id:
            return f"candidate of {name}", "nothing: its rotation goes on"
    mark = parse(holding.mark)
    if mark is None:
        return STRANGE, ""
    owner = next((name for name, record in records.items() if record.stem == mark.stem), "")
    if not owner:
        return f"{OURS}, claimed by no credential in the settings", "rotate strays --reap --unclaimed"
    stray = is_stray(records[owner], Token(holding.id, holding.mark))
    return (f"stray of {owner}", "rotate strays --reap") if stray else (f"of {owner}", "nothing: its rotation goes on")
