"""`status`, `plan` and `explain`: the states of credentials, from a running daemon or from the journal. No effects.

A daemon reads the journal, too, and adds what it has observed: proofs, refusals, pauses, faults.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import anyio
import msgspec

from rotator.app import control
from rotator.app.composition import Actor, reading
from rotator.app.strays import living_unmanaged
from rotator.commands.queries import installation
from rotator.commands.requests import unclaimed
from rotator.engine.lease import standing
from rotator.engine.strays import left_behind
from rotator.host.exit_codes import Exit
from rotator.host.process import has_ended
from rotator.host.threads import first_exception
from rotator.observe import logs
from rotator.observe.health import View, observed
from rotator.ports import Entry, Fault, Refused, StoreRefused, Transient
from rotator.rotation.credential import Credential
from rotator.rotation.credential_state import Observed, State, state
from rotator.rotation.explanation import explain
from rotator.rotation.operator_request import Unclaimed
from rotator.rotation.ownership import Unmanaged
from rotator.rotation.record import Record
from rotator.settings import Settings

_AT_ONCE = 8  # reads; Vault's edge has as many threads
_SOON = 3.0  # seconds
_PATIENCE = 10.0  # seconds for a daemon's answer; then the journal is read


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The states at one moment. `stale`: why they may be old; empty: they are of `at`.

    `left`: living values of credentials that left the settings; empty if names were given.
    """

    states: Sequence[State]
    at: datetime
    stale: str = ""
    login: str = ""  # what we log in to Vault with, in words, when it ends soon
    refused: str = ""  # why the daemon refused the settings on disk
    unseen: Sequence[str] = ()  # credentials of the settings that the daemon does not know, while Vault cannot be read
    left: Sequence[Unmanaged] = ()
    unclaimed: Sequence[Unclaimed] = ()  # requests for credentials that left the settings


async def look(settings: Settings, names: Iterable[str]) -> Snapshot:
    """One state per credential (all when no names are given). Raises Transient."""
    named = list(names)
    chosen = named or list(settings.credentials)
    told = await asked(settings.daemon.socket, named, _which(settings))
    if told and {each.name for each in told.states} == set(chosen):
        return told
    logs.configure("error", json=None)
    try:
        async with reading(settings) as actor:
            seen = await _all(actor, chosen, None)
            left, gone = ([], []) if named else (await _left(actor, seen), await _unclaimed(actor))
            return Snapshot(
                [state(*each) for each in seen], actor.clock.now(), login=_login(actor), left=left, unclaimed=gone
            )
    except* Transient as missed:
        if told is None:
            raise
        reason = str(first_exception(missed))
    return _in_part(told, chosen, reason)


def _in_part(told: Snapshot, chosen: Sequence[str], reason: str) -> Snapshot:
    """While Vault cannot be read, use the states of a daemon with different settings."""
    shown = [each for each in told.states if each.name in chosen]
    unseen = sorted(set(chosen) - {each.name for each in shown})
    return replace(told, states=shown, stale=told.stale or reason, unseen=unseen)


async def reached_look(settings: Settings | None, socket: str, names: Sequence[str]) -> Snapshot:
    """`look`, or the states of the running daemon if settings are faulty. Raises Transient."""
    found = await look(settings, names) if settings else await asked(socket, names, None)
    if found is None:
        raise Transient(f"the daemon on {socket} shows nothing of that; its log may say why")
    return found


async def asked(socket: str, names: Sequence[str], which: list[str] | None) -> Snapshot | None:
    """The states from a running daemon, for these credentials or all; None when it cannot be asked.

    `which`: the daemon must be of this installation; None: any daemon.
    """
    if lines := await _ask(socket, which, "states", list(names)):
        *rows, end = lines
        with suppress(KeyError, ValueError, msgspec.ValidationError):  # a daemon of another version
            found = {row["state"]["name"]: msgspec.convert(row["state"], State) for row in rows}
            shown, at = [found[name] for name in names or found], datetime.fromisoformat(end["at"])
            left = msgspec.convert(end["left"], list[Unmanaged])
            gone = msgspec.convert(end["unclaimed"], list[Unclaimed])
            return Snapshot(shown, at, end["stale"], end["login"], end["refused"], left=left, unclaimed=gone)
    return None


async def told(socket: str, name: str, which: list[str] | None) -> tuple[list[str], int]:
    """The sentences and exit code from a running daemon; no sentences when it cannot be asked. `which`: see `asked`."""
    lines = await _ask(socket, which, "explain", [name])
    if lines and all("said" in line for line in lines[:-1]) and isinstance(lines[-1].get("exit"), int):
        return [str(line["said"]) for line in lines[:-1]], lines[-1]["exit"]
    return [], 0


async def explained(settings: Settings, name: str) -> tuple[list[str], int]:
    """The sentences about one credential, and the exit code: that of `rotate status`. Raises Transient."""
    found = await told(settings.daemon.socket, name, _which(settings))
    if found[0]:
        return found
    logs.configure("error", json=None)
    async with reading(settings) as actor:
        [seen] = await _all(actor, [name], None)
        return list(explain(*seen)), _code(seen)


# --- the daemon's side ----------------------------------------------------------------------------------------------

Lines = AsyncGenerator[dict[str, Any]]
Seen = tuple[Credential, Record | None, datetime, Observed]


