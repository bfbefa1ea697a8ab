"""What became of pause, resume, release, undo and adopt, in a word, a sentence and an exit code."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from rotator.app.actor import App
from rotator.commands.verdicts import goes_on
from rotator.host.exit_codes import Exit
from rotator.rotation import pause, triggers
from rotator.rotation.credential import Credential
from rotator.rotation.record import HoldReason, Phase, Record

DONE, FAILED, HELD, BUSY = Exit.DONE, Exit.FAILED, Exit.HELD, Exit.UNDECIDED
_POLL = 0.2  # seconds between two looks at what became of an undo

Outcome = tuple[str, str, int]


async def _paused(app: App, credential: Credential, record: Record, end: float) -> Outcome:
    said = pause.words(record.paused) if record.paused else ""
    hint = "" if record.phase is Phase.SETTLED else "; what is under way goes on to its publication"
    if record.predecessor:
        hint = f"; its predecessor {record.predecessor.token.id} lives on meanwhile"
    return "paused", said + hint, DONE


async def _resumed(app: App, credential: Credential, record: Record, end: float) -> Outcome:
    if still := pause.pause_on(credential, record, app.clock.now()):
        return "paused", f"{pause.words(still)}; `{pause.ended_by(still, credential.name)}` ends that", HELD
    due = triggers.due(credential, record, app.clock.now())
    return "resumed", f"due: {due[1]}" if due else "not due", DONE


def released(before: Record | None, record: Record) -> Outcome:
    held = before.held if before else None
    if held is None:
        return "released", "it was not held", DONE
    still = "; held again at the next look, should consumers still not find our value" if held.reason in _LOST else ""
    return "released", f"from {held.reason.value}; {record.phase.value}{still}", DONE


_LOST = (HoldReason.FOREIGN_WRITE, HoldReason.DELETED)


async def _undone(app: App, credential: Credential, begun: Record, end: float) -> Outcome:
    """Follow it to its end; it goes on when nobody waits for it."""
    while (record := _seen(app, credential.name, begun)) is None:
        if app.clock.monotonic() >= end or app.worker_pool.stopping:
            seen = app.worker_pool.seen.get(credential.name)
            waits = app.worker_pool.stopping or (seen.wait.reason if seen else "not looked at yet")
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
    seen = app.worker_pool.seen.get(name)
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


async def _claimed(app: App, credential: Credential, record: Record, end: float) -> Outcome:
    if not (record.current or record.rotation):
        return "claimed", "nothing was ever done for it: there is nothing to claim", DONE
    held = f"; still held: {record.held.text}" if record.held else ""
    return "claimed", f"its next rotation mints under new names{held}", HELD if record.held else DONE


OUTCOMES: dict[str, Callable[[App, Credential, Record, float], Awaitable[Outcome]]] = {
    "pause": _paused,
    "resume": _resumed,
    "undo": _undone,
    "adopt": _adopted,
    "claim": _claimed,
}
