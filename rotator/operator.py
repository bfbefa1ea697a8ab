"""The operator's verbs, pause, resume, release, undo and adopt: whom they concern, their words and their verdicts.

The same for the daemon's socket and the shell. What a word changes in a record is engine/operating.py's.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import anyio
from anyio.abc import ObjectSendStream
from anyio.streams.memory import MemoryObjectReceiveStream

from rotator.app import App
from rotator.app.verdicts import goes_on
from rotator.engine import operating
from rotator.engine.visit import Happened, Word
from rotator.host.exit_codes import gravest
from rotator.host.interruption import out_of_time
from rotator.narrate import progress, unforeseen
from rotator.now import BUSY, DONE, FAILED, HELD, USAGE, Demand, demand, length, moment, select
from rotator.ports import Conflict, Fault, Refused, Transient
from rotator.rotation import pause, why
from rotator.rotation.credential import Credential
from rotator.rotation.record import Phase, Record

VERBS = ("pause", "resume", "release", "undo", "adopt")
_AT_ONCE = 8  # credentials
_AGAIN = 0.5  # seconds until a record that somebody works on is tried again
_POLL = 0.2  # seconds between two looks at what became of an undo
_SIGN = 10.0  # seconds between two signs of life for who waits
_LONGEST = timedelta(days=366)

Lines = AsyncGenerator[dict[str, Any]]
Hearing = Callable[[], AbstractContextManager[MemoryObjectReceiveStream[Happened]]]


@dataclass(frozen=True, slots=True)
class Order:
    """A verb, whom it concerns and who says so. Neither `length` nor `until`: until it is resumed."""

    verb: str
    wanted: Demand
    reason: str = ""
    length: timedelta | None = None
    until: datetime | None = None


def order(verb: str, request: Mapping[str, Any]) -> Order:
    """Read an order from a request. Raises Refused for what does not fit."""
    so_long, until = length(request, "for", _LONGEST), moment(request, "until")
    if so_long and until:
        raise Refused("`for` and `until` are two ends: say one of them")
    return Order(verb, demand(request), " ".join(str(request.get("reason") or "").split())[:200], so_long, until)


def verbs(app: App, hearing: Hearing) -> dict[str, Callable[[Mapping[str, Any]], Lines]]:
    """The verbs as the control socket calls them."""

    def named(verb: str) -> Callable[[Mapping[str, Any]], Lines]:
        async def answer(request: Mapping[str, Any]) -> Lines:
            with hearing() as happenings:
                try:
                    wish = order(verb, request)
                except Refused as fault:
                    yield {"error": fault.reason, "exit": USAGE}
                    return
                async for line in obey(app, wish, happenings):
                    yield line

        return answer

    return {verb: named(verb) for verb in VERBS}


async def obey(app: App, wish: Order, happenings: MemoryObjectReceiveStream[Happened]) -> Lines:
    """Say the word to each credential, tell each step, end with verdicts.

    The work is a task of the actor's: it goes on to its end when whoever asked goes away, which closes this generator.
    """
    names, unknown = select(app.settings, wish.wanted)
    if unknown:
        yield {"error": unknown, "exit": 2}
        return
    send, receive = anyio.create_memory_object_stream[dict[str, Any]](len(names))
    exits: list[int] = []
    sign = app.clock.monotonic()
    app.tasks.begin(wish.verb, partial(_all, app, wish, names, send))
    with receive:
        while len(exits) < len(names) and not out_of_time():
            verdict = None
            with anyio.move_on_after(_POLL):
                verdict = await receive.receive()
            for happened in _heard(happenings, names):
                yield progress(happened)
            if verdict:
                exits.append(verdict["exit"])
                yield {"verdicts": [verdict]}
            elif app.clock.monotonic() >= sign + _SIGN:
                sign = app.clock.monotonic()
                yield {"waiting": len(names) - len(exits), "said": f"{wish.verb} is under way"}
    if len(exits) < len(names):
        exits.append(BUSY)
        yield {"error": f"cut short: {len(names) - len(exits) + 1} without an answer; look with `rotate explain NAME`"}
    yield {"verdicts": [], "exit": gravest(exits)}


def _heard(happenings: MemoryObjectReceiveStream[Happened], names: tuple[str, ...]) -> Iterator[Happened]:
    while True:
        try:
            happened = happenings.receive_nowait()
        except (anyio.WouldBlock, anyio.EndOfStream):
            return
        if happened.credential.name in names:
            yield happened


async def _all(app: App, wish: Order, names: tuple[str, ...], send: ObjectSendStream[dict[str, Any]]) -> None:
    limiter, end = anyio.CapacityLimiter(_AT_ONCE), app.clock.monotonic() + wish.wanted.within

    async def one(name: str) -> None:
        async with limiter:
            verdict = await _verdict(app, wish, name, end)
        with suppress(anyio.BrokenResourceError):  # nobody waits for it any more
            await send.send(verdict)

    async with send, anyio.create_task_group() as group:
        for name in names:
            group.start_soon(one, name)


async def _verdict(app: App, wish: Order, name: str, end: float) -> dict[str, Any]:
    credential = app.settings.credentials[name]
    try:
        if app.crew.stopping:
            raise Transient(f"not begun: {app.crew.stopping}")
        before = (await app.journal.load(name)).record if wish.verb == "release" else None
        record = await _said(app, wish, credential, end)
        if wish.verb == "release":
            answer, said, code = _released(before, record)
        else:
            answer, said, code = await _OUTCOMES[wish.verb](app, credential, record, end)
    except (Conflict, Transient) as fault:
        answer, said, code = "undecided", f"{fault.reason}; nothing was changed", BUSY
    except Fault as fault:
        answer, said, code = "refused", fault.reason, FAILED
    except Exception as bug:  # noqa: BLE001 (one credential's bug keeps no other from its verdict)
        unforeseen(name, bug)
        answer, said, code = "failed", f"a bug, the log has it: {type(bug).__name__}", FAILED
    return {"credential": name, "answer": answer, "exit": code, "said": said}


async def _said(app: App, wish: Order, credential: Credential, end: float) -> Record:
    """Say it, again and again while somebody works on the record. Raises Conflict when that outlasts the patience."""
    word = await _word(app, wish, credential)
    while True:
        try:
            async with app.crew.aside(credential.name):
                return await app.crew.rounds.visitor.obey(credential, app.edges(credential), word)
        except (Conflict, Transient):
            if app.clock.monotonic() + _AGAIN >= end or app.crew.stopping:
                raise
        await app.clock.sleep(_AGAIN)


async def _word(app: App, wish: Order, credential: Credential) -> Word:
    by = wish.wanted.by
    if wish.verb == "pause":
        return operating.pause(by, wish.reason, wish.length, wish.until)
    if wish.verb == "resume":
        return operating.resume(by)
    if wish.verb == "release":
        return operating.release(by)
    if wish.verb == "undo":
        return operating.undo(by, emergency=wish.wanted.emergency)
    await app.site(credential).control(credential)  # a probe that accepts anyone would let anything be adopted
    return operating.adopt(by)


# --- what became of it ----------------------------------------------------------------------------------------------

Outcome = tuple[str, str, int]


async def _paused(app: App, credential: Credential, record: Record, end: float) -> Outcome:
    said = pause.words(record.paused) if record.paused else ""
    hint = "" if record.phase is Phase.SETTLED else "; what is under way goes on to its publication"
    if record.predecessor:
        hint = f"; its predecessor {record.predecessor.token.id} lives on meanwhile"
    return "paused", said + hint, DONE


async def _resumed(app: App, credential: Credential, record: Record, end: float) -> Outcome:
    due = why.due(credential, record, app.clock.now())
    return "resumed", f"due: {due[1]}" if due else "not due", DONE


def _released(before: Record | None, record: Record) -> Outcome:
    held = before.held if before else None
    return "released", f"from {held.reason.value}; {record.phase.value}" if held else "it was not held", DONE


async def _undone(app: App, credential: Credential, begun: Record, end: float) -> Outcome:
    """Follow it to its end; it goes on when nobody waits for it."""
    while (record := _seen(app, credential.name, begun)) is None:
        if app.clock.monotonic() >= end or app.crew.stopping:
            seen = app.crew.seen.get(credential.name)
            waits = app.crew.stopping or (seen.wait.reason if seen else "not looked at yet")
            return "undecided", f"{waits}; {goes_on(app, credential.name)}", BUSY
        await app.clock.sleep(_POLL)
    current = record.current
    if record.held:
        return "held", record.held.text, HELD
    if current and current.reused and current.rotation == begun.rotation:
        left = record.predecessor
        until = f"; {left.token.id} is retired after its grace" if left else ""
        return (
            "undone",
            f"rotation {current.rotation}: {current.token.id} is live again at {current.place}{until}",
            DONE,
        )
    reason = record.failure.reason if record.failure else "the record says nothing of it any more"
    return "failed", f"{reason}; what was published stays", FAILED


def _seen(app: App, name: str, begun: Record) -> Record | None:
    """What the last look found, once the undo is over one way or the other."""
    seen = app.crew.seen.get(name)
    record = seen.record if seen else None
    if record is None or record.rotation < begun.rotation or (record.undo and not record.held):
        return None
    return record


async def _adopted(app: App, credential: Credential, record: Record, end: float) -> Outcome:
    current = record.current
    if current is None or not current.reused:
        return "adopted", "it is ours already: nothing to adopt", DONE
    said = f"{current.token.id} at {current.place}, version {current.version}; nothing was written and nothing rotated"
    left = f"; {record.predecessor.token.id}, published before, ends after its grace" if record.predecessor else ""
    return "adopted", f"{said}. From now on it is ours: its successor's publication will end it{left}", DONE


_OUTCOMES = {"pause": _paused, "resume": _resumed, "undo": _undone, "adopt": _adopted}
