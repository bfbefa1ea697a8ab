"""`advance`: how an event changes a record. Pure; it trusts that the event answers the step that was decided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from rotator.rotation import (
    adoption,
    foreign_journal,
    left_to_date,
    lost_value,
    mint_attempts,
    pause,
    rotation_request,
    schedule,
    undo,
)
from rotator.rotation import events as ev
from rotator.rotation.ahead import put_right
from rotator.rotation.mint_attempts import well_ended
from rotator.rotation.phases import (
    CondemnedState,
    PublishedState,
    RejectedState,
    RequestedState,
    SettledState,
    VerifiedState,
)
from rotator.rotation.record import Failure, Held, HoldReason, LeftValue, Phase, PublishedValue, Record, Unended
from rotator.rotation.retirement import BY_EXPIRY, left_behind
from rotator.rotation.wording import when

_Left = TypeVar("_Left", Unended, LeftValue)


def advance(record: Record, event: ev.Event) -> Record:
    """The record after the event."""
    return rotation_request.noted(_ADVANCE[type(event)](record, event), event)


def _escalated(record: Record, event: ev.Escalated) -> Record:
    return replace(record, emergency=True, asked_by=event.asked_by, retry_at=None)


def _resumed(record: Record, event: ev.Resumed) -> Record:
    """A mint may have left, and so may a value that the target was to be told, the next one or the old one again.

    The mint may have left just now: who is proven to have ended is followed at once.
    """
    record = put_right(record, event.at - event.rested)
    state = record.state
    if isinstance(state, RequestedState):
        return replace(record, state=replace(state, uncertain=True), sent_at=event.untraced or record.sent_at)
    put_back = isinstance(state, RejectedState) and state.cut_over_at is not None
    told = put_back or (record.candidate is not None and record.candidate.pending)
    return replace(record, unanswered_at=event.untraced) if told and event.untraced else record


def _verified(record: Record, event: ev.Verified) -> Record:
    proven = VerifiedState(
        replace(record.in_hand, pending=False),
        event.at,
        event.expected_version,
        event.grace,
        installed_at=record.installed_at,
        ready_at=record.ready_at,
        undo=record.undo,
        cut_over_at=record.cut_over_at,
    )
    return replace(record, state=proven, retry_at=None)


def _rejected(record: Record, event: ev.CandidateRejected) -> Record:
    """Before `verified` the candidate may be burned; after it the consumer path has to be fenced first."""
    if isinstance(record.state, VerifiedState):
        state, failure = replace(record.state, abandoned=event.reason), Failure("publish", event.reason, event.at)
        return replace(record, state=state, failure=failure, retry_at=None)
    return mint_attempts.reject(record, event.at, "verify", event.reason)


def _overtaken(record: Record, event: ev.Overtaken) -> Record:
    state = record.state
    moved = replace(state, expected_version=event.expected_version) if isinstance(state, VerifiedState) else state
    return replace(record, state=moved, retry_at=None)


def _published(record: Record, event: ev.Published) -> Record:
    candidate, place = record.in_hand, record.place
    if place is None:
        raise ValueError("published at no place")
    current = PublishedValue(
        token=candidate.token,
        fingerprint=candidate.fingerprint,
        rotation=record.rotation,
        version=event.version,
        at=event.at,
        place=place,
        target=record.target,
        policy=record.policy,
        beside=candidate.beside,
        public=candidate.public,
        key=candidate.key,
        reused=record.undo is not None,
    )
    return replace(
        record,
        state=PublishedState(),
        current=current,
        predecessor=_followed(record),
        unended=tuple(each for each in record.unended if each.value.fingerprint != candidate.fingerprint),  # it is back
        left=tuple(each for each in record.left if each.value.fingerprint != candidate.fingerprint),
        retired=None,
        ends_at=None,
        grace_ends=event.grace_ends,
        grace_from=None,
        **well_ended(record, event.at),
        refused_at=None,
        lost=None,
        failures=0,
        given_up=0,
        retry_at=None,
        failure=None,
    )


def _followed(record: Record) -> PublishedValue | None:
    """Whose end is awaited now; that the target refuses it already is known of what was published until now."""
    old = record.current if record.undo else left_behind(record)
    dead = record.refused_at or record.cut_over_at
    return replace(old, refused_at=dead) if old is not None and old is record.current and dead else old


def _fenced(record: Record, event: ev.Fenced) -> Record:
    if record.undo:
        return undo.failed(record, event.at, record.abandoned)
    rejected = RejectedState(record.candidate, cut_over_at=record.cut_over_at)
    return replace(record, state=rejected, failures=0, retry_at=None)


def _deferred(record: Record, event: ev.Deferred) -> Record:
    """What allowed the end of a predecessor stays its evidence, though the end takes a while to be noticed."""
    evidence = record.evidence if record.phase is Phase.CONDEMNED else event.reason
    since = event.since or event.at
    return replace(record, retry_at=event.until, retry_from=since, evidence=evidence, failure=None)


def _condemned(record: Record, event: ev.Condemned) -> Record:
    return replace(record, state=CondemnedState(event.at), evidence=event.evidence, failures=0, retry_at=None)


def _left_to_expire(record: Record, event: ev.LeftToExpire) -> Record:
    """Nothing is left to do, so the next rotation need not wait for the end."""
    old, emergency = record.predecessor, rotation_request.emergency_to_come(record)
    settled = replace(record, state=SettledState(), emergency=False, failures=0, retry_at=None)
    if not event.reason or old is None:
        evidence = f"{BY_EXPIRY}, expected at {when(event.until)}"
        return replace(settled, ends_at=event.until, evidence=evidence)
    left = left_to_date.kept(record, old, event.at, event.until, event.reason, again=emergency)
    return replace(settled, predecessor=None, ends_at=None, left=left, evidence=event.reason)


def _left_to_person(record: Record, event: ev.LeftToPerson) -> Record:
    """Nothing is left to do here, and the next rotation does not wait for the person."""
    old = record.predecessor
    if old is None:
        raise ValueError("no predecessor to leave to anybody")
    return replace(
        record,
        predecessor=None,
        ends_at=None,
        unended=(*record.unended, Unended(old, event.to_do, event.at, event.at)),
        evidence=f"{old.token.id} waits for a person to end it",
        failures=0,
        failure=None,
        retry_at=None,
    )


def _not_ended(record: Record, event: ev.NotEnded) -> Record:
    def looked(all_: tuple[_Left, ...]) -> tuple[_Left, ...]:
        return tuple(replace(x, looked_at=event.at) if x.value.token.id == event.token else x for x in all_)

    return replace(record, unended=looked(record.unended), left=looked(record.left))


def _ended(record: Record, event: ev.Ended) -> Record:
    unended = tuple(each for each in record.unended if each.value.token.id != event.token)
    evidence = event.proof if record.phase is Phase.SETTLED else record.evidence
    return replace(record, unended=unended, left=left_to_date.without(record, event.token), evidence=evidence)


def _disproved(record: Record, event: ev.Disproved) -> Record:
    """A new rotation is due at once. A live predecessor is kept: it is retired after the next publication."""
    failure = Failure("condemn", event.reason, event.at)
    return replace(
        record, state=SettledState(), refused_at=event.at, failure=failure, strays=True, emergency=False, retry_at=None
    )


def _retired(record: Record, event: ev.Retired) -> Record:
    """Where the published value ended with it, a new one is due at once."""
    old = record.predecessor
    return replace(
        record,
        refused_at=event.at if event.took else record.refused_at,
        ends_together=old.target if event.took and old else record.ends_together,
        predecessor=None,
        retired=None if record.emergency else old,  # after an emergency it counts as leaked
        ends_at=None,
        evidence=event.proof,
        failures=0,
        retry_at=None,
    )


def _swept(record: Record, event: ev.Swept) -> Record:
    """A rotation that was given up keeps its pause and its failure."""
    tidy = replace(record, slot_full=False, strays=False, sends=0, emergency=False, settled_at=event.at)
    if record.phase is Phase.SETTLED:
        return tidy
    return replace(tidy, state=SettledState(), failures=0, failure=None, retry_at=None)


def _reaped(record: Record, event: ev.Reaped) -> Record:
    """What ended was not the record's, unless its credential had left the settings: then nobody shall miss it again."""
    current, before = record.current, record.predecessor
    if current is not None and current.token.id == event.stray:
        return replace(record, refused_at=event.at)
    return replace(record, predecessor=None) if before is not None and before.token.id == event.stray else record


