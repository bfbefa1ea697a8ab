"""The last steps: decide about the predecessor, revoke it, prove it dead, and sweep."""

from __future__ import annotations

from contextlib import suppress

from rotator.rotation import events as ev
from rotator.rotation import foreign_journal, lost_value
from rotator.rotation.answers import Accepted, Capabilities, Document, Rejected, Unknown, Verdict
from rotator.rotation.credential import OnForeign
from rotator.rotation.faults import CannotPresent, Conflict, MinterRefused, NeedsPerson, Refused, Transient
from rotator.rotation.observation import Observation
from rotator.rotation.ownership import ConsumerContent, is_stray
from rotator.rotation.phases import CondemnedState
from rotator.rotation.procedures.calls import (
    DestroySlot,
    FindTokens,
    InspectToken,
    Procedure,
    ProveDead,
    ReadSlot,
    RevokeToken,
    StillOurs,
    VerifyValue,
)
from rotator.rotation.procedures.consumer_path import look, published_value
from rotator.rotation.procedures.mint import attempt_in, reap
from rotator.rotation.procedures.publish import early
from rotator.rotation.record import HoldReason, PublishedValue, Record
from rotator.rotation.retirement import PROVEN, REVOCATIONS, Go, NotYet, Use, grace_from, judge, pause_after
from rotator.rotation.secret import Secret
from rotator.rotation.steps import Condemn, LookWhetherEnded, Revoke, Sweep
from rotator.rotation.wording import when


def condemn(seen: Observation, record: Record, step: Condemn) -> Procedure[ev.Event]:
    """Prove the published value as consumers read it, then decide by the predecessor's use whether it may end."""
    current, predecessor = record.current, record.predecessor
    if current is None or predecessor is None:
        raise ValueError("nothing to condemn")
    if step.overdue and (end := predecessor.token.expires_at):
        return ev.LeftToExpire(seen.at, end, record.failure.said if record.failure else _OVERDUE)
    if left := (yield from _left_to_expire(seen, record, predecessor)):
        return left
    proof = yield from _proof(seen, record, current)
    if not isinstance(proof, str):
        return proof
    use = yield from _use(seen, record, predecessor)
    verdict = judge(
        seen.credential.retire,
        grace_from(record, current),
        seen.now,
        use,
        emergency=record.emergency,
        promised=record.grace_ends,
        proof=proof,
        watched=step.watched,
    )
    match verdict:
        case Go(evidence):
            return ev.Condemned(seen.at, evidence)
        case NotYet(until, reason):
            return ev.Deferred(seen.at, until, reason, since=seen.now)
    return seen.held(HoldReason.STILL_USED, verdict.text)


def _left_to_expire(seen: Observation, record: Record, predecessor: PublishedValue) -> Procedure[ev.Event | None]:
    """The event of a predecessor that ends by its own date, for which nothing has to be proven.

    None if we have to revoke it, or if a person has to end it because its date is unknown.
    """
    can, why = seen.capabilities(predecessor.target), ""
    if can.can_revoke:
        why = (yield from _not_to_revoke(seen, record, predecessor)) if can.revokes_by_value else ""
        if not why:
            return None
    if can.mint_ends_predecessor and (yield from _is_dead(seen, predecessor))[0]:
        return ev.LeftToExpire(seen.at, seen.at)
    until = (yield from InspectToken(predecessor.target, predecessor.token)).expires_at
    return ev.LeftToExpire(seen.at, until, why) if until else None


def _not_to_revoke(seen: Observation, record: Record, predecessor: PublishedValue) -> Procedure[str]:
    """Why a predecessor that is revoked by its value is left to its date, in words; empty: it is revoked."""
    if record.ends_together == predecessor.target and not record.emergency:
        return f"at target {predecessor.target} the published value ends with it"
    if (yield from published_value(seen, predecessor)) is None:
        return f"version {predecessor.version} of {predecessor.place} is gone from Vault, and only its value ends it"
    return ""


_OVERDUE = "the next rotation is due before its grace is over"