def verbs(
    actor: Actor, view: View, refused: Callable[[], str] = str
) -> dict[str, Callable[[Mapping[str, Any]], Lines]]:
    """The reading verbs of the control socket."""

    async def states(request: Mapping[str, Any]) -> Lines:
        if not _is_list_of_names(request.get("names")):
            yield _MISNAMED
            return
        seen = await _all(actor, _wanted(actor, request), view)
        for each in seen:
            yield {"state": _sent(state(*each))}
        every = len(seen) == len(actor.settings.credentials) and not _stale(seen)
        left, gone = (await _left(actor, seen), await _unclaimed(actor)) if seen and every else ([], [])
        told = {"stale": _stale(seen), "login": _login(actor), "refused": refused(), "left": list(map(_sent, left))}
        yield {"at": actor.clock.now().isoformat(), **told, "unclaimed": list(map(_sent, gone))}

    async def explain_(request: Mapping[str, Any]) -> Lines:
        if not _is_list_of_names(request.get("names")):
            yield _MISNAMED
            return
        for seen in await _all(actor, _wanted(actor, request), view):
            for sentence in explain(*seen):
                yield {"said": sentence}
            yield {"exit": _code(seen)}

    return {"states": states, "explain": explain_}


def _wanted(actor: Actor, request: Mapping[str, Any]) -> list[str]:
    """The names in a request, or all; none when it is for other settings than ours."""
    names, ours = request["names"], actor.settings.credentials
    if request.get("vault") not in (None, _which(actor.settings)):
        return []
    return (names or list(ours)) if all(name in ours for name in names) else []


_MISNAMED = {"error": "`names` must be a list of names", "exit": Exit.USAGE}


def _is_list_of_names(names: object) -> bool:
    return isinstance(names, list) and all(isinstance(name, str) for name in names)


def _code(seen: Seen) -> int:
    return state(*seen).exit or (Exit.UNDECIDED if seen[-1].stale else Exit.DONE)


def _stale(seen: Sequence[Seen]) -> str:
    return next((observed.stale for *_, observed in seen if observed.stale), "")


def _login(actor: Actor) -> str:
    end = actor.kv.session.login_end
    return str(end) if end and end.is_near(actor.clock.now()) else ""


async def _left(actor: Actor, seen: Sequence[Seen]) -> list[Unmanaged]:
    """Living values of credentials that left the settings; none if the journal may not be listed."""
    try:
        left, _ = await left_behind(actor.journal, actor.settings.credentials)
    except (Refused, StoreRefused, Transient):
        return []
    return living_unmanaged(actor, left, [record for _, record, *_ in seen if record])


async def _unclaimed(actor: Actor) -> list[Unclaimed]:
    """Requests that will not be carried out; none if they may not be listed."""
    try:
        return await unclaimed(actor)
    except Fault:
        return []


def _sent(row: State | Unmanaged | Unclaimed) -> Any:
    return json.loads(json.dumps(asdict(row), default=lambda value: value.isoformat()))


def _which(settings: Settings) -> list[str]:
    """The identity of this installation."""
    return installation(settings)


# --- inside ---------------------------------------------------------------------------------------------------------


async def _ask(socket: str, which: list[str] | None, verb: str, names: list[str]) -> list[dict[str, Any]]:
    """The answer of a running daemon; empty without one, or if it has other settings."""
    request = {"verb": verb, "names": names, "vault": which}
    try:
        with anyio.fail_after(_PATIENCE):
            if not await control.answers(socket):
                return []
            async with aclosing(control.call(socket, request)) as replies:
                lines = [line async for line in replies]
    except (TimeoutError, Transient):
        return []
    return lines if lines and "error" not in lines[0] else []


async def _all(actor: Actor, names: Sequence[str], view: View | None) -> list[Seen]:
    """The known state of each credential, in order."""
    found: dict[str, Seen] = {}
    places = anyio.CapacityLimiter(_AT_ONCE)
    away = view.health.vault.reason if view and view.health.vault.trips else ""

    async def one(name: str) -> None:
        nonlocal away
        async with places:
            found[name] = await _seen(actor, name, view, away)
            away = away or found[name][-1].stale  # do not wait for Vault for each of a thousand credentials

    with suppress(Fault), anyio.move_on_after(0 if away else _SOON):  # shown if it may be listed
        await actor.requests.look()
    async with anyio.create_task_group() as group:
        for name in names:
            group.start_soon(one, name)
    return [found[name] for name in names]


async def _soon(actor: Actor, name: str) -> Entry:
    """The record, if Vault answers soon: otherwise the daemon's memory is used. Raises as `Journal.load`."""
    with anyio.move_on_after(_SOON):
        return await actor.journal.load(name)
    raise Transient(f"Vault has not answered within {_SOON:g} s")


async def _asked_for(actor: Actor, name: str) -> str:
    """Requests that were not taken up yet, in words."""
    try:
        return ", ".join(map(str, await actor.requests.waiting(name)))
    except Fault as fault:
        return f"something that cannot be read: {fault.reason}"


async def _seen(actor: Actor, name: str, view: View | None, away: str) -> Seen:
    """The known state of one credential. A bad record must not hide the others. Without Vault, the daemon's last view.

    `away`: why Vault does not answer now, if known.
    """
    credential = actor.settings.credentials[name]
    known = observed(view, credential) if view else Observed()
    try:
        if away:
            raise Transient(away)
        entry = await actor.journal.load(name) if view is None else await _soon(actor, name)
    except Refused as fault:
        return credential, None, actor.clock.now(), replace(known, broken=f"its record cannot be read: {fault.reason}")
    except Transient as fault:
        if view is None:
            raise
        before = view.seen.get(name)
        record = before.record if before else None
        unread = "" if record else f"Vault cannot be read: {fault.reason}"
        read_at = view.read_at.get(name) if record else None
        known = replace(known, unread=unread, stale=fault.reason, read_at=read_at)
        return credential, record, actor.clock.now(), known
    now = actor.clock.now()
    lease = standing(entry, now, has_ended)
    known = replace(known, unread="", holder=entry.lease.holder, lease=lease, asked=await _asked_for(actor, name))
    return credential, entry.record, now, known
