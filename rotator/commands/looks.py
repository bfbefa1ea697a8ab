"""Looks that need a login to Vault or to targets: taken by the running daemon, or, without one, by an actor of our own.

So they work for who may ask the daemon and may not log in, and while the settings on disk are faulty.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import anyio
import msgspec

from rotator.app import control
from rotator.app.actor import App, reading
from rotator.app.strays import Leftover, leftovers, plainly, prune, revoke_leftover
from rotator.commands.history import History, history
from rotator.commands.unused import Found, unused
from rotator.commands.verify import ShownValue, ShowValues, VerifyResult
from rotator.host.exit_codes import Exit
from rotator.observe import logs
from rotator.ports import Fault, OnlyLooks, Refused, Transient
from rotator.settings import Settings

Request = Mapping[str, Any]
Lines = AsyncGenerator[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Listed:
    """A living token that bears our mark."""

    target: str
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """What lives under our names, and which targets could not be listed, in words."""

    tokens: list[Listed]
    silent: list[str]


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Living tokens that nothing accounts for, and what could not be looked at, in words."""

    found: list[Leftover]
    silent: list[str]


@dataclass(frozen=True, slots=True)
class Ended:
    """Which tokens were ended, and why others were not."""

    tokens: list[str]
    failed: list[str]


@dataclass(frozen=True, slots=True)
class Unused:
    """What nobody used of late, and which targets could not be looked at, in words."""

    found: list[Found]
    silent: list[str]


# --- by an actor ----------------------------------------------------------------------------------------------------


async def show(app: App, request: Request) -> list[ShownValue]:
    """Published values shown to their targets; a daemon takes note of what it saw."""
    shown = await ShowValues(app).all(_names(app, request))
    for each in (each for each in shown if each.answer is VerifyResult.ACCEPTED):
        app.worker_pool.guard.shown(each.credential, each.token)
    return shown


async def tokens(app: App, request: Request) -> Tokens:
    """What lives under our names, by one listing of each target."""
    found: list[Listed] = []
    silent: list[str] = []
    for target in app.settings.targets:
        some = next((each for each in app.settings.credentials.values() if each.target == target), None)
        if some is None:
            continue
        try:
            found += [Listed(target, token.id, token.name) for token in await app.server(some).list_tokens()]
        except Fault as fault:
            silent.append(f"target {target} not listed: {plainly(target, fault.reason)}")
    return Tokens(found, silent)


async def left_over(app: App, request: Request) -> Leftovers:
    """What `rotate strays` lists."""
    return Leftovers(*await leftovers(app))


async def look_unused(app: App, request: Request) -> Unused:
    """What `rotate unused` lists."""
    return Unused(*await unused(app, timedelta(seconds=float(request["older"]))))


async def tell_history(app: App, request: Request) -> History:
    """What `rotate history` tells."""
    name = str(request["name"])
    return await history(app.settings, name, partial(app.journal.versions, name))


async def end(app: App, request: Request) -> Ended:
    """End these tokens, if they still may be; with `prune`, delete what was revoked long ago, too."""
    wanted, by = set(request["tokens"]), str(request["by"])
    found, failed = await leftovers(app) if wanted else ([], [])
    ended: list[str] = []
    for each in (each for each in found if each.token.id in wanted):
        try:
            if await revoke_leftover(app, each, by):
                ended.append(each.token.id)
            else:
                failed.append(f"{each.token.id} was not ended: by now it is somebody's")
        except Fault as fault:
            failed.append(f"{each.token.id} was not ended: {fault.reason}")
    known = {each.token.id for each in found}
    failed += [f"{token} was not ended: it is no leftover any more" for token in sorted(wanted - known)]
    for target in app.settings.targets if request.get("prune") else ():
        try:
            await prune(app, target)
        except Fault as fault:
            failed.append(f"target {target}: what was revoked long ago is not deleted: {plainly(target, fault.reason)}")
    return Ended(ended, failed)


def _names(app: App, request: Request) -> list[str]:
    names = [str(name) for name in request["names"]]
    if unknown := next((name for name in names if name not in app.settings.credentials), ""):
        raise Refused(f"no credential is called {unknown!r}")
    return names


_LOOKS: dict[str, tuple[Callable[[App, Request], Awaitable[Any]], Any]] = {
    "show": (show, list[ShownValue]),
    "tokens": (tokens, Tokens),
    "leftovers": (left_over, Leftovers),
    "unused": (look_unused, Unused),
    "history": (tell_history, History),
    "end": (end, Ended),
}
_FAULTS: dict[int, type[Fault]] = {Exit.UNDECIDED: Transient, Exit.USAGE: OnlyLooks}
ACTS = frozenset({"end"})
_PART = 256 * 1024  # characters of an answer in one line
_SIGN = 10.0  # seconds between two signs of life


def installation(settings: Settings) -> list[str]:
    """What tells one installation from another."""
    return [settings.vault.address, settings.vault.mount, settings.vault.prefix]


# --- by the daemon --------------------------------------------------------------------------------------------------


def verbs(
    app: App,
    select: Callable[[Settings, Request], tuple[Sequence[str], str]],
    refused: Callable[[Sequence[str]], None],
) -> dict[str, Callable[[Request], Lines]]:
    """The verbs of the control socket. `select`: whom a request concerns, and what is wrong with it; `refused`: told
    whose published value was refused, and is not held."""

    async def shown(request: Request) -> list[ShownValue]:
        found: list[ShownValue] = await _LOOKS["show"][0](app, request)
        refused([each.credential for each in found if each.answer is VerifyResult.REFUSED and not each.held])
        return found

    def named(verb: str) -> Callable[[Request], Lines]:
        look = shown if verb == "show" else partial(_LOOKS[verb][0], app)

        async def answer(request: Request) -> Lines:
            if request.get("vault") not in (None, installation(app.settings)):
                yield {"elsewhere": True}
                return
            if verb == "show":
                names, wrong = select(app.settings, request)
                if wrong:
                    yield {"error": wrong, "exit": Exit.USAGE}
                    return
                request = {**request, "names": names}
            async for line in _told(app, verb, partial(look, request)):
                yield line

        return answer

    return {verb: named(verb) for verb in _LOOKS}


async def _told(app: App, verb: str, look: Callable[[], Awaitable[Any]]) -> Lines:
    """The answer in parts of a bearable length. The work goes on when who asked goes away."""
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

    app.tasks.begin(verb, work)
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
    actor: Callable[[], AbstractAsyncContextManager[App]] | None = None,
    alone: Callable[[Settings], Awaitable[Any]] | None = None,
) -> Any:
    """What the daemon of this installation answers, or else an actor of our own: one that only looks, or `actor`.

    `alone`: what finds it out without a daemon, where that takes more than an actor.

    `settings` None: they are faulty, and whichever daemon listens there is asked. Raises Refused, Transient.
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
    async with actor() if actor else reading(settings) as app:
        return await look(app, request)


async def _asked(socket: str, request: Request) -> str:
    """Nothing: a daemon of another installation, or of another release."""
    text, whole = "", False
    async with aclosing(control.call(socket, request)) as lines:
        async for line in lines:
            if "error" in line and "exit" in line:
                raise _FAULTS.get(line["exit"], Refused)(line["error"])
            text += line.get("part", "")
            whole = whole or "whole" in line
    return text if whole else ""