def _proof(seen: Observation, record: Record, current: PublishedValue) -> Procedure[ev.Event | str]:
    """How the successor is proven, in words; an event if the predecessor must wait."""
    doc, content = yield from look(seen, record)
    if objected := _objection(seen, record, doc, content):
        return objected
    secret = seen.value(doc, record)
    if content is not ConsumerContent.CURRENT or secret is None:
        return _unproven(secret)
    try:
        verdict = yield from VerifyValue(current.target, current.token, secret)
    except CannotPresent as fault:  # it was proven at its publication; changed settings will replace it
        return f"not proven: the value cannot be shown from here ({fault.reason})"
    if isinstance(verdict, Accepted):
        return PROVEN
    if isinstance(verdict, Unknown):
        return seen.faulted("condemn", verdict.reason, verdict.retry_after)
    return early(seen, verdict, current.at) or ev.Disproved(seen.at, verdict.reason)


def _unproven(found: Secret | None) -> str:
    """Why the value on the consumer path is not ours to prove, in words."""
    there = "another's value" if found else "no value"
    return f"not proven: the path holds {there}, and on_foreign allows it"


def _objection(seen: Observation, record: Record, doc: Document, content: ConsumerContent) -> ev.PutOnHold | None:
    """A hold if consumers do not read the successor, because they may still use the predecessor; else None.

    `on_foreign = "overwrite"` lets the predecessor end all the same, unless consumers read the predecessor itself or
    the value was deleted: then ending it would leave them without a value until the next rotation.
    """
    if content is ConsumerContent.CURRENT:
        return None
    put_back = _put_back(seen, record, doc)
    if seen.credential.on_foreign is OnForeign.OVERWRITE and not put_back and not doc.deleted:
        return None
    remedy = "put our value back" if put_back else lost_value.UNDELETE if doc.deleted else _REMEDY
    text = f"{record.place} no longer holds what we published; the predecessor stays alive until that is cleared up"
    return seen.held(HoldReason.FOREIGN_WRITE, f"{text}: {remedy}")


_REMEDY = 'put our value back, or set on_foreign = "overwrite": a new one follows once the predecessor is dead'


def _put_back(seen: Observation, record: Record, doc: Document) -> bool:
    """Whether consumers read the predecessor again, under the current key or under its own."""
    old = record.predecessor
    found = (seen.value(doc, record), doc.secret(old.key or seen.credential.key)) if old else ()
    return any(each and old and seen.fingerprint(each) == old.fingerprint for each in found)


def _use(seen: Observation, record: Record, predecessor: PublishedValue) -> Procedure[Use]:
    asks = seen.credential.retire.quiet is not None and not record.emergency
    can = seen.capabilities(predecessor.target)
    if not asks or not can.reports_last_use:
        return Use(reported=False)
    found = yield from InspectToken(predecessor.target, predecessor.token)
    return Use(reported=found.exists and not found.revoked, last=found.last_used, step=can.last_use_resolution)


