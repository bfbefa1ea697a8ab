"""`rotate unused`: what lives on the targets and nobody uses, whose it is, and the command that would end it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from rotator.app.actor import App
from rotator.app.strays import plainly
from rotator.ports import Fault, InventoryItem
from rotator.rotation.ownership import TokenOwners, TokenState
from rotator.rotation.record import Token


@dataclass(frozen=True, slots=True)
class Found:
    """One token that lives on a target. `whose`: what it is to us; `end`: what to type to end it, if it is ours."""

    target: str
    holding: InventoryItem
    whose: str
    end: str


async def unused(app: App, older: timedelta) -> tuple[list[Found], list[str]]:
    """What was not used for so long, and which targets could not be looked at, in words.

    Several targets may reach one account: a token is listed once.
    """
    listed: dict[tuple[str, str], tuple[str, InventoryItem]] = {}
    silent: list[str] = []
    for target in app.settings.targets:
        try:
            holdings = await _inventory(app, target)
        except Fault as fault:
            silent.append(f"target {target} not listed: {plainly(target, fault.reason)}")
            continue
        if holdings is None:
            silent.append(f"target {target} does not tell what lives there")
            continue
        for each in holdings:
            listed.setdefault((each.id, each.mark), (target, each))
    owners, now = await app.owners(), app.clock.now()
    return list(_judged(listed.values(), owners, now, now - older)), silent


async def _inventory(app: App, target: str) -> tuple[InventoryItem, ...] | None:
    credential = next((each for each in app.settings.credentials.values() if each.target == target), None)
    return await app.server(credential).inventory() if credential else ()


def _judged(
    listed: Iterable[tuple[str, InventoryItem]], owners: TokenOwners, now: datetime, before: datetime
) -> Iterator[Found]:
    for target, each in listed:
        seen = max(filter(None, (each.last_used, each.created_at)), default=None)
        if seen is None or seen <= before:
            yield Found(target, each, *whose(each, owners, now))


def whose(holding: InventoryItem, owners: TokenOwners, now: datetime) -> tuple[str, str]:
    """What a token is to us, and the command that would end it. None is proposed for what consumers may read."""
    owner = owners.of(Token(holding.id, holding.mark), now)
    name, beside = owner.credential, f", {owner.said}" if owner.said else ""
    at = f" at {owner.place}" if owner.place else ""
    match owner.state:
        case TokenState.PUBLISHED:
            return f"published for {name}{at}{beside}", "nothing while settings have the path: consumers read it"
        case TokenState.IN_GRACE:
            return f"predecessor of {name}{at}{beside}", "nothing: it ends after its grace"
        case TokenState.CANDIDATE:
            return f"candidate of {name}", "nothing: its rotation goes on"
        case TokenState.IN_FLIGHT:
            return (f"of {name}" if name else "ours"), "nothing: " + (owner.said or "its rotation goes on")
        case TokenState.STRAY:
            return f"stray of {name}", f"rotate strays --reap {holding.id}"
        case TokenState.UNMANAGED:
            by = f"of {name}, which left the settings" if name else "ours, of no credential that anybody knows"
            return f"{by}{at}", f"rotate strays --reap --unclaimed {holding.id}"
        case TokenState.STRANGE:
            return "not ours", ""
