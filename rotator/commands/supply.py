"""`rotate supply`: a reconcile with a value from a person, which never travels over the control socket."""

from __future__ import annotations

from datetime import datetime

from rotator.app.composition import Actor
from rotator.commands.outcomes import goes_on
from rotator.commands.rotate import BUSY, DONE, FAILED, HELD
from rotator.engine.context import SuppliedValue
from rotator.engine.reconciler import ReconcileResult
from rotator.ports import Conflict, Refused, SupportsSupply
from rotator.rotation.admission import by_calendar
from rotator.rotation.credential import Credential
from rotator.rotation.record import Phase, Record
from rotator.rotation.rotation_request import RequestAnswer, RotationRequest, answer
from rotator.rotation.secret import Secret
from rotator.rotation.wording import when

_SOON = 1.0  # seconds between two tries while another process has the lease
PATIENCE = 90.0  # seconds to wait for the lease, and for the target to accept the value


async def supply(
    actor: Actor, name: str, value: Secret, by: str, expires_at: datetime | None = None
) -> tuple[str, int]:
    """The outcome in words, and the exit code. Raises Refused when the kind takes no value from a person."""
    credential = actor.settings.credentials[name]
    if not isinstance(actor.dependencies(credential).provider, SupportsSupply):
        raise Refused(f"{credential.kind} makes its own values; ask for a new one with: rotate now {name}")
    if objection := _objection(credential, (await actor.journal.load(name)).record, actor.clock.now()):
        raise Refused(objection)
    await actor.worker_pool.guard.control(credential)
    ask, supplied = RotationRequest(actor.clock.now(), by), SuppliedValue(value, expires_at)
    end = actor.clock.monotonic() + PATIENCE
    while True:
        seen = await _visit(actor, name, ask, supplied)
        verdict = _verdict(seen.record, ask) if seen and seen.record and supplied.taken else None
        if verdict:
            return verdict
        if actor.clock.monotonic() >= end or actor.worker_pool.stopping:
            said = actor.worker_pool.stopping or (seen.wait.reason if seen else "somebody else works on it")
            if not supplied.taken:
                return f"not begun: {said}; the value was not handed over", BUSY
            return f"undecided: {said}; the value is staged, and {goes_on(actor, name)}", BUSY
        await actor.clock.sleep(_SOON)


async def _visit(actor: Actor, name: str, ask: RotationRequest, supplied: SuppliedValue) -> ReconcileResult | None:
    credential = actor.settings.credentials[name]
    try:
        return await actor.worker_pool.guard.reconciler.reconcile(
            credential, actor.dependencies(credential), ask, supplied
        )
    except Conflict:
        return None


def _objection(credential: Credential, record: Record | None, now: datetime) -> str:
    """Why no value can be supplied now."""
    if record is None or record.phase is Phase.SETTLED:
        no = by_calendar(credential, record or Record(""), now)
        return f"{no.reason}; no rotation begins before {when(no.until)}" if no else ""
    if record.phase is Phase.AWAITING:
        return f"it does not wait for a value: {record.awaiting}" if record.candidate else ""
    if record.phase is Phase.HELD and record.held:
        return f"it is held: {record.held.text}"
    return "a rotation is under way, which needs no value: hand it over when that is settled"


def _verdict(record: Record, ask: RotationRequest) -> tuple[str, int] | None:
    current, failure = record.current, record.failure
    match answer(record, ask):
        case RequestAnswer.PUBLISHED | RequestAnswer.DONE if current:
            return f"accepted and published at {current.place}, rotation {current.rotation}", DONE
        case RequestAnswer.HELD if record.held:
            return f"held: {record.held.text}", HELD
        case RequestAnswer.AWAITING:
            why = f"{failure.said}; " if failure and failure.at >= ask.at else ""
            return f"not published: {why}{record.awaiting}", FAILED
        case RequestAnswer.FAILED if failure:
            return f"not published: {failure.said}", FAILED
    return None
