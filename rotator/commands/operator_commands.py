"""`pause`, `resume`, `release`, `undo`, `adopt` and `claim`: selection, words and verdicts, for socket and shell alike.

rotation/procedures/operators.py has what each of them changes in a record.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, aclosing, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import anyio
from anyio.abc import ObjectSendStream
from anyio.streams.memory import MemoryObjectReceiveStream

from rotator.app.composition import Actor
from rotator.commands.outcomes import OUTCOMES, HookOutcome, released
from rotator.commands.requests import AGAIN, new_id, write_down
from rotator.commands.rotate import (
    BUSY,
    DONE,
    FAILED,
    USAGE,
    RotateCommand,
    length,
    moment,
    parse_rotate_command,
    select,
)
from rotator.engine.reconciler import Transition
from rotator.host.exit_codes import gravest
from rotator.host.shutdown import out_of_time
from rotator.observe.event_log import fleet_changed, progress, unforeseen
from rotator.ports import Conflict, Fault, Refused, Transient
from rotator.rotation.credential import Credential, Pause
from rotator.rotation.operator_request import OperatorRequest, RequestVerb
from rotator.rotation.pause import FleetPause, FleetPauses, scope, with_pause, without_pause, words
from rotator.rotation.procedures import operators
from rotator.rotation.record import Record
from rotator.rotation.rotation_request import find
from rotator.rotation.token_names import LINEAGE
from rotator.rotation.wording import counted

VERBS = ("pause", "resume", "release", "undo", "adopt", "claim")
_AT_ONCE = 8  # credentials
_POLL = 0.2  # seconds between two checks of the outcome
_SIGN = 10.0  # seconds between two signs of life for the waiting person
_SOON = 2.0  # seconds until the reason for waiting is printed
_LONGEST = timedelta(days=366)

T = TypeVar("T")
Lines = AsyncGenerator[dict[str, Any]]
Hearing = Callable[[], AbstractContextManager[MemoryObjectReceiveStream[Transition]]]


@dataclass(frozen=True, slots=True)
class OperatorCommand:
    """A verb, its selection, and the person. Neither `length` nor `until`: until it is resumed."""

    verb: str
    wanted: RotateCommand
    reason: str = ""
    length: timedelta | None = None
    until: datetime | None = None
    ended: bool = False  # of a release: what was left to a person has been ended
    trouble: dict[str, str] = field(default_factory=dict)  # why one is not done yet


def parse_operator_command(verb: str, request: Mapping[str, Any]) -> OperatorCommand:
    """Read a command from a request. Raises Refused for a bad one."""
    so_long, until = length(request, "for", _LONGEST), moment(request, "until")
    if so_long and until:
        raise Refused("`for` and `until` are two ends: say one of them")
    reason, ended = " ".join(str(request.get("reason") or "").split())[:200], request.get("ended") is True
    return OperatorCommand(verb, parse_rotate_command(request), reason, so_long, until, ended)


def verbs(actor: Actor, hearing: Hearing) -> dict[str, Callable[[Mapping[str, Any]], Lines]]:
    """The verbs of the control socket."""

    def named(verb: str) -> Callable[[Mapping[str, Any]], Lines]:
        async def answer(request: Mapping[str, Any]) -> Lines:
            with hearing() as transitions:
                try:
                    wish = parse_operator_command(verb, request)
                except Refused as fault:
                    yield {"error": fault.reason, "exit": USAGE}
                    return
                async for line in obey(actor, wish, transitions):
                    yield line

        return answer

    return {verb: named(verb) for verb in VERBS}


async def obey(actor: Actor, wish: OperatorCommand, transitions: MemoryObjectReceiveStream[Transition]) -> Lines:
    """Apply the command to each credential, with progress lines and then verdicts.

    The work is a task of the actor: it goes on when the caller disconnects, which closes this generator.
    """
    names, unknown = select(actor.settings, wish.wanted)
    if unknown:
        yield {"error": unknown, "exit": 2}
        return
    names = whom(wish, names)
    send, receive = anyio.create_memory_object_stream[dict[str, Any]](len(names))
    wish = replace(wish, trouble={})
    exits, hooks = list[int](), HookOutcome(actor, names)
    sign, told, begun = actor.clock.monotonic(), "", actor.clock.monotonic()
    actor.tasks.begin(wish.verb, partial(_all, actor, wish, names, send))
    with receive:
        while len(exits) < len(names) and not out_of_time():
            verdict = None
            with anyio.move_on_after(_POLL):
                verdict = await receive.receive()
            for transition in _heard(transitions, names):
                yield progress(transition)
            if verdict:
                exits.append(verdict["exit"])
                yield {"verdicts": [verdict]}
            news = bool(wish.trouble) and _waits(wish) != told and actor.clock.monotonic() >= begun + _SOON
            if not verdict and (news or actor.clock.monotonic() >= sign + _SIGN):
                sign, told = actor.clock.monotonic(), _waits(wish)
                yield {"waiting": len(names) - len(exits), "said": told}
    if len(exits) < len(names):
        exits.append(BUSY)
        yield {"error": f"cut short: {len(names) - len(exits) + 1} without an answer; look with `rotate explain NAME`"}
    yield {"verdicts": [], "exit": gravest(exits)}
    async with aclosing(hooks.lines(gravest(exits), 0.0)) as lines:
        async for line in lines:
            yield line


def _waits(wish: OperatorCommand) -> str:
    """The reason for the wait, and the remedy."""
    if not wish.trouble:
        return f"{wish.verb} is under way"
    name, reason = next(iter(wish.trouble.items()))
    return f"{name}: {reason}; {wish.verb} is tried again until it is through, and is not done yet"


def _heard(transitions: MemoryObjectReceiveStream[Transition], names: tuple[str, ...]) -> Iterator[Transition]:
    while True:
        try:
            transition = transitions.receive_nowait()
        except (anyio.WouldBlock, anyio.EndOfStream):
            return
        if transition.credential.name in names:
            yield transition


async def _all(
    actor: Actor, wish: OperatorCommand, names: tuple[str, ...], send: ObjectSendStream[dict[str, Any]]
) -> None:
    limiter, end = anyio.CapacityLimiter(_AT_ONCE), actor.clock.monotonic() + wish.wanted.within

    async def one(name: str) -> None:
        async with limiter:
            verdict = await _verdict(actor, wish, name, end)
        with suppress(anyio.BrokenResourceError):  # the caller has gone
            await send.send(verdict)

    async with send:
        known = actor.settings.credentials
        for many in (name for name in names if name not in known):  # before the lines about each credential
            await one(many)
        async with anyio.create_task_group() as group:
            for name in (name for name in names if name in known):
                group.start_soon(one, name)


def whom(wish: OperatorCommand, names: tuple[str, ...]) -> tuple[str, ...]:
    """The selected credentials. A pause of many is one fact about the installation, also for later ones."""
    many = _scopes(wish)
    if not many or wish.verb not in ("pause", "resume"):
        return names
    return (*many, *(wish.wanted.names if wish.verb == "pause" else names))


def _scopes(wish: OperatorCommand) -> dict[str, tuple[Mapping[str, str], str]]:
    """Each scope: its text, labels and target."""
    wanted = wish.wanted
    labelled = [(wanted.labels, "")] if wanted.everything or wanted.labels else []
    there: list[tuple[Mapping[str, str], str]] = [({}, target) for target in wanted.targets]
    return {scope(*each): each for each in (*labelled, *there)}


async def _fleet(actor: Actor, wish: OperatorCommand, many: str, end: float) -> tuple[str, str, int]:
    """Pause or resume all, all with a label, or all on a target."""
    now, by, (labels, target) = actor.clock.now(), wish.wanted.by, _scopes(wish)[many]
    until = now + wish.length if wish.length else wish.until
    pause = Pause(by, now, wish.reason, until, many)
    await actor.recorded()
    if bar := actor.worker_pool.guard.reconciler.barred():
        raise Refused(f"{bar}; [audit] required = true, so nothing is begun")

    def change(pauses: FleetPauses) -> FleetPauses:
        return (
            with_pause(pauses, pause, labels, target)
            if wish.verb == "pause"
            else without_pause(pauses, labels, now, target)
        )

    before = actor.pauses
    actor.observe(await _until(actor, end, lambda: actor.fleet.change(change), many, wish.trouble))
    covers = FleetPause(pause, labels, target).covers
    covered = sum(map(covers, actor.settings.credentials.values()))
    if wish.verb == "pause":
        said = f"{words(pause)}; {counted(covered, 'credential')} now, and those that settings name later"
    else:
        ended = [each.pause.scope for each in before if each not in actor.pauses]
        said = f"what was paused with {', '.join(ended)} goes on" if ended else "nothing was paused with it"
    fleet_changed(by, said)
    await actor.record_fleet(now, f"fleet.{wish.verb}d", by, said)
    return f"{wish.verb}d", said, DONE


async def _verdict(actor: Actor, wish: OperatorCommand, name: str, end: float) -> dict[str, Any]:
    if name not in actor.settings.credentials:
        return await _answered(name, lambda: _fleet(actor, wish, name, end))
    return await _answered(name, lambda: _one(actor, wish, name, end))


async def _one(actor: Actor, wish: OperatorCommand, name: str, end: float) -> tuple[str, str, int]:
    credential = actor.settings.credentials[name]
    if actor.worker_pool.stopping:
        raise Transient(f"not begun: {actor.worker_pool.stopping}")
    before = (await actor.journal.load(name)).record if wish.verb in ("release", "resume") else None
    if wish.ended:
        return await _ended(actor, wish, credential, end, before)
    if wish.verb == "resume" and not (before and before.paused) and name not in actor.requests.expected:
        record = before or Record("")  # it is not paused and no pause is requested
    else:
        record = await (_obeyed if wish.verb in ("adopt", "claim") else _requested)(actor, wish, credential, end)
    if wish.verb == "release":
        return released(before, record)
    return await OUTCOMES[wish.verb](actor, actor.settings.credentials[name], record, end)


async def _ended(
    actor: Actor, wish: OperatorCommand, credential: Credential, end: float, before: Record | None
) -> tuple[str, str, int]:
    """Take a person's word for every old value that waits for them. Raises Refused for what is still accepted."""
    left = before.unended if before else ()
    for _ in left:
        await _obeyed(actor, wish, credential, end)
    said = ", ".join(each.value.token.id for each in left)
    return "released", f"counts as ended: {said}" if said else "no old value waits for a person to end it", DONE


