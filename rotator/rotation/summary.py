"""Owns one credential at a glance and in sentences: what status, plan and explain say. Pure; printing is cli's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from rotator.rotation import pause, retire, why
from rotator.rotation.credential import Credential
from rotator.rotation.decide import next_step
from rotator.rotation.record import Phase, Record
from rotator.rotation.steps import Hold, Request, Step, Wait


@dataclass(frozen=True, slots=True)
class Summary:
    """The fields that status shows and machines read. Times are UTC."""

    name: str
    target: str
    phase: str
    rotation: int
    live: int
    published_at: datetime | None
    expires_at: datetime | None
    next_at: datetime | None
    next: str
    trouble: str
    holder: str = ""
    lease: str = ""  # who has the record and what is waited for, in words
    operator_pause: str = ""  # who paused it, until when, and why


def summarise(
    credential: Credential, record: Record | None, now: datetime, holder: str = "", lease: str = ""
) -> Summary:
    """One credential at a glance; a missing record means that nothing was ever done. `lease`: the holder in words."""
    record = record or Record("")
    current = record.current
    step = next_step(credential, record, now)
    trouble = record.held.text if record.held else f"waits for a person: {record.awaiting}" if record.awaiting else ""
    if not trouble and record.failure:
        trouble = f"{record.failure.step}: {record.failure.reason}"
    return Summary(
        name=credential.name,
        target=credential.target,
        phase=record.phase.value,
        rotation=record.rotation,
        live=record.live,
        published_at=current.at if current else None,
        expires_at=current.token.expires_at if current else None,
        next_at=step.until if isinstance(step, Wait) else now,
        next=words(step),
        trouble=trouble,
        holder=holder,
        lease=lease,
        operator_pause=pause.words(paused) if (paused := pause.pause_on(record, now)) else "",
    )


def words(step: Step) -> str:
    """A step in words."""
    match step:
        case Wait(None, reason):
            return reason
        case Wait(until, reason):
            return f"wait until {until:%F %T}Z: {reason}" if until else reason
        case Request(reason, detail):
            return f"rotate now ({reason.value}): {detail}"
        case Hold(reason, text):
            return f"hold ({reason.value}): {text}"
    return type(step).__name__.lower()


_PHASES = {
    Phase.SETTLED: "Settled: one value is published, nothing is in flight.",
    Phase.UNDOING: "Undoing: {predecessor} is brought back, to be published again.",
    Phase.REQUESTED: "Requested: a mint under {mint} is authorised; it may or may not have happened.",
    Phase.AWAITING: "Awaiting: a person has to act since {since}. What to do: {awaiting}",
    Phase.STAGED: "Staged: {candidate} is minted and kept in the private slot; it is not proven yet.",
    Phase.INSTALLED: "Installed: the target was told {candidate}; it is not proven yet{apart}.",
    Phase.VERIFIED: "Verified: {candidate} is proven; it will be published over version {expected}.",
    Phase.PUBLISHED: "Published: {current} is live; {grace}.",
    Phase.CONDEMNED: "Condemned: {predecessor} is being revoked; this cannot be taken back.",
    Phase.REJECTED: "Rejected: attempt {attempt} failed; what lives under {mint} is being revoked.",
    Phase.HELD: "Held: a person must act.",
}


def explain(credential: Credential, record: Record | None, now: datetime, lease: str = "") -> Iterator[str]:
    """Why the credential is as it is, and what happens next, in sentences. `lease`: who has the record, in words."""
    if record is None:
        yield "Nothing was ever done for this credential."
        record = Record("")
    else:
        yield stands(record)
    yield from _published(record)
    yield from _rotation(credential, record)
    if paused := pause.pause_on(record, now):
        yield f"P{pause.words(paused)[1:]}."
    yield from _trouble(record)
    if lease:
        yield f"{lease[0].upper()}{lease[1:]}."
    yield f"Next: {words(next_step(credential, record, now))}."
    due = why.next_due(credential, record)
    if due and record.phase is Phase.SETTLED:
        yield f"By its schedule it is due at {due:%F %T}Z."


def stands(record: Record) -> str:
    """The phase in a sentence."""
    return _PHASES[record.phase].format(
        mint=record.mint_name,
        candidate=record.candidate.token.id if record.candidate else "the candidate",
        current=record.current.token.id if record.current else "the value",
        predecessor=record.predecessor.token.id if record.predecessor else "none",
        expected=record.expected_version,
        grace=_grace(record),
        attempt=record.attempt,
        awaiting=record.awaiting,
        since=f"{record.awaiting_since:%F %T}Z" if record.awaiting_since else "an unknown time",
        apart=", and until it is published consumers hold the old value, which is refused" if _apart(record) else "",
    )


def _grace(record: Record) -> str:
    old = record.predecessor
    return f"its predecessor {old.token.id} is in grace" if old else "it has no predecessor"


def _apart(record: Record) -> bool:
    return record.cut_over_at is not None


def _published(record: Record) -> Iterator[str]:
    current = record.current
    if current:
        end = current.token.expires_at
        life = f"expires {end:%F %T}Z" if end else "never expires"
        yield (
            f"{current.place} version {current.version} holds {current.token.id} since {current.at:%F %T}Z "
            f"(rotation {current.rotation}); it {life}."
        )


def _rotation(credential: Credential, record: Record) -> Iterator[str]:
    if record.undo:
        yield f"{record.undo.by} takes the rotation before back since {record.undo.at:%F %T}Z."
    elif record.requested_at and record.why:
        who = f", asked by {record.asked_by}" if record.asked_by else ""
        when = f"{record.requested_at:%F %T}Z"
        yield f"Rotation {record.rotation} was requested at {when} because: {record.why.value}{who}."
    if record.phase is Phase.PUBLISHED and record.predecessor and record.current:
        until = retire.earliest(credential.retire, record.current.at, emergency=record.emergency)
        yield f"The predecessor may go from {until:%F %T}Z on, once the published value is proven again."
    if record.evidence and record.phase in (Phase.CONDEMNED, Phase.SETTLED):
        yield f"Evidence: {record.evidence}."


def _trouble(record: Record) -> Iterator[str]:
    if record.held:
        yield f"Held since {record.held.at:%F %T}Z ({record.held.reason.value}): {record.held.text}."
    if record.failure:
        yield f"Last failure, {record.failure.at:%F %T}Z, at {record.failure.step}: {record.failure.reason}."
    if record.retry_at:
        yield f"Tried again at {record.retry_at:%F %T}Z."
