"""The steps request, verify, publish and fence: from the first look at the consumer path to the publication."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from rotator.rotation import events as ev
from rotator.rotation.answers import Accepted, Document, Rejected, StagedValue, Unknown, Verdict, read_staged
from rotator.rotation.credential import Credential
from rotator.rotation.faults import CannotPresent, Conflict
from rotator.rotation.observation import Observation, number
from rotator.rotation.ownership import ConsumerContent, published_here
from rotator.rotation.procedures.calls import Procedure, ReadSlot, StillOurs, VerifyValue, WriteConsumer
from rotator.rotation.procedures.consumer_path import as_published, look, objection, value_until_now
from rotator.rotation.record import PublishedValue, Record, Token
from rotator.rotation.secret import Secret
from rotator.rotation.steps import Fence, Publish, Request, Verify

_WRITTEN = "the consumer path was written by somebody else at the same moment"


def request(seen: Observation, record: Record, step: Request) -> Procedure[ev.Event]:
    """Begin a rotation, unless the consumer path has something that we may not replace."""
    credential = seen.credential
    doc, content = yield from look(seen, replace(record, place=credential.place))
    if objected := (yield from objection(seen, record, doc, content)):
        return objected
    value = yield from value_until_now(seen, record, step, doc, content)
    return (
        value
        if isinstance(value, ev.Faulted)
        else ev.Requested(
            at=seen.at,
            why=step.why,
            detail=step.detail,
            asked_by=step.asked_by,
            emergency=step.emergency,
            stem=seen.stem(record),
            place=credential.place,
            target=credential.target,
            policy=credential.policy,
            above=number(doc),
            since=seen.now - credential.limits.day,
            told=seen.shared if seen.told else None,
            value=value,
            in_spite_of=step.in_spite_of,
        )
    )


def unstage(seen: Observation, record: Record) -> Procedure[StagedValue | None]:
    """The candidate read back from the staged slot; None if the slot has something else."""
    candidate = record.candidate
    if candidate is None:
        return None
    if record.undo:
        return (yield from _put_aside(seen, record))
    staged = read_staged(seen.slot) if seen.slot else None
    if staged is None or staged.token.id != candidate.token.id:
        staged = read_staged((yield from ReadSlot()))
    if staged is None or seen.fingerprint(staged.secret) != candidate.fingerprint:
        return None
    return replace(staged, token=candidate.token)


def _put_aside(seen: Observation, record: Record) -> Procedure[StagedValue | None]:
    """The value that an undo publishes again, read from its own version of the consumer document."""
    old = record.predecessor
    found = (yield from as_published(seen, old, strong=True)) if old else None
    if old is None or found is None:
        return None
    doc, secret = found
    return StagedValue(old.token, secret, _beside(old, doc), {}, old.version)


def _beside(old: PublishedValue, doc: Document) -> dict[str, str | Secret]:
    """The fields beside the value. Public ones stay text, because every secret is redacted from the logs."""
    found = {key: doc.text(key) if key in old.public else doc.secret(key) for key in old.beside}
    return {key: value for key, value in found.items() if value}


def verify(seen: Observation, record: Record, step: Verify) -> Procedure[ev.Event]:
    """Prove the value as Vault returns it, then note the version that the publication will replace."""
    staged = yield from unstage(seen, record)
    if staged is None:
        return gone(seen)
    if refusal := (yield from _prove(seen, staged, record)):
        return refusal
    doc, content = yield from look(seen, record, again=False)
    expected = doc.version - 1 if content is ConsumerContent.CANDIDATE else doc.version
    objected = yield from objection(seen, record, doc, content)
    return objected or ev.Verified(seen.at, expected, seen.credential.retire.after)


def _prove(seen: Observation, staged: StagedValue, record: Record) -> Procedure[ev.Event | None]:
    """None if the target accepts the value. A refusal counts only after the target has had time to settle."""
    verdict = yield from judged(record.target, staged.token, staged.secret)
    if isinstance(verdict, Accepted):
        return None
    if isinstance(verdict, Unknown):
        return seen.faulted("verify", verdict.reason, verdict.retry_after)
    since = _told_at(record)
    if record.cut_over_at and since and not since <= seen.at < since + seen.credential.limits.settle:
        since = None  # consumers are cut off, so a wrong clock must not make us wait
    return early(seen, verdict, since) or ev.CandidateRejected(seen.at, verdict.reason)


def judged(target: str, token: Token, secret: Secret) -> Procedure[Verdict]:
    """The verdict about a value for consumers. One that cannot be presented from here counts as rejected."""
    try:
        return (yield from VerifyValue(target, token, secret))
    except CannotPresent as fault:
        return Rejected(fault.reason, final=True)


def gone(seen: Observation) -> ev.Event:
    """The event of a candidate that is no longer in the staged slot."""
    return ev.CandidateRejected(seen.at, "the staged value is gone")


def early(seen: Observation, verdict: Rejected, since: datetime | None) -> ev.Faulted | None:
    """A fault if the refusal may only mean 'not yet'; None: it counts."""
    if verdict.final or since is None or since + seen.credential.limits.settle <= seen.now:
        return None
    return seen.faulted("verify", f"not accepted yet: {verdict.reason}", of_target=False)


def publish(seen: Observation, record: Record, step: Publish) -> Procedure[ev.Event]:
    """Write the consumer path with check-and-set over the version that the journal names."""
    doc, content = yield from look(seen, record)
    if content is ConsumerContent.CANDIDATE:
        return _published(seen, record, doc.version)
    if objected := (yield from objection(seen, record, doc, content)):
        return objected
    if doc.version != step.expected:
        return ev.Overtaken(seen.at, doc.version)
    staged = yield from unstage(seen, record)
    if staged is None:
        return gone(seen)
    if step.reprove:  # publish in the next step: a slow proof uses up the lease, and saving renews it
        refusal = yield from _prove(seen, staged, record)
        return refusal or ev.Verified(seen.at, step.expected, _grace(seen, record))
    values = merged(doc, seen.credential, record, staged)
    yield from StillOurs()  # check-and-set stops a late write, unless the versions of the path begin anew
    try:
        version = yield from WriteConsumer(record.place or seen.credential.place, values, step.expected)
    except Conflict:
        return seen.faulted("publish", _WRITTEN, of_target=False)
    return _published(seen, record, version)


def _published(seen: Observation, record: Record, version: int) -> ev.Published:
    return ev.Published(seen.at, version, grace_ends=seen.at + _grace(seen, record))


def _grace(seen: Observation, record: Record) -> timedelta:
    """The longer of the configured grace and the recorded one, as a process with older settings may have published."""
    return max(seen.credential.retire.after, record.grace)


def merged(doc: Document, credential: Credential, record: Record, staged: StagedValue) -> dict[str, object]:
    """The consumer document with our keys set, the previous value's keys removed and other keys unchanged."""
    key = (record.candidate.key if record.candidate else "") or credential.key
    here = published_here(record)
    before = {here.key, *here.beside} if here else set()
    kept = {name: text for name, text in (doc.values or {}).items() if name not in before}
    values: dict[str, object] = {**kept, **staged.fields, key: staged.secret}
    if credential.describe:
        values |= _described(max(record.rotation, number(doc) + 1), staged)
    return values


