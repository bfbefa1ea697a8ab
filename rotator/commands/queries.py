"""`strays`, `unused`, `verify`, `history`, `targets`: questions that need a login to Vault or to targets.

The running daemon answers them, or without one an actor of our own. So they work for people who may ask the daemon and
may not log in, and while the settings on disk are faulty.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any

import anyio
import msgspec

from rotator.app import control
from rotator.app.composition import Actor, reading
from rotator.app.strays import Leftover, leftovers, plainly, prune, revoke_leftover
from rotator.commands.history import History, history
from rotator.commands.targets import TargetsFound, find_targets
from rotator.commands.verify import ShownValue, ShowValues, VerifyResult
from rotator.host.exit_codes import Exit
from rotator.observe import logs
from rotator.ports import Fault, InventoryItem, OnlyLooks, Refused, Transient
from rotator.rotation.ownership import TokenOwners, TokenState
from rotator.rotation.record import Token
from rotator.settings import Settings

Request = Mapping[str, Any]
Lines = AsyncGenerator[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Found:
    """A living token on a target. `whose`: its owner, in words; `end`: the command that ends it, if it is ours."""

    target: str
    holding: InventoryItem
    whose: str
    end: str


async def unused(actor: Actor, older: timedelta) -> tuple[list[Found], list[str]]:
    """Tokens that were not used for so long; and, in words, targets that could not be listed.

    Several targets may reach one account: a token is listed once.
    """
    listed: dict[tuple[str, str], tuple[str, InventoryItem]] = {}
    silent: list[str] = []
    for target in actor.settings.targets:
        try:
            holdings = await _inventory(actor, target)
        except Fault as fault:
            silent.append(f"target {target} not listed: {plainly(target, fault.reason)}")
            continue
        if holdings is None:
            silent.append(f"target {target} does not tell what lives there")
            continue
        for each in holdings:
            listed.setdefault((each.id, each.mark), (target, each))
    owners, now = await actor.owners(), actor.clock.now()
    return list(_judged(listed.values(), owners, now, now - older)), silent


async def _inventory(actor: Actor, target: str) -> tuple[InventoryItem, ...] | None:
    credential = next((each for each in actor.settings.credentials.values() if each.target == target), None)
    return await actor.server(credential).inventory() if credential else ()


def _judged(
    listed: Iterable[tuple[str, InventoryItem]], owners: TokenOwners, now: datetime, before: datetime
) -> Iterator[Found]:
    for target, each in listed:
        seen = max(filter(None, (each.last_used, each.created_at)), default=None)
        if seen is None or seen <= before:
            yield Found(target, each, *whose(each, owners, now))


def whose(holding: InventoryItem, owners: TokenOwners, now: datetime) -> tuple[str, str]:
    """The owner of a token, and the command that ends it; none for values that consumers may read."""
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


@dataclass(frozen=True, slots=True)
class Listed:
    """A living token with our mark."""

    target: str
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """Living tokens under our names; and, in words, targets that could not be listed."""

    tokens: list[Listed]
    silent: list[str]


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Living tokens that no record knows; and, in words, what could not be looked at."""

    found: list[Leftover]
    silent: list[str]


@dataclass(frozen=True, slots=True)
class EndedTokens:
    """Tokens that were ended, and why others were not."""

    tokens: list[str]
    failed: list[str]


@dataclass(frozen=True, slots=True)
class Unused:
    """Unused tokens; and, in words, targets that could not be listed."""

    found: list[Found]
    silent: list[str]


# --- by an actor ----------------------------------------------------------------------------------------------------


async def show(actor: Actor, request: Request) -> list[ShownValue]:
    """Show published values to their targets. A daemon remembers the verdicts."""
    shown = await ShowValues(actor).all(_names(actor, request))
    for each in (each for each in shown if each.answer is VerifyResult.ACCEPTED):
        actor.worker_pool.guard.shown(each.credential, each.token)
    return shown


