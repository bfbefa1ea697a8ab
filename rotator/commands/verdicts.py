"""What became of what was asked for: a verdict for each credential, in words that are true of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rotator.app.actor import App
from rotator.engine.pending_request import PendingRequest
from rotator.host.exit_codes import Exit, gravest
from rotator.ports import Fault, Transient
from rotator.rotation import pause, triggers
from rotator.rotation.record import Phase, PublishedValue, Record
from rotator.rotation.rotation_request import RequestAnswer, in_grace

_BATCH = 200  # verdicts in one line
_EXITS = {
    RequestAnswer.DONE: Exit.DONE,
    RequestAnswer.PUBLISHED: Exit.DONE,
    RequestAnswer.FAILED: Exit.FAILED,
    RequestAnswer.HELD: Exit.HELD,
    RequestAnswer.AWAITING: Exit.HELD,
    RequestAnswer.PAUSED: Exit.HELD,
    RequestAnswer.IN_GRACE: Exit.UNDECIDED,
    RequestAnswer.OPEN: Exit.UNDECIDED,
}
_TOWARDS_PUBLICATION = frozenset(
    {Phase.REQUESTED, Phase.AWAITING, Phase.STAGED, Phase.INSTALLED, Phase.VERIFIED, Phase.REJECTED}
)


def verdicts(
    app: App, asked: Mapping[str, PendingRequest], unwritten: Mapping[str, Fault], *, emergency: bool
) -> Iterable[dict[str, Any]]:
    """Verdicts in lines of a bearable length; the last one carries the exit code, and for whom anything was done.

    `unwritten`: those that could not be written down in Vault, and why.
    """
    found = [_unwritten(app, name, fault, emergency) for name, fault in unwritten.items()]
    found += [_verdict(app, name, each) for name, each in asked.items()]
    exits = {verdict["exit"] for verdict in found}
    while len(found) > _BATCH:
        yield {"verdicts": found[:_BATCH]}
        found = found[_BATCH:]
    done = sorted(name for name, each in asked.items() if each.latest is not None)
    yield {"verdicts": found, "done": done, "exit": gravest(exits)}


def _unwritten(app: App, name: str, fault: Fault, emergency: bool) -> dict[str, Any]:
    said = f"it could not be written down in Vault, so nothing was begun: {fault.reason}"
    if isinstance(fault, Transient):
        goes_on = emergency and not app.passing
        later = "the daemon goes on asking for Vault and carries it out then, unless it ends before" if goes_on else ""
        said = f"undecided: {said}; {later or 'ask again'}"
        return {"credential": name, "answer": RequestAnswer.OPEN.value, "exit": Exit.UNDECIDED, "said": said}
    return {"credential": name, "answer": RequestAnswer.FAILED.value, "exit": Exit.FAILED, "said": said}


def _verdict(app: App, name: str, asked: PendingRequest) -> dict[str, Any]:
    if asked.hopeless:
        return {"credential": name, "answer": RequestAnswer.FAILED.value, "exit": Exit.FAILED, "said": asked.closed}
    answer = asked.answer if _decided(asked) else RequestAnswer.OPEN
    said = _open(app, name, asked) if answer is RequestAnswer.OPEN else _said(app, name, asked, answer)
    living = _living(asked) if asked.ask.emergency else []
    if living and answer is not RequestAnswer.OPEN:
        said = f"{said}; not proven dead yet: {', '.join(living)}"
    found = {"credential": name, "answer": answer.value, "exit": _EXITS[answer], "said": said}
    return {**found, "ended": _ended(asked), "live": living} if asked.ask.emergency else found


def _decided(asked: PendingRequest) -> bool:
    """Whether it is over: by its answer, or by a transition that was heard of since, whose look goes on."""
    if asked.done.is_set() and not asked.closed:
        return True
    return asked.latest is not None and asked.hears(asked.latest)


def _ended(asked: PendingRequest) -> list[str]:
    """Tokens whose values were live when the emergency was typed, and are dead."""
    return [token for token in asked.ask.live if token and token not in _living(asked)]


def _living(asked: PendingRequest) -> list[str]:
    record = asked.latest or asked.record
    held = (record.current, record.predecessor, record.candidate) if record else ()
    alive = {each.token.id for each in held if each}
    return [token for token in asked.ask.live if token and (record is None or token in alive)]


def _open(app: App, name: str, asked: PendingRequest) -> str:
    """Why there is no verdict yet, what lives still, and who goes on with it: it is in Vault."""
    record, why_not = asked.latest or asked.record, waits_for(app, name, asked)
    if app.worker_pool.stopping and asked.latest is None and app.worker_pool.visits(name):
        why_not = f"{why_not} in the midst of a step, so ask `rotate explain {name}`"
    elif app.worker_pool.stopping and record and record.phase in _TOWARDS_PUBLICATION:
        why_not = f"{why_not}; rotation {record.rotation} is {record.phase.value} in its journal"
    if record is not None and record.current and asked.in_grace:
        why_not = f"{why_not}; {_live(record.current)}, its predecessor is accepted still"
    alive = f"; not proven dead yet: {', '.join(_living(asked))}" if asked.ask.emergency and _living(asked) else ""
    return f"undecided: {why_not}{alive}; it is written down in Vault, and {goes_on(app, name)}"


def goes_on(app: App, name: str) -> str:
    """Who goes on with what was begun."""
    if name not in app.settings.credentials:
        return f"nobody carries it out unless settings name {name} again within the hour; then it is given up"
    if app.passing:
        return f"a daemon goes on with it, or `rotate due`, or this command again; ask `rotate status {name}`"
    if app.worker_pool.stopping:
        return f"the next daemon goes on with it, or `rotate due`; ask `rotate status {name}`"
    return f"it goes on, ask `rotate status {name}`"


def _said(app: App, name: str, asked: PendingRequest, answer: RequestAnswer) -> str:
    record = asked.record
    assert record is not None  # it gave the answer
    if answer is RequestAnswer.HELD and record.held:
        return record.held.text
    if answer is RequestAnswer.AWAITING:
        return f"a person has to act, then it goes on by itself: {record.awaiting}"
    if answer is RequestAnswer.PAUSED:
        paused = pause.pause_on(app.settings.credentials[name], record, asked.ask.at)
        ended = pause.ended_by(paused, name) if paused else f"rotate resume {name}"
        return f"{pause.words(paused) if paused else 'paused'}; `{ended}` ends that, --emergency does not ask"
    if answer is RequestAnswer.FAILED:
        return _failed(app, name, record)
    current = record.current
    what = _live(current) if current else "nothing is live"
    if answer is RequestAnswer.IN_GRACE:
        since = f" since {current.at:%F %T}Z" if current else ""
        reason = asked.refused or in_grace(app.settings.credentials[name], record, app.clock.now())
        return f"nothing was begun: {reason}; {what}{since}"
    if answer is RequestAnswer.PUBLISHED:
        return f"{what}; the predecessor is in grace" if record.predecessor else what
    ended = f"; dead: {', '.join(_ended(asked))}" if asked.ask.emergency and _ended(asked) else ""
    return f"{what}; {record.evidence or 'no predecessor'}{ended}"


def _failed(app: App, name: str, record: Record) -> str:
    """That something is tried again is said only where something will be."""
    failure, again = record.failure, record.retry_at or app.clock.now()
    reason = f"given up for now: {failure.said}" if failure else "given up for now"
    if record.asked or triggers.due(app.settings.credentials[name], record, again):
        return f"{reason}; tried again at {again:%F %T}Z"
    return f"{reason}; what is published stays, and nothing is tried again by itself: mend that, then ask again"


def waits_for(app: App, name: str, asked: PendingRequest) -> str:
    """What stands between it and its verdict."""
    if asked.closed:
        return asked.closed
    if name not in app.worker_pool.seen:
        begun = asked.latest is not None or app.worker_pool.visits(name)
        return (app.worker_pool.stopping or "the first look at it has not ended") if begun else "not looked at yet"
    wait = app.worker_pool.seen[name].wait
    return f"{wait.reason} until {wait.until:%F %T}Z" if wait.until and asked.waits else wait.reason


def _live(current: PublishedValue) -> str:
    return f"rotation {current.rotation}: {current.token.id} is live at {current.place}"
