"""The last part of a rotation: judge, revoke and prove the end of the predecessor; tidy up."""

from __future__ import annotations

from rotator.engine.context import RotationContext, published_value
from rotator.engine.steps.mint import attempt_in, reap
from rotator.engine.steps.publish import early
from rotator.ports import Accepted, CannotPresent, Conflict, Document, NeedsPerson, Provider, Unknown
from rotator.rotation import events as ev
from rotator.rotation import lost_value, second_vault
from rotator.rotation.credential import OnForeign
from rotator.rotation.ownership import ConsumerContent
from rotator.rotation.record import FOR_PERSON, HoldReason, PublishedValue, Record
from rotator.rotation.retirement import PROVEN, Go, NotYet, Use, judge
from rotator.rotation.secret import Secret
from rotator.rotation.steps import Condemn, Revoke, Sweep
from rotator.rotation.strays import is_stray
from rotator.rotation.wording import when


async def condemn(context: RotationContext, record: Record, step: Condemn) -> ev.Event:
    """Prove what is published, as Vault gives it to consumers, then weigh the use of the predecessor."""
    current, predecessor = record.current, record.predecessor
    if current is None or predecessor is None:
        raise ValueError("nothing to condemn")
    if left := await _left_to_expire(context, predecessor):
        return left
    proof = await _proof(context, record, current)
    if not isinstance(proof, str):
        return proof
    use = await _use(context, record, predecessor)
    policy, promised = context.credential.retire, record.grace_ends
    verdict = judge(policy, current.at, context.now, use, emergency=record.emergency, promised=promised, proof=proof)
    match verdict:
        case Go(evidence):
            return ev.Condemned(context.at, evidence)
        case NotYet(until, reason):
            return ev.Deferred(context.at, until, reason)
    return context.held(HoldReason.STILL_USED, verdict.text)


async def _left_to_expire(context: RotationContext, predecessor: PublishedValue) -> ev.Event | None:
    """Nothing is taken away from anybody, so nothing has to be proven first. None for what somebody has to end: we, or
    a person where it is not ours to revoke and nobody knows its date.
    """
    provider = context.provider(predecessor.target)
    if provider.capabilities.can_revoke:
        return None
    if provider.capabilities.mint_ends_predecessor and (await _is_dead(context, provider, predecessor))[0]:
        return ev.LeftToExpire(context.at, context.at)
    until = (await provider.inspect(predecessor.token)).expires_at
    return ev.LeftToExpire(context.at, until) if until else None


async def _proof(context: RotationContext, record: Record, current: PublishedValue) -> ev.Event | str:
    """What there is to say for the successor, in words; an event when the predecessor has to wait for it."""
    doc, content = await context.look(record)
    if objected := _objection(context, record, doc, content):
        return objected
    secret = context.value(doc, record)
    if content is not ConsumerContent.CURRENT or secret is None:
        return _unproven(secret)
    try:
        verdict = await context.provider(current.target).verify(current.token, secret)
    except CannotPresent as fault:  # it was proven when it was published, and settings that changed want a new one
        return f"not proven: the value cannot be shown from here ({fault.reason})"
    if isinstance(verdict, Accepted):
        return PROVEN
    if isinstance(verdict, Unknown):
        return context.faulted("condemn", verdict.reason, verdict.retry_after)
    return early(context, verdict, current.at) or ev.Disproved(context.at, verdict.reason)


def _unproven(found: Secret | None) -> str:
    """What is there by now is nobody's to prove."""
    there = "another's value" if found else "no value"
    return f"not proven: the path holds {there}, and on_foreign allows it"


def _objection(
    context: RotationContext, record: Record, doc: Document, content: ConsumerContent
) -> ev.PutOnHold | None:
    """Consumers may read what is to be ended: where they do not read its successor, a person decides.

    Settings that let us write over what others wrote are such a word, but not where the predecessor itself was put
    back, nor where a deletion can be taken back: consumers would read nothing until the next rotation.
    """
    if content is ConsumerContent.CURRENT:
        return None
    put_back = _put_back(context, record, doc)
    if context.credential.on_foreign is OnForeign.OVERWRITE and not put_back and not doc.deleted:
        return None
    remedy = "put our value back" if put_back else lost_value.UNDELETE if doc.deleted else _REMEDY
    text = f"{record.place} no longer holds what we published; the predecessor stays alive until that is cleared up"
    return context.held(HoldReason.FOREIGN_WRITE, f"{text}: {remedy}")


_REMEDY = 'put our value back, or set on_foreign = "overwrite": a new one follows once the predecessor is dead'


def _put_back(context: RotationContext, record: Record, doc: Document) -> bool:
    """Whether consumers read the predecessor again, under the key they read now or the one it was published under."""
    old = record.predecessor
    found = (context.value(doc, record), doc.secret(old.key or context.credential.key)) if old else ()
    return any(each and old and context.fingerprint(each) == old.fingerprint for each in found)


