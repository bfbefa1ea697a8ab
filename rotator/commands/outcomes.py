"""The outcomes of commands: for each credential a word, a sentence and an exit code; then what became of the hooks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any

from rotator.app.composition import Actor
from rotator.engine.worker_pool import PendingRequest
from rotator.host.exit_codes import Exit, gravest
from rotator.host.shutdown import out_of_time
from rotator.ports import Fault, Transient
from rotator.rotation import pause, triggers
from rotator.rotation.admission import begins_at
from rotator.rotation.credential import Credential
from rotator.rotation.record import HoldReason, Phase, PublishedValue, Record
from rotator.rotation.rotation_request import RequestAnswer, in_grace, left_to_person
from rotator.rotation.wording import when

_BATCH = 200  # verdicts in one line
_EXITS = {
    RequestAnswer.DONE: Exit.DONE,
    RequestAnswer.PUBLISHED: Exit.DONE,
    RequestAnswer.FAILED: Exit.FAILED,
    RequestAnswer.HELD: Exit.HELD,
    RequestAnswer.AWAITING: Exit.HELD,
    RequestAnswer.PAUSED: Exit.HELD,
    RequestAnswer.IN_GRACE: Exit.UNDECIDED,
    RequestAnswer.NOT_OPEN: Exit.UNDECIDED,
    RequestAnswer.OPEN: Exit.UNDECIDED,
}
_TOWARDS_PUBLICATION = frozenset(
    {Phase.REQUESTED, Phase.AWAITING, Phase.STAGED, Phase.INSTALLED, Phase.VERIFIED, Phase.REJECTED}
)
DONE, FAILED, HELD, BUSY = Exit.DONE, Exit.FAILED, Exit.HELD, Exit.UNDECIDED
_POLL = 0.2  # seconds between two checks of an undo
Outcome = tuple[str, str, int]
LEAST = 10.0  # seconds for hooks, even if the caller has less
_LOOK = 0.1  # seconds
_SIGN = 10.0  # seconds between two signs of life


def verdicts(
    actor: Actor, asked: Mapping[str, PendingRequest], unwritten: Mapping[str, Fault], *, emergency: bool
) -> Iterable[dict[str, Any]]:
    """Verdicts in lines of limited length. The last one has the exit code, and for which credentials work was done.

    `unwritten`: credentials whose request could not be written to Vault, and why.
    """
    found = [_unwritten(actor, name, fault, emergency) for name, fault in unwritten.items()]
    found += [_verdict(actor, name, each) for name, each in asked.items()]
    exits = {verdict["exit"] for verdict in found}
    while len(found) > _BATCH:
        yield {"verdicts": found[:_BATCH]}
        found = found[_BATCH:]
    done = sorted(name for name, each in asked.items() if each.latest is not None)
    yield {"verdicts": found, "done": done, "exit": gravest(exits)}


def _unwritten(actor: Actor, name: str, fault: Fault, emergency: bool) -> dict[str, Any]:
    said = f"it could not be written down in Vault, so nothing was begun: {fault.reason}"
    if isinstance(fault, Transient):
        goes_on = emergency and not actor.passing
        later = "the daemon goes on asking for Vault and carries it out then, unless it ends before" if goes_on else ""
        said = f"undecided: {said}; {later or 'ask again'}"
        return {"credential": name, "answer": RequestAnswer.OPEN.value, "exit": Exit.UNDECIDED, "said": said}
    return {"credential": name, "answer": RequestAnswer.FAILED.value, "exit": Exit.FAILED, "said": said}


def _verdict(actor: Actor, name: str, asked: PendingRequest) -> dict[str, Any]:
    if asked.hopeless:
        return {"credential": name, "answer": RequestAnswer.FAILED.value, "exit": Exit.FAILED, "said": asked.closed}
    answer = asked.answer if _decided(asked) else RequestAnswer.OPEN
    said = _open(actor, name, asked) if answer is RequestAnswer.OPEN else _said(actor, name, asked, answer)
    living = _living(asked) if asked.ask.emergency else []
    if living and answer is not RequestAnswer.OPEN:
        said = f"{said}; not proven dead yet: {', '.join(living)}"
    code, left = _EXITS[answer], _left(asked, living) if answer is RequestAnswer.DONE else ""
    if left:
        answer, code = RequestAnswer.PUBLISHED, Exit.FAILED
        said = f"{said} ({left}; `rotate revoke {name}` tries again)"
    found = {"credential": name, "answer": answer.value, "exit": code, "said": said}
    return {**found, "ended": _ended(asked), "live": living} if asked.ask.emergency else found


def _decided(asked: PendingRequest) -> bool:
    """Whether it is over: by its answer, or by a transition that was heard of since, whose look goes on."""
    if asked.done.is_set() and not asked.closed:
        return True
    return asked.latest is not None and asked.hears(asked.latest)


def _ended(asked: PendingRequest) -> list[str]:
    """Tokens that lived when the emergency was typed, and are dead now."""
    return [token for token in asked.ask.live if token and token not in _living(asked)]


def _living(asked: PendingRequest) -> list[str]:
    record = asked.latest or asked.record
    held = (*record.published, record.candidate) if record else ()
    alive = {each.token.id for each in held if each}
    return [token for token in asked.ask.live if token and (record is None or token in alive)]


def _left(asked: PendingRequest, living: list[str]) -> str:
    """When those end by themselves that were to be revoked, and why they were not; empty: there is none."""
    left = [each for each in asked.record.left if each.reason] if asked.record else []
    said = [each for each in left if each.value.token.id in living]
    return "; ".join(f"{x.value.token.id} ends by itself at {when(x.until)}, not revoked: {x.reason}" for x in said)


def _open(actor: Actor, name: str, asked: PendingRequest) -> str:
    """Why there is no verdict yet, what still lives, and who continues."""
    record, why_not = asked.latest or asked.record, waits_for(actor, name, asked)
    if actor.worker_pool.stopping and asked.latest is None and actor.worker_pool.visits(name):
        why_not = f"{why_not} in the midst of a step, so ask `rotate explain {name}`"
    elif actor.worker_pool.stopping and record and record.phase in _TOWARDS_PUBLICATION:
        why_not = f"{why_not}; rotation {record.rotation} is {record.phase.value} in its journal"
    if record is not None and record.current and asked.in_grace:
        why_not = f"{why_not}; {_live(record.current)}, its predecessor is accepted still"
    alive = f"; not proven dead yet: {', '.join(_living(asked))}" if asked.ask.emergency and _living(asked) else ""
    return f"undecided: {why_not}{alive}; it is written down in Vault, and {goes_on(actor, name)}"


def goes_on(actor: Actor, name: str) -> str:
    """A sentence on the process that continues the work."""
    if name not in actor.settings.credentials:
        return f"nobody carries it out unless settings name {name} again within the hour; then it is given up"
    if actor.passing:
        return f"a daemon goes on with it, or `rotate due`, or this command again; ask `rotate status {name}`"
    if actor.worker_pool.stopping:
        return f"the next daemon goes on with it, or `rotate due`; ask `rotate status {name}`"
    return f"it goes on, ask `rotate status {name}`"


def _said(actor: Actor, name: str, asked: PendingRequest, answer: RequestAnswer) -> str:
    record = asked.record
    assert record is not None  # it gave the answer
    if answer is RequestAnswer.HELD and record.held:
        return record.held.text
    if answer is RequestAnswer.AWAITING:
        if record.phase is Phase.AWAITING:
            return f"a person has to act, then it goes on by itself: {record.awaiting}"
        if record.hampered and record.current:
            return f"{_live(record.current)}; a person has to act, then it goes on by itself: {record.hampered.said}"
        left = "; ".join(f"{each.value.token.id}: {each.to_do}" for each in left_to_person(record, asked.ask))
        live = _live(record.current) if record.current else "nothing is live"
        return f"{live}; a person has to end what was published before, then it is proven dead: {left}"
    if answer is RequestAnswer.PAUSED:
        paused = pause.pause_on(actor.settings.credentials[name], record, asked.ask.at)
        ended = pause.ended_by(paused, name) if paused else f"rotate resume {name}"
        return f"{pause.words(paused) if paused else 'paused'}; `{ended}` ends that, --emergency does not ask"
    if answer is RequestAnswer.FAILED:
        return _failed(actor, name, record)
    current = record.current
    what = _live(current) if current else "nothing is live"
    if answer in (RequestAnswer.IN_GRACE, RequestAnswer.NOT_OPEN):
        since = f" since {current.at:%F %T}Z" if current else ""
        reason = asked.refused or in_grace(actor.settings.credentials[name], record, actor.clock.now())
        return f"nothing was begun: {reason}; {what}{since}"
    if answer is RequestAnswer.PUBLISHED:
        return f"{what}; the predecessor is in grace" if record.predecessor else what
    ended = f"; dead: {', '.join(_ended(asked))}" if asked.ask.emergency and _ended(asked) else ""
    return f"{what}; {record.evidence or 'no predecessor'}{ended}"


def _failed(actor: Actor, name: str, record: Record) -> str:
    """The words about a failure; they promise another try only if there will be one."""
    failure, again = record.failure, record.retry_at or actor.clock.now()
    again = begins_at(actor.settings.credentials[name], record, again)
    reason = f"given up for now: {failure.said}" if failure else "given up for now"
    if record.asked or triggers.due(actor.settings.credentials[name], record, again):
        return f"{reason}; tried again at {again:%F %T}Z"
    return f"{reason}; what is published stays, and nothing is tried again by itself: mend that, then ask again"


def waits_for(actor: Actor, name: str, asked: PendingRequest) -> str:
    """The reason why there is no verdict yet."""
    if asked.closed:
        return asked.closed
    if name not in actor.worker_pool.seen:
        begun = asked.latest is not None or actor.worker_pool.visits(name)
        return (actor.worker_pool.stopping or "the first look at it has not ended") if begun else "not looked at yet"
    wait = actor.worker_pool.seen[name].wait
    return f"{wait.reason} until {wait.until:%F %T}Z" if wait.until and asked.waits else wait.reason


def _live(current: PublishedValue) -> str:
    return f"rotation {current.rotation}: {current.token.id} is live at {current.place}"


async def _paused(actor: Actor, credential: Credential, record: Record, end: float) -> Outcome:
    said = pause.words(record.paused) if record.paused else ""
    hint = "" if record.phase is Phase.SETTLED else "; what is under way goes on to its publication"
    if record.predecessor:
        hint = f"; its predecessor {record.predecessor.token.id} lives on meanwhile"
    return "paused", said + hint, DONE


async def _resumed(actor: Actor, credential: Credential, record: Record, end: float) -> Outcome:
    if still := pause.pause_on(credential, record, actor.clock.now()):
        return "paused", f"{pause.words(still)}; `{pause.ended_by(still, credential.name)}` ends that", HELD
    due = triggers.due(credential, record, actor.clock.now())
    return "resumed", f"due: {due[1]}" if due else "not due", DONE


def released(before: Record | None, record: Record) -> Outcome:
    held = before.held if before else None
    if held is None:
        return "released", "it was not held", DONE
    still = "; held again at the next look, should consumers still not find our value" if held.reason in _LOST else ""
    return "released", f"from {held.reason.value}; {record.phase.value}{still}", DONE


_LOST = (HoldReason.FOREIGN_WRITE, HoldReason.DELETED)


async def _undone(actor: Actor, credential: Credential, begun: Record, end: float) -> Outcome:
    """Follow an undo to its end. It goes on if nobody waits."""
    while (record := _seen(actor, credential.name, begun)) is None:
        if actor.clock.monotonic() >= end or actor.worker_pool.stopping:
            seen = actor.worker_pool.seen.get(credential.name)
            waits = actor.worker_pool.stopping or (seen.wait.reason if seen else "not looked at yet")
            return "undecided", f"{waits}; {goes_on(actor, credential.name)}", BUSY
        await actor.clock.sleep(_POLL)
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


def _seen(actor: Actor, name: str, begun: Record) -> Record | None:
    """The result of the last reconcile, once the undo has ended."""
    seen = actor.worker_pool.seen.get(name)
    record = seen.record if seen else None
    if record is None or record.rotation < begun.rotation or (record.undo and not record.held):
        return None
    return record


async def _adopted(actor: Actor, credential: Credential, record: Record, end: float) -> Outcome:
    current = record.current
    if current is None or not current.reused:
        return "adopted", "it is ours already: nothing to adopt", DONE
    said = f"{current.token.id} at {current.place}, version {current.version}; nothing was written and nothing rotated"
    left = f"; {record.predecessor.token.id}, published before, ends after its grace" if record.predecessor else ""
    return "adopted", f"{said}. From now on it is ours: its successor's publication will end it{left}", DONE


async def _claimed(actor: Actor, credential: Credential, record: Record, end: float) -> Outcome:
    if not (record.current or record.rotation):
        return "claimed", "nothing was ever done for it: there is nothing to claim", DONE
    held = f"; still held: {record.held.text}" if record.held else ""
    return "claimed", f"its next rotation mints under new names{held}", HELD if record.held else DONE


OUTCOMES: dict[str, Callable[[Actor, Credential, Record, float], Awaitable[Outcome]]] = {
    "pause": _paused,
    "resume": _resumed,
    "undo": _undone,
    "adopt": _adopted,
    "claim": _claimed,
}


class HookOutcome:
    """The outcome of a command's hooks; made before the work. `rotate` without a daemon waits for its hooks."""

    def __init__(self, actor: Actor, names: Collection[str]) -> None:
        self._actor, self._names = actor, names
        self._hooks = None if actor.passing else actor.hooks
        self._before = self._hooks.undelivered(names) if self._hooks else {}

    async def lines(self, code: int, by: float) -> AsyncGenerator[dict[str, Any]]:
        """Wait for hooks until `by` (monotonic seconds); one line if not all deliveries succeeded.

        `code`: the exit code of the verdict.
        """
        if self._hooks is None:
            return
        clock = self._actor.clock
        sign, by = clock.monotonic(), max(by, clock.monotonic() + LEAST)
        while (owing := self._hooks.owing(self._names)) and clock.monotonic() < by and not out_of_time():
            if self._actor.worker_pool.stopping:
                break
            if clock.monotonic() >= sign + _SIGN:
                sign = clock.monotonic()
                yield {"waiting": len(owing), "said": f"hook {', '.join(owing)} has not answered yet"}
            await clock.sleep(_LOOK)
        after = self._hooks.undelivered(self._names)
        failed = sorted(name for name, count in after.items() if count > self._before[name])
        if failed or owing:
            yield failed_line(code, failed, owing)


def failed_line(code: int, failed: Iterable[str], owing: Iterable[str] = ()) -> dict[str, Any]:
    """The line about hooks that failed after the work was done. `owing`: hooks that are still tried."""
    said = [f"hook {', '.join(failed)} failed, or was not called any more"] if failed else []
    said += [f"hook {', '.join(owing)} did not succeed yet and is still tried"] if owing else []
    text = f"{'; '.join(said)}; what was done stays done, the log says why"
    return {"hooks_failed": [*failed, *owing], "said": text, "exit": gravest([code, Exit.HOOK_FAILED])}