def _put_on_hold(record: Record, event: ev.PutOnHold) -> Record:
    return replace(record, state=Held(event.reason, event.text, event.at, record.reached), retry_at=None)


def _released(record: Record, event: ev.Released) -> Record:
    """The person has looked, and that clears the reason: the mint budget begins anew, a predecessor in use may go.

    Where an old value could not be put back because Vault has lost it, only a new one helps: it is due at once.
    """
    reason, state = record.held.reason if record.held else None, record.reached
    lost_value = reason is HoldReason.FOREIGN_WRITE and isinstance(state, RejectedState)
    return replace(
        record,
        state=SettledState() if lost_value else state,
        refused_at=event.at if lost_value else record.refused_at,
        lost=None,  # they looked, and so do we
        failures=0,
        given_up=0,
        retry_at=None,
        mints=() if reason is HoldReason.MINT_BUDGET else record.mints,
        emergency_mints=() if reason is HoldReason.MINT_BUDGET else record.emergency_mints,
        emergency=record.emergency or reason is HoldReason.STILL_USED,
    )


def _given_up_until(record: Record, since: datetime) -> datetime:
    """The end of the pause after what was given up, by the clock of who failed `since`: the one that began it may be
    ahead.
    """
    if record.phase is not Phase.SETTLED or record.retry_at is None:
        return since
    return record.retry_at - max((record.retry_from or since) - since, timedelta())


