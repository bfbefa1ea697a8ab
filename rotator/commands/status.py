"""`status`, `plan` and `explain`: the states of credentials, from a running daemon or from the journal. No effects.

A daemon reads the journal, too, and adds what it has observed: proofs, refusals, pauses, faults.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence, Sized
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import msgspec

from rotator.app.composition import Actor, reading
from rotator.app.strays import living_unmanaged
from rotator.commands.queries import installation
from rotator.commands.requests import unclaimed
from rotator.commands.rotate import RotateCommand, select
from rotator.commands.snapshot import Selection, Snapshot, WrongSelection, asked, looking_exit, told
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
_FRESH = 32  # credentials whose records a daemon reads anew for an answer; of more it tells what it remembers
_ROWS = 50  # states in one line of an answer, which stays well below what a caller takes
_SOON = 3.0  # seconds
_WAITS = "a request that waits in Vault"


async def look(settings: Settings, selection: Selection) -> Snapshot:
    """One state per selected credential. Raises Transient, and WrongSelection when settings have no such credential."""
    chosen, wrong = _chosen(settings, selection)
    if wrong:
        raise WrongSelection(wrong)
    told = None
    with suppress(WrongSelection):  # the daemon has not read our settings yet
        told = await asked(settings.daemon.socket, selection.of_settings, _which(settings))
    if told and {each.name for each in told.states} == set(chosen):
        return told.narrowed(selection)
    logs.configure("error", json=None)
    try:
        async with reading(settings) as actor:
            seen = await _all(actor, chosen, None)
            left, gone = (await _left(actor, seen), await _unclaimed(actor)) if selection.everything else ([], [])
            states, login = [state(*each) for each in seen], _login(actor)
            found = Snapshot(states, actor.clock.now(), login=login, left=left, unclaimed=gone)
            return replace(found, read_only=settings.daemon.read_only).narrowed(selection)
    except* Transient as missed:
        if told is None:
            raise
        reason = str(first_exception(missed))
    return _in_part(told, chosen, reason).narrowed(selection)


def _in_part(told: Snapshot, chosen: Sequence[str], reason: str) -> Snapshot:
    """While Vault cannot be read, use the states of a daemon with different settings."""
    shown = [each for each in told.states if each.name in chosen]
    unseen = sorted(set(chosen) - {each.name for each in shown})
    return replace(told, states=shown, stale=told.stale or reason, unseen=unseen)


def _chosen(settings: Settings, selection: Selection) -> tuple[Sequence[str], str]:
    """The names that settings alone select, in their order, and what is wrong with the selection (empty: nothing)."""
    labels, targets = selection.labels, tuple(selection.targets)
    if not (selection.names or labels or targets):
        return list(settings.credentials), ""
    found, wrong = select(settings, RotateCommand(names=tuple(selection.names), labels=labels, targets=targets))
    return (found if labels or targets else list(selection.names)), wrong


async def explained(settings: Settings, name: str) -> tuple[list[str], int]:
    """The sentences about one credential, and the exit code: that of `rotate status`. Raises Transient."""
    with suppress(WrongSelection):  # the daemon has not read our settings yet
        found = await told(settings.daemon.socket, name, _which(settings))
        if found[0]:
            return found
    logs.configure("error", json=None)
    async with reading(settings) as actor:
        [seen] = await _all(actor, [name], None)
        return list(explain(*seen)), _code(seen)


# --- the daemon's side ----------------------------------------------------------------------------------------------

Lines = AsyncGenerator[dict[str, Any]]
T = TypeVar("T")
Seen = tuple[Credential, Record | None, datetime, Observed]


def verbs(
    actor: Actor, view: View, refused: Callable[[], str] = str
) -> dict[str, Callable[[Mapping[str, Any]], Lines]]:
    """The reading verbs of the control socket."""

    async def states(request: Mapping[str, Any]) -> Lines:
        try:
            selection = msgspec.convert(request, Selection)
        except msgspec.ValidationError as fault:
            yield {"error": f"`states` was asked wrongly: {fault}", "exit": Exit.USAGE}
            return
        ours = request.get("vault") in (None, _which(actor.settings))
        names, wrong = _chosen(actor.settings, selection) if ours else ([], "")
        if wrong:
            yield {"error": wrong, "exit": Exit.USAGE}
            return
        seen = await _all(actor, names, view)
        every = len(seen) == len(actor.settings.credentials) and selection.everything and not _stale(seen)
        found, codes = list[State](), set[int]()
        for some in _slices(seen):
            shown = [state(*each) for each in some]
            codes.update(each.exit for each in shown)
            found += selection.of_words(shown)
            await anyio.lowlevel.checkpoint()  # of ten thousand they take a second, and a rotation must not wait for it
        wanted, more = selection.within(found)
        for rows in _slices(wanted):
            yield {"states": _sent(rows)}
        left, gone = (await _left(actor, seen, view), await _unclaimed(actor)) if seen and every else ([], [])
        said = {"stale": _stale(seen), "login": _login(actor), "refused": refused(), "left": _sent(left)}
        said |= {"unclaimed": _sent(gone), "more": more, "read_only": actor.settings.daemon.read_only}
        yield {"at": actor.clock.now().isoformat(), **said, "code": looking_exit(codes)}

    async def explain_(request: Mapping[str, Any]) -> Lines:
        if not _is_list_of_names(request.get("names")):
            yield _MISNAMED
            return
        wanted = _wanted(actor, request)
        if isinstance(wanted, str):
            yield {"error": wanted, "exit": Exit.USAGE}
            return
        for seen in await _all(actor, wanted, view):
            for sentence in explain(*seen):
                yield {"said": sentence}
            yield {"exit": _code(seen)}

    return {"states": states, "explain": explain_}


def _wanted(actor: Actor, request: Mapping[str, Any]) -> Sequence[str] | str:
    """The names in a request, or all; none when it is for other settings than ours; a text: what is wrong with it."""
    if request.get("vault") not in (None, _which(actor.settings)):
        return []
    chosen, wrong = _chosen(actor.settings, Selection(names=request["names"]))
    return wrong or chosen


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


async def _left(actor: Actor, seen: Sequence[Seen], view: View | None = None) -> list[Unmanaged]:
    """Living values of credentials that left the settings; none if the journal may not be listed."""
    try:
        if view is not None and _remembers(view, seen):
            left = dict(view.left)
        else:
            left, _ = await left_behind(actor.journal, actor.settings.credentials)
    except (Refused, StoreRefused, Transient):
        return []
    return living_unmanaged(actor, left, [record for _, record, *_ in seen if record])


def _remembers(view: View | None, chosen: Sized) -> bool:
    """Whether a daemon answers from its memory: records of a few credentials are read anew."""
    return view is not None and len(chosen) > _FRESH


async def _unclaimed(actor: Actor) -> list[Unclaimed]:
    """Requests that will not be carried out; none if they may not be listed."""
    try:
        return await unclaimed(actor)
    except Fault:
        return []


def _sent(rows: Sequence[State] | Sequence[Unmanaged] | Sequence[Unclaimed]) -> Any:
    return msgspec.to_builtins(rows)


def _slices(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    return (rows[at : at + _ROWS] for at in range(0, len(rows), _ROWS))


def _which(settings: Settings) -> list[str]:
    """The identity of this installation."""
    return installation(settings)


# --- inside ---------------------------------------------------------------------------------------------------------


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

    if view is not None and _remembers(view, names):
        oldest = min(names, key=lambda name: view.read_at.get(name) or datetime.min.replace(tzinfo=UTC))
        away = away or (await _seen(actor, oldest, view, away))[-1].stale  # whether Vault can be read at all
        return [_remembered(actor, name, view, away) for name in names]
    with suppress(Fault), anyio.move_on_after(0 if away else _SOON):  # shown if it may be listed
        await actor.requests.look()
    async with anyio.create_task_group() as group:
        for name in names:
            group.start_soon(one, name)
    return [found[name] for name in names]


def _remembered(actor: Actor, name: str, view: View, away: str) -> Seen:
    """What the daemon saw of one credential at its last reconcile. `away`: why Vault does not answer now."""
    credential, result = actor.settings.credentials[name], view.seen.get(name)
    record, known = result.record if result else None, observed(view, credential)
    if away:
        known = replace(known, stale=away, read_at=view.read_at.get(name))
    if name in actor.requests.expected:
        known = replace(known, asked=_WAITS)
    return credential, record, actor.clock.now(), known


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