async def tokens(actor: Actor, request: Request) -> Tokens:
    """The tokens under our names, by one listing of each target."""
    found: list[Listed] = []
    silent: list[str] = []
    for target in actor.settings.targets:
        some = next((each for each in actor.settings.credentials.values() if each.target == target), None)
        if some is None:
            continue
        try:
            found += [Listed(target, token.id, token.name) for token in await actor.server(some).list_tokens()]
        except Fault as fault:
            silent.append(f"target {target} not listed: {plainly(target, fault.reason)}")
    return Tokens(found, silent)


async def left_over(actor: Actor, request: Request) -> Leftovers:
    """The answer to `rotate strays`."""
    return Leftovers(*await leftovers(actor))


async def look_unused(actor: Actor, request: Request) -> Unused:
    """The answer to `rotate unused`."""
    return Unused(*await unused(actor, timedelta(seconds=float(request["older"]))))


async def tell_history(actor: Actor, request: Request) -> History:
    """The answer to `rotate history`."""
    name = str(request["name"])
    return await history(actor.settings, name, partial(actor.journal.versions, name))


async def end(actor: Actor, request: Request) -> EndedTokens:
    """Revoke these tokens, if still allowed; with `prune`, also delete records revoked long ago."""
    wanted, by = set(request["tokens"]), str(request["by"])
    found, failed = await leftovers(actor) if wanted else ([], [])
    ended: list[str] = []
    for each in (each for each in found if each.token.id in wanted):
        try:
            if await revoke_leftover(actor, each, by):
                ended.append(each.token.id)
            else:
                failed.append(f"{each.token.id} was not ended: by now it is somebody's")
        except Fault as fault:
            failed.append(f"{each.token.id} was not ended: {fault.reason}")
    known = {each.token.id for each in found}
    failed += [f"{token} was not ended: it is no leftover any more" for token in sorted(wanted - known)]
    for target in actor.settings.targets if request.get("prune") else ():
        try:
            await prune(actor, target)
        except Fault as fault:
            failed.append(f"target {target}: what was revoked long ago is not deleted: {plainly(target, fault.reason)}")
    return EndedTokens(ended, failed)


def _names(actor: Actor, request: Request) -> list[str]:
    names = [str(name) for name in request["names"]]
    if unknown := next((name for name in names if name not in actor.settings.credentials), ""):
        raise Refused(f"no credential is called {unknown!r}")
    return names


_LOOKS: dict[str, tuple[Callable[[Actor, Request], Awaitable[Any]], Any]] = {
    "show": (show, list[ShownValue]),
    "tokens": (tokens, Tokens),
    "leftovers": (left_over, Leftovers),
    "unused": (look_unused, Unused),
    "history": (tell_history, History),
    "end": (end, EndedTokens),
    "targets": (find_targets, TargetsFound),
}
_LONGEST = timedelta(days=36500).total_seconds()


class _Older(msgspec.Struct):
    older: Annotated[float, msgspec.Meta(ge=0, le=_LONGEST)]


class _OneName(msgspec.Struct):
    name: str


class _Chosen(msgspec.Struct):
    tokens: list[str]
    prune: bool = False


# What a request must contain, by verb; `show` has the selection of `now`.
_ARGUMENTS: dict[str, type[msgspec.Struct]] = {
    "unused": _Older,
    "history": _OneName,
    "end": _Chosen,
    "targets": _OneName,
}
_FAULTS: dict[int, type[Fault]] = {Exit.UNDECIDED: Transient, Exit.USAGE: OnlyLooks}
ACTS = frozenset({"end"})
_PART = 256 * 1024  # characters of an answer in one line
_SIGN = 10.0  # seconds between two signs of life


def installation(settings: Settings) -> list[str]:
    """The identity of this installation."""
    return [settings.vault.address, settings.vault.mount, settings.vault.prefix]


# --- by the daemon --------------------------------------------------------------------------------------------------