def _person_since(record: Record, event: ev.Faulted) -> datetime | None:
    before = record.hampered
    return (before.person_since if before else event.at) if event.person else None


def _faulted(record: Record, event: ev.Faulted) -> Record:
    """What got no answer may take effect for as long as the target takes to settle, from now on."""
    failures, state = record.failures + 1, record.state
    if isinstance(state, CondemnedState) and event.in_vain:
        state = replace(state, in_vain=state.in_vain + 1)
    unanswered = isinstance(state, RequestedState) and not state.uncertain
    since, pause = event.since or event.at, schedule.step_pause(failures, record.lineage, event.retry_after)
    until = max(since + pause, _given_up_until(record, since))
    return replace(
        record,
        state=replace(state, uncertain=True) if isinstance(state, RequestedState) else state,
        failures=failures,
        failure=Failure(event.step, event.reason, event.at, _person_since(record, event)),
        retry_at=until,
        retry_from=since,
        sent_at=event.at if unanswered else record.sent_at,
        unanswered_at=event.unanswered or record.unanswered_at,
    )


_ADVANCE: dict[type[ev.Event], Callable[[Record, Any], Record]] = {
    ev.Requested: mint_attempts.requested,
    ev.Escalated: _escalated,
    ev.Resumed: _resumed,
    ev.Staged: mint_attempts.staged,
    ev.MintLost: mint_attempts.mint_lost,
    ev.NotMinted: mint_attempts.not_minted,
    ev.MintRefused: mint_attempts.mint_refused,
    ev.Awaited: mint_attempts.awaited,
    ev.Polled: mint_attempts.polled,
    ev.Reminded: mint_attempts.reminded,
    ev.Installed: mint_attempts.installed,
    ev.Verified: _verified,
    ev.CandidateRejected: _rejected,
    ev.Overtaken: _overtaken,
    ev.Published: _published,
    ev.Fenced: _fenced,
    ev.Deferred: _deferred,
    ev.Condemned: _condemned,
    ev.LeftToExpire: _left_to_expire,
    ev.Reopened: left_to_date.reopened,
    ev.LeftToPerson: _left_to_person,
    ev.NotEnded: _not_ended,
    ev.Ended: _ended,
    ev.Disproved: _disproved,
    ev.Lost: lost_value.missed,
    ev.Returned: lost_value.returned,
    ev.Retired: _retired,
    ev.Burned: mint_attempts.burned,
    ev.Swept: _swept,
    ev.Reaped: _reaped,
    ev.PutOnHold: _put_on_hold,
    ev.Released: _released,
    ev.Faulted: _faulted,
    ev.RequestTaken: rotation_request.taken,
    ev.RequestDeclined: rotation_request.declined,
    ev.Paused: pause.paused,
    ev.Unpaused: pause.unpaused,
    ev.UndoBegun: undo.begun,
    ev.Restored: undo.restored,
    ev.UndoFailed: undo.given_up,
    ev.Adopted: adoption.adopted,
    ev.Claimed: foreign_journal.claimed,
}
