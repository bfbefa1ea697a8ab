"""The middle of a rotation: look at the consumer path, prove the candidate, publish it, or fence it off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from rotator.engine.consumer_path import objection, value_until_now
from rotator.engine.context import RotationContext, StagedValue
from rotator.ports import Accepted, CannotPresent, Conflict, Document, Provider, Rejected, Unknown, Verdict
from rotator.rotation import events as ev
from rotator.rotation.credential import Credential
from rotator.rotation.ownership import ConsumerContent, published_here
from rotator.rotation.record import Record, Token
from rotator.rotation.secret import Secret
from rotator.rotation.steps import Fence, Publish, Request, Verify
from rotator.rotation.token_names import stem

_WRITTEN = "the consumer path was written by somebody else at the same moment"


async def request(context: RotationContext, record: Record, step: Request) -> ev.Event:
    """Begin, unless the consumer path holds something that is not ours to replace."""
    credential, installation = context.credential, context.dependencies.installation
    doc, content = await context.look(replace(record, place=credential.place, candidate=None))
    if objected := await objection(context, doc, content):
        return objected
    value = await value_until_now(context, record, step, doc, content)
    return (
        value
        if isinstance(value, ev.Faulted)
        else ev.Requested(
            at=context.at,
            why=step.why,
            detail=step.detail,
            asked_by=step.asked_by,
            emergency=step.emergency,
            stem=stem(installation.prefix, installation.lineage, credential.name, record.lineage),
            place=credential.place,
            target=credential.target,
            policy=credential.policy,
            above=number(doc),
            since=context.at - credential.limits.day,
            told=context.shared if context.told else None,
            value=value,
        )
    )


def number(doc: Document) -> int:
    """The rotation number on the consumer path: a lost journal must not make it go back."""
    text = doc.text("rotation")
    return int(text) if text.isdecimal() and len(text) < 10 else 0


async def verify(context: RotationContext, record: Record, step: Verify) -> ev.Event:
    """Prove the value that Vault gives back, then note what publication will write over."""
    staged = await context.unstage(record)
    if staged is None:
        return gone(context)
    if refusal := await _prove(context, staged, record):
        return refusal
    doc, content = await context.look(record, again=False)
    expected = doc.version - 1 if content is ConsumerContent.CANDIDATE else doc.version
    return await objection(context, doc, content) or ev.Verified(context.at, expected, context.credential.retire.after)


async def _prove(context: RotationContext, staged: StagedValue, record: Record) -> ev.Event | None:
    """None when the target accepts the value; a refusal counts once the target has had time to settle."""
    verdict = await judged(context.provider(record.target), staged.token, staged.secret)
    if isinstance(verdict, Accepted):
        return None
    if isinstance(verdict, Unknown):
        return context.faulted("verify", verdict.reason, verdict.retry_after)
    since = _told_at(record)
    if record.cut_over_at and since and not since <= context.at < since + context.credential.limits.settle:
        since = None  # consumers are cut off: an hour between two clocks is not waited for
    return early(context, verdict, since) or ev.Rejected(context.at, verdict.reason)


async def judged(provider: Provider, token: Token, secret: Secret) -> Verdict:
    """Verify, for a value that consumers are to be given: one that cannot be shown from here is of no use for that."""
    try:
        return await provider.verify(token, secret)
    except CannotPresent as fault:
        return Rejected(fault.reason, final=True)


def gone(context: RotationContext) -> ev.Event:
    """The candidate is lost."""
    return ev.Rejected(context.at, "the staged value is gone")


def early(context: RotationContext, verdict: Rejected, since: datetime | None) -> ev.Faulted | None:
    """A refusal that may only mean 'not yet'."""
    if verdict.final or since is None or since + context.credential.limits.settle <= context.now:
        return None
    return context.faulted("verify", f"not accepted yet: {verdict.reason}", of_target=False)


async def publish(context: RotationContext, record: Record, step: Publish) -> ev.Event:
    """Look, then write with check-and-set over exactly the version the journal names."""
    doc, content = await context.look(record)
    if content is ConsumerContent.CANDIDATE:
        return _published(context, record, doc.version)
    if objected := await objection(context, doc, content):
        return objected
    if doc.version != step.expected:
        return ev.Overtaken(context.at, doc.version)
    staged = await context.unstage(record)
    if staged is None:
        return gone(context)
    if step.reprove:  # and nothing more: a slow proof leaves little of the lease, noting it renews it
        return await _prove(context, staged, record) or ev.Verified(context.at, step.expected, _grace(context, record))
    values = merged(doc, context.credential, record, staged)
    context.still_ours()  # check-and-set fences a late one off, unless the path's versions begin anew meanwhile
    try:
        version = await context.dependencies.store.write(
            record.place or context.credential.place, values, cas=step.expected
        )
    except Conflict:
        return context.faulted("publish", _WRITTEN, of_target=False)
    return _published(context, record, version)


def _published(context: RotationContext, record: Record, version: int) -> ev.Published:
    return ev.Published(context.at, version, grace_ends=context.at + _grace(context, record))


def _grace(context: RotationContext, record: Record) -> timedelta:
    """What is found published may have been so by an actor with older settings: the longer grace counts."""
    return max(context.credential.retire.after, record.grace)


def merged(doc: Document, credential: Credential, record: Record, staged: StagedValue) -> dict[str, object]:
    """The consumer document with our keys set, and those of the value before gone; keys of others stay as they are."""
    key = (record.candidate.key if record.candidate else "") or credential.key
    here = published_here(record)
    before = {here.key, *here.beside} if here else set()
    kept = {name: text for name, text in (doc.values or {}).items() if name not in before}
    values: dict[str, object] = {**kept, **staged.fields, key: staged.secret}
    if credential.describe:
        values |= _described(record, staged)
    return values


def _described(record: Record, staged: StagedValue) -> Mapping[str, str]:
    token = staged.token
    return {
        "rotation": str(record.rotation),
        "provider_id": token.id,
        "issued_at": token.issued_at.isoformat() if token.issued_at else "",
        "expires_at": token.expires_at.isoformat() if token.expires_at else "",
    }


async def fence(context: RotationContext, record: Record, step: Fence) -> ev.Event:
    """Move the consumer path on, unchanged, so that no older authorisation to publish can succeed."""
    doc, content = await context.look(record)
    if content is ConsumerContent.CANDIDATE:
        return _published(context, record, doc.version)
    if doc.version != step.expected:
        return ev.Fenced(context.at, doc.version)
    if objected := await objection(context, doc, content):
        return objected
    place = record.place or context.credential.place
    context.still_ours()
    try:
        version = await context.dependencies.store.write(place, dict(doc.values or {}), cas=step.expected)
    except Conflict:
        return context.faulted("fence", _WRITTEN, of_target=False)
    return ev.Fenced(context.at, version)


def _told_at(record: Record) -> datetime | None:
    """Since when the target knows of the candidate."""
    return record.installed_at or record.sent_at