def revoke(seen: Observation, record: Record, step: Revoke) -> Procedure[ev.Event]:
    """Revoke the predecessor, unless somebody put it back on the consumer path, and prove it dead."""
    predecessor = record.predecessor
    if predecessor is None:
        raise ValueError("nothing to revoke")
    can, evidence = seen.capabilities(predecessor.target), record.evidence
    if record.ends_at is None:
        doc, content = yield from look(seen, record)
        if objected := _objection(seen, record, doc, content):
            return objected
        if content is not ConsumerContent.CURRENT:
            evidence = _by_now(evidence, _unproven(seen.value(doc, record)))
    secret = (yield from published_value(seen, predecessor)) if can.revokes_by_value else None
    if secret is None and can.revokes_by_value and record.ends_at is None:
        return _unrevoked(seen, record, predecessor, "only its value ends it, and that is gone from Vault", tries=1)
    yield from StillOurs()  # an operator may have begun an undo since
    to_do, ended, refusal = "", f"revoked; {evidence}", ""
    try:
        outcome = yield from RevokeToken(predecessor.target, predecessor.token, secret)
        ended = f"revoked ({outcome.value}); {evidence}"
    except NeedsPerson as fault:
        to_do, ended = fault.reason, _BY_PERSON
    except Refused as fault:
        if isinstance(fault, MinterRefused) or not _has_a_date(record, can, predecessor):
            raise
        refusal, ended = fault.reason, f"it was dead already; {evidence}"
    try:
        dead, how = yield from _is_dead(seen, predecessor, secret)
    except NeedsPerson as fault:
        to_do, dead, how = fault.reason, False, ""
    if not dead and to_do:
        return ev.LeftToPerson(seen.at, to_do)
    if not dead and refusal:
        return _unrevoked(seen, record, predecessor, f"its revocation is refused: {refusal}")
    if not dead:
        said = "is still accepted" if dead is False else "cannot be proven dead yet"
        waited = _alive(seen, record, f"predecessor {predecessor.token.id} {said}")
        if isinstance(waited, ev.Deferred) or dead is None or not _has_a_date(record, can, predecessor):
            return waited
        return _unrevoked(seen, record, predecessor, "it is still accepted after its revocation")
    expired = record.ends_at or (can.revokes_by_value and predecessor.token.has_expired(seen.now))
    if can.mint_ends_predecessor:
        ended = "the mint of its successor ended it, or its date did"
    proof = f"{predecessor.token.id} is dead, {how}; {ended}"
    if expired and not can.mint_ends_predecessor:
        proof = f"{predecessor.token.id} expired at {when(predecessor.token.expires_at)}"
    if can.revokes_by_value and record.ends_at is None:
        return (yield from _with_the_published(seen, record, proof))
    return ev.Retired(seen.at, proof)


def _has_a_date(record: Record, can: Capabilities, predecessor: PublishedValue) -> bool:
    """Whether it ends by its own date as well, and was not left to that yet."""
    return not can.revokes_by_handle and record.ends_at is None and predecessor.token.expires_at is not None


def _unrevoked(
    seen: Observation, record: Record, predecessor: PublishedValue, reason: str, *, tries: int = REVOCATIONS
) -> ev.Event:
    """The event of a revocation that was answered, without effect: after some tries its date must do."""
    end, state = predecessor.token.expires_at, record.state
    tried = state.in_vain if isinstance(state, CondemnedState) else 0
    if end is None or tried + 1 < tries:
        return seen.faulted("revoke", reason, pause_after(tried), of_target=False, in_vain=True)
    return ev.LeftToExpire(seen.at, end, reason)


def _with_the_published(seen: Observation, record: Record, proof: str) -> Procedure[ev.Event]:
    """The event of a dead predecessor, once it is known whether the published value has ended with it.

    Servers may end every token of one authorisation together (RFC 7009, section 2.1).
    """
    current = record.current
    secret = seen.value(seen.consumer, record) if seen.consumer else None
    verdict: Verdict = Accepted()  # what is not there to be shown has not ended by this
    if current and secret and seen.fingerprint(secret) == current.fingerprint:
        with suppress(CannotPresent):
            verdict = yield from VerifyValue(current.target, current.token, secret)
    match verdict:
        case Accepted():
            return ev.Retired(seen.at, proof)
        case Unknown(reason, retry_after):
            return seen.faulted("revoke", reason, retry_after)
        case Rejected(reason) if record.failures:
            return ev.Retired(seen.at, proof, reason)
    # it counts when it is said again
    return seen.faulted("revoke", f"the published value: {verdict.reason}", of_target=False)


def look_whether_ended(seen: Observation, record: Record, step: LookWhetherEnded) -> Procedure[ev.Event]:
    """Look whether a value has ended. Nothing waits for this, so a fault here is no fault of the rotation."""
    left = next((each for each in record.left if each.value.token.id == step.token), None)
    old = left.value if left else next(x.value for x in record.unended if x.value.token.id == step.token)
    try:
        dead, how = yield from _is_dead(seen, old)
    except (Transient, Refused):
        dead, how = None, ""
    if not dead:
        return ev.NotEnded(seen.at, step.token)
    by = _BY_PERSON if left is None else _BY_DATE if left.until <= seen.now else _MEANWHILE
    return ev.Ended(seen.at, step.token, f"{step.token} is dead, {how}; {by}")