def verbs(
    actor: Actor,
    select: Callable[[Settings, Request], tuple[Sequence[str], str]],
    refused: Callable[[Sequence[str]], None],
) -> dict[str, Callable[[Request], Lines]]:
    """The verbs of the control socket. `select`: the selection of a request, and what is wrong with it; `refused`: gets
    each credential whose published value was refused and that is not held."""

    async def shown(request: Request) -> list[ShownValue]:
        found: list[ShownValue] = await _LOOKS["show"][0](actor, request)
        refused([each.credential for each in found if each.answer is VerifyResult.REFUSED and not each.held])
        return found

    def named(verb: str) -> Callable[[Request], Lines]:
        look = shown if verb == "show" else partial(_LOOKS[verb][0], actor)

        async def answer(request: Request) -> Lines:
            here, digest = installation(actor.settings), actor.settings.digest
            if request.get("vault") not in (None, here) or request.get("digest", digest) != digest:
                yield {"elsewhere": True}
                return
            names, wrong = select(actor.settings, request) if verb == "show" else ((), _faulty(verb, request))
            if wrong:
                yield {"error": wrong, "exit": Exit.USAGE}
                return
            if verb == "show":
                request = {**request, "names": names}
            async for line in _told(actor, verb, partial(look, request)):
                yield line

        return answer

    return {verb: named(verb) for verb in _LOOKS}


def _faulty(verb: str, request: Request) -> str:
    """What is missing or of the wrong type in a request; empty: nothing."""
    try:
        msgspec.convert(dict(request), _ARGUMENTS.get(verb, msgspec.Struct))
    except msgspec.ValidationError as fault:
        return f"`{verb}` was asked wrongly: {fault}"
    return ""


async def _told(actor: Actor, verb: str, look: Callable[[], Awaitable[Any]]) -> Lines:
    """The answer in lines of limited length. The work goes on when the caller disconnects."""
    send, receive = anyio.create_memory_object_stream[dict[str, Any]](1)

    async def work() -> None:
        async with send:
            try:
                text = msgspec.json.encode(await look()).decode()
                line: dict[str, Any] = {"text": text}
            except Fault as fault:
                line = {"error": fault.reason, "exit": Exit.UNDECIDED if isinstance(fault, Transient) else Exit.FAILED}
            with suppress(anyio.BrokenResourceError):
                await send.send(line)

    actor.tasks.begin(verb, work)
    with receive:
        while True:
            line = None
            with anyio.move_on_after(_SIGN):
                try:
                    line = await receive.receive()
                except anyio.EndOfStream:
                    line = {"error": "a bug in the daemon, its log has it", "exit": Exit.FAILED}
            if line is None:
                yield {"waiting": 1, "said": "it is under way"}
                continue
            if "text" not in line:
                yield line
                return
            text = line["text"]
            for at in range(0, len(text), _PART):
                yield {"part": text[at : at + _PART]}
            yield {"whole": True, "exit": Exit.DONE}
            return


# --- for a command --------------------------------------------------------------------------------------------------


async def looked(
    settings: Settings | None,
    socket: str,
    verb: str,
    request: Request,
    compose: Callable[[], AbstractAsyncContextManager[Actor]] | None = None,
    alone: Callable[[Settings], Awaitable[Any]] | None = None,
) -> Any:
    """The answer of this installation's daemon, or else of an actor of our own: a reading one, or `compose`'s.

    `alone`: finds the answer without a daemon, if that takes more than an actor.

    `settings` None: they are faulty, and the daemon at the socket is asked. Raises Refused, Transient.
    """
    look, shape = _LOOKS[verb]
    if settings is None or await control.answers(socket):
        text = await _asked(socket, {**request, "verb": verb, "vault": installation(settings) if settings else None})
        if text:
            return msgspec.json.decode(text, type=shape)
        if settings is None:
            raise Refused(f"the daemon on {socket} does not know how to answer that; mend the settings, and ask again")
    if alone:
        return await alone(settings)
    logs.configure("error", json=None)
    async with compose() if compose else reading(settings) as actor:
        return await look(actor, request)


async def _asked(socket: str, request: Request) -> str:
    """The daemon's answer; None from a daemon of another installation or release."""
    text, whole = "", False
    async with aclosing(control.call(socket, request)) as lines:
        async for line in lines:
            if "error" in line and "exit" in line:
                raise _FAULTS.get(line["exit"], Refused)(line["error"])
            text += line.get("part", "")
            whole = whole or "whole" in line
    return text if whole else ""