async def _use(context: RotationContext, record: Record, predecessor: PublishedValue) -> Use:
    asks = context.credential.retire.quiet is not None and not record.emergency
    provider = context.provider(predecessor.target)
    if not asks or not provider.capabilities.reports_last_use:
        return Use(reported=False)
    seen = await provider.inspect(predecessor.token)
    step = provider.capabilities.last_use_resolution
    return Use(reported=seen.exists and not seen.revoked, last=seen.last_used, step=step)


async def revoke(context: RotationContext, record: Record, step: Revoke) -> ev.Event:
    """End the predecessor, unless somebody put it back on the consumer path, and prove it dead."""
    predecessor = record.predecessor
    if predecessor is None:
        raise ValueError("nothing to revoke")
    provider = context.provider(predecessor.target)
    evidence = record.evidence
    if record.ends_at is None:
        doc, content = await context.look(record)
        if objected := _objection(context, record, doc, content):
            return objected
        evidence = (
            evidence if content is ConsumerContent.CURRENT else _by_now(evidence, _unproven(context.value(doc, record)))
        )
    context.still_ours()  # an operator may have taken the rotation back since
    person, ended = "", f"revoked; {evidence}"
    try:
        ended = f"revoked ({(await provider.revoke(predecessor.token)).value}); {evidence}"
    except NeedsPerson as fault:
        person, ended = fault.reason, "ended by a person"
    dead, how = await _is_dead(context, provider, predecessor)
    if not dead:
        said = "is still accepted" if dead is False else "cannot be proven dead yet"
        return _alive(context, record, f"predecessor {predecessor.token.id} {said}", person)
    if record.ends_at and not provider.capabilities.mint_ends_predecessor:
        return ev.Retired(context.at, f"{predecessor.token.id} expired at {when(predecessor.token.expires_at)}")
    if provider.capabilities.mint_ends_predecessor:
        ended = "the mint of its successor ended it, or its date did"
    return ev.Retired(context.at, f"{predecessor.token.id} is dead, {how}; {ended}")


def _by_now(evidence: str, lacks: str) -> str:
    """What allowed the end may not be so any more when it comes."""
    return evidence if lacks in evidence else f"{lacks} (when it was condemned: {evidence})"


async def _is_dead(context: RotationContext, provider: Provider, old: PublishedValue) -> tuple[bool | None, str]:
    """By its value where that is at hand and safe to show, else by what the target says; and which of them it was."""
    safe, asked = provider.capabilities.old_is_safe_to_present, "the target says so"
    if secret := await published_value(context, old, strong=False) if safe else None:
        try:
            return await provider.is_dead(old.token, secret), "its value is refused"
        except CannotPresent as fault:
            asked = f"{asked} (its value was not tried: {fault.reason})"
    return await provider.is_dead(old.token, None), asked


def _alive(context: RotationContext, record: Record, said: str, person: str) -> ev.Event:
    """Not dead yet: for want of a person, for caches that have to pass, or for a reason that has to be looked into."""
    if person:
        return context.faulted("revoke", FOR_PERSON + person, retry_after=_PERSON, of_target=False)
    limits = context.credential.limits
    known_until = (record.condemned_at or context.now) + max(limits.settle, limits.spread)
    if context.now < known_until:
        return ev.Deferred(context.at, known_until, f"{said}: the target may take a while to notice")
    return context.faulted("revoke", said, of_target=False)


_PERSON = 60.0  # seconds between two looks whether a person has ended the predecessor


_KEPT = 10  # a KV version 2 engine keeps ten versions unless told otherwise


async def sweep(context: RotationContext, record: Record, step: Sweep) -> ev.Event:
    """Destroy what the staged slot held; revoke tokens of this credential that the record does not know."""
    store, newest = context.dependencies.store, record.slot_version
    if step.strays:
        seen = await store.read(context.dependencies.slot, strong=True)
        if attempt_in(seen, record) > (record.rotation, record.attempt):
            raise Conflict("a later rotation has begun")
        newest = max(newest, seen.version)
    if newest:
        await store.destroy(context.dependencies.slot, tuple(range(max(1, newest - _KEPT + 1), newest + 1)))
    strays: tuple[str, ...] = ()
    if step.strays and record.target and context.provider(record.target).capabilities.can_list:
        found = await context.provider(record.target).find(f"{record.stem}-")
        if others := [(token, what) for token in found if (what := second_vault.anothers(record, token))]:
            return context.held(HoldReason.TWO_VAULTS, second_vault.said(*others[0]))
        strays = await reap(context, record, tuple(token for token in found if is_stray(record, token)))
    return ev.Swept(context.at, strays)