async def _answered(name: str, work: Callable[[], Awaitable[tuple[str, str, int]]]) -> dict[str, Any]:
    try:
        answer, said, code = await work()
    except (Conflict, Transient) as fault:
        answer, said, code = "undecided", f"{fault.reason}; nothing was changed", BUSY
    except _WrittenError as fault:
        answer, said, code = "undecided", str(fault), BUSY
    except Fault as fault:
        answer, said, code = "refused", fault.reason, FAILED
    except Exception as bug:  # noqa: BLE001 (one credential's bug keeps no other from its verdict)
        unforeseen(name, bug)
        answer, said, code = "failed", f"a bug, the log has it: {type(bug).__name__}", FAILED
    return {"credential": name, "answer": answer, "exit": code, "said": said}


class _WrittenError(Exception):
    """A request is in Vault, and was not taken up in time."""


async def _requested(actor: Actor, wish: OperatorCommand, credential: Credential, end: float) -> Record:
    """Write the request to Vault, then wait until a record has taken it up. Raises _WrittenError if too late."""
    reconciler, name = actor.worker_pool.guard.reconciler, credential.name
    await reconciler.recorded()
    if bar := reconciler.barred():
        raise Refused(f"{bar}; [audit] required = true, so nothing is begun")
    asked = _request(actor, wish)
    request = await _until(actor, end, lambda: write_down(actor, name, asked), name, wish.trouble)

    async def taken_up() -> Record:
        async with actor.worker_pool.aside(name):
            record = await reconciler.take_up(credential, actor.dependencies(credential))
        record = record or (await actor.journal.load(name)).record
        found = find(record, request.id) if record else None
        if record is None or found is None:
            raise Transient("it was not taken up yet")
        if found.refused:
            raise Refused(found.refused)
        return record

    try:
        return await _until(actor, end, taken_up, name, wish.trouble)
    except (Conflict, Transient) as fault:
        goes_on = "it is written down in Vault: whoever works on the credential next carries it out"
        raise _WrittenError(f"{fault.reason}; {goes_on}") from None