def _described(rotation: int, staged: StagedValue) -> Mapping[str, str]:
    """The fields that describe the value. `rotation` only grows, even if another credential published here before."""
    token = staged.token
    return {
        "rotation": str(rotation),
        "provider_id": token.id,
        "issued_at": token.issued_at.isoformat() if token.issued_at else "",
        "expires_at": token.expires_at.isoformat() if token.expires_at else "",
    }


def fence(seen: Observation, record: Record, step: Fence) -> Procedure[ev.Event]:
    """Rewrite the consumer path unchanged, so that no delayed write can publish the candidate."""
    doc, content = yield from look(seen, record)
    if content is ConsumerContent.CANDIDATE:
        return _published(seen, record, doc.version)
    if doc.version != step.expected:
        return ev.Fenced(seen.at, doc.version)
    if objected := (yield from objection(seen, record, doc, content)):
        return objected
    yield from StillOurs()
    try:
        version = yield from WriteConsumer(record.place or seen.credential.place, dict(doc.values or {}), step.expected)
    except Conflict:
        return seen.faulted("fence", _WRITTEN, of_target=False)
    return ev.Fenced(seen.at, version)


def _told_at(record: Record) -> datetime | None:
    """From when on the target should know the candidate; its caches count from then."""
    return record.ready_at or record.installed_at or record.sent_at
