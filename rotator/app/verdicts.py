"""What became of what was asked for: a verdict for each credential, in words that are true of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rotator.app.actor import App
from rotator.engine.asked import Asked
from rotator.host.exit_codes import Exit, gravest
from rotator.rotation import pause
from rotator.rotation.ask import Answer
from rotator.rotation.record import Phase, Published

_BATCH = 200  # verdicts in one line
_EXITS = {
    Answer.DONE: Exit.DONE,
    Answer.PUBLISHED: Exit.DONE,
    Answer.FAILED: Exit.FAILED,
    Answer.HELD: Exit.HELD,
    Answer.AWAITING: Exit.HELD,
    Answer.PAUSED: Exit.HELD,
    Answer.IN_GRACE: Exit.UNDECIDED,
    Answer.OPEN: Exit.UNDECIDED,
}
_TOWARDS_PUBLICATION = frozenset(
    {Phase.REQUESTED, Phase.AWAITING, Phase.STAGED, Phase.INSTALLED, Phase.VERIFIED, Phase.REJECTED}
)


def verdicts(app: App, asked: Mapping[str, Asked]) -> Iterable[dict[str, Any]]:
    """Verdicts in lines of a bearable length; the last one carries the exit code, and for whom anything was done."""
    found = [_verdict(app, name, each) for name, each in asked.items()]
    exits = {verdict["exit"] for verdict in found}
    while len(found) > _BATCH:
        yield {"verdicts": found[:_BATCH]}
        found = found[_BATCH:]
    done = sorted(name for name, each in asked.items() if each.latest is not None)
    yield {"verdicts": found, "done": done, "exit": gravest(exits)}


def _verdict(app: App, name: str, asked: Asked) -> dict[str, Any]:
    if asked.hopeless:
        return {"credential": name, "answer": Answer.FAILED.value, "exit": Exit.FAILED, "said": asked.closed}
    answer = asked.answer if asked.done.is_set() and not asked.closed else Answer.OPEN
    said = _open(app, name, asked) if answer is Answer.OPEN else _said(name, asked, answer)
    return {"credential": name, "answer": answer.value, "exit": _EXITS[answer], "said": said}


def _open(app: App, name: str, asked: Asked) -> str:
    """Why there is no verdict yet, and what of it goes on by itself; what was never begun does not."""
    record, why = asked.latest or asked.record, waits_for(app, name, asked)
    if record is not None and record.current and asked.in_grace:
        return f"undecided: {why}; {_live(record.current)}, its predecessor is accepted still; {goes_on(app, name)}"
    if app.passing or app.crew.stopping:
        if asked.latest is None and app.crew.visits(name):
            return f"undecided: {why} in the midst of a step, so ask `rotate explain {name}`; {goes_on(app, name)}"
        if record is None or record.phase not in _TOWARDS_PUBLICATION:
            again = "; what was live is accepted still" if asked.ask.emergency else ""
            return f"not begun: {why}; nothing was written for it, so ask again{again}"
        why = f"{why}; rotation {record.rotation} is {record.phase.value} in its journal"
    return f"undecided: {why}; {goes_on(app, name)}"


def goes_on(app: App, name: str) -> str:
    """Who goes on with what was begun."""
    if app.passing:
        return f"a daemon goes on with it, or `rotate due`, or this command again; ask `rotate status {name}`"
    if app.crew.stopping:
        return f"the next daemon goes on with it, or `rotate due`; ask `rotate status {name}`"
    return f"it goes on, ask `rotate status {name}`"


def _said(name: str, asked: Asked, answer: Answer) -> str:
    record = asked.record
    assert record is not None  # it gave the answer
    if answer is Answer.HELD and record.held:
        return record.held.text
    if answer is Answer.AWAITING:
        return f"a person has to act, then it goes on by itself: {record.awaiting}"
    if answer is Answer.PAUSED and record.paused:
        return f"{pause.words(record.paused)}; `rotate resume {name}` ends that, --emergency does not ask"
    if answer is Answer.FAILED and record.failure:
        return (
            f"given up for now at {record.failure.step}: {record.failure.reason}; tried again {record.retry_at:%F %T}Z"
        )
    current = record.current
    what = _live(current) if current else "nothing is live"
    if answer is Answer.IN_GRACE:
        return (
            f"{what} since {current.at:%F %T}Z, predecessor in grace; --emergency ends the grace" if current else what
        )
    if answer is Answer.PUBLISHED:
        return f"{what}; the predecessor is in grace" if record.predecessor else what
    return f"{what}; {record.evidence or 'no predecessor'}"


def waits_for(app: App, name: str, asked: Asked) -> str:
    """What stands between it and its verdict."""
    if asked.closed:
        return asked.closed
    return app.crew.seen[name].wait.reason if name in app.crew.seen else "not looked at yet"


def _live(current: Published) -> str:
    return f"rotation {current.rotation}: {current.token.id} is live at {current.place}"