def take_word(seen: Observation, record: Record, by: str) -> Procedure[ev.Ended | None]:
    """Take a person's word that they ended a value, where no look can prove it; None: nothing waits for a person.

    Raises Refused if the target still accepts all that are left.
    """
    alive = []
    for each in record.unended:
        token = each.value.token.id
        try:
            dead, how = yield from _is_dead(seen, each.value)
        except NeedsPerson:
            dead, how = False, ""
        except (Transient, Refused):
            dead, how = None, ""
        if dead:
            return ev.Ended(seen.at, token, f"{token} is dead, {how}; {_BY_PERSON}")
        if dead is None:
            return ev.Ended(seen.at, token, f"{token} is not proven dead: {by} says that it was ended")
        alive.append(token)
    if alive:
        raise Refused(f"the target still accepts {', '.join(alive)}", remedy="end it there first")
    return None


_BY_PERSON, _BY_DATE = "ended by a person", "its date is over"
_MEANWHILE = "it was left to its date, and has ended before"


def _by_now(evidence: str, lacks: str) -> str:
    """The evidence, with what is missing now although it was there when the predecessor was condemned."""
    return evidence if lacks in evidence else f"{lacks} (when it was condemned: {evidence})"


def _is_dead(seen: Observation, old: PublishedValue, value: Secret | None = None) -> Procedure[tuple[bool | None, str]]:
    """Whether it is dead, and how we know: by its value if that is at hand and safe to present, else by its handle.
    `value`: it was read for the same step."""
    asked = "the target says so"
    if seen.capabilities(old.target).old_is_safe_to_present:
        secret = value or (yield from published_value(seen, old, strong=False))
        if secret:
            try:
                return (yield from ProveDead(old.target, old.token, secret)), "its value is refused"
            except CannotPresent as fault:
                asked = f"{asked} (its value was not tried: {fault.reason})"
    return (yield from ProveDead(old.target, old.token, None)), asked


def _alive(seen: Observation, record: Record, said: str) -> ev.Event:
    """The event of a revoked token that is not dead yet: wait for caches first, after that it is a fault."""
    limits = seen.credential.limits
    state = record.state
    since = min(state.condemned_at, seen.now) if isinstance(state, CondemnedState) else seen.now  # a clock may be ahead
    known_until = since + max(limits.settle, limits.spread)
    if seen.now < known_until:
        said = f"{said}: the target may take a while to notice"
        return ev.Deferred(seen.at, known_until, said, since=seen.now)
    return seen.faulted("revoke", said, of_target=False)


_KEPT = 10  # versions that a KV version 2 engine keeps by default


def sweep(seen: Observation, record: Record, step: Sweep) -> Procedure[ev.Event]:
    """Destroy the versions of the staged slot. With `strays`, also revoke tokens that the record does not know."""
    newest = record.slot_version
    if step.strays:
        slot = yield from ReadSlot()
        if attempt_in(slot, record) > (record.rotation, record.attempt):
            raise Conflict("a later rotation has begun")
        newest = max(newest, slot.version)
    if newest:
        yield from DestroySlot(tuple(range(max(1, newest - _KEPT + 1), newest + 1)))
    if not (step.strays and record.target and seen.capabilities(record.target).can_list):
        return ev.Swept(seen.at, ())
    found = yield from FindTokens(record.target, f"{record.stem}-")
    if others := [(token, what) for token in found if (what := foreign_journal.anothers(record, token))]:
        return seen.held(HoldReason.TWO_VAULTS, foreign_journal.said(*others[0]))
    strays = yield from reap(seen, record, tuple(token for token in found if is_stray(record, token)))
    return ev.Swept(seen.at, strays)