def _request(actor: Actor, wish: OperatorCommand) -> OperatorRequest:
    at, wanted = actor.clock.now(), wish.wanted
    until = at + wish.length if wish.length else wish.until
    verb, request_id = RequestVerb(wish.verb), new_id()
    return OperatorRequest(request_id, verb, at, wanted.by, wanted.emergency, reason=wish.reason, until=until)


async def _until(actor: Actor, end: float, work: Callable[[], Awaitable[T]], name: str, trouble: dict[str, str]) -> T:
    """Repeat while another process has the lease or Vault gives no verdict, as long as there is time."""
    try:
        while True:
            try:
                return await work()
            except (Conflict, Transient) as fault:
                trouble[name] = fault.reason
                if actor.clock.monotonic() + AGAIN >= end or actor.worker_pool.stopping:
                    raise
            await actor.clock.sleep(AGAIN)
    finally:
        trouble.pop(name, None)


async def _obeyed(actor: Actor, wish: OperatorCommand, credential: Credential, end: float) -> Record:
    """Apply a command that is not written down as a request."""
    if wish.ended:
        word = operators.take_word(wish.wanted.by)
    elif wish.verb == "claim":
        word = operators.claim(wish.wanted.by, secrets.token_hex(LINEAGE))
    else:
        await actor.server(credential).control(credential)  # a probe that accepts anyone would let anything be adopted
        word = operators.adopt(wish.wanted.by)

    async def obeyed() -> Record:
        async with actor.worker_pool.aside(credential.name):
            return await actor.worker_pool.guard.reconciler.obey(credential, actor.dependencies(credential), word)

    return await _until(actor, end, obeyed, credential.name, wish.trouble)
