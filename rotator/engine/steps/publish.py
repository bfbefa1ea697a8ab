"""Owns the middle of a rotation: look at the consumer path, prove the candidate, publish it, or fence it off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from rotator.engine.consumer_path import objection, value_until_now
from rotator.engine.context import Bench, Staged
from rotator.ports import Accepted, CannotPresent, Conflict, Document, Provider, Rejected, Unknown, Verdict
from rotator.rotation import events as ev
from rotator.rotation.credential import Credential
from rotator.rotation.ownership import Content, published_here
from rotator.rotation.record import Record, Token
from rotator.rotation.secret import Secret
from rotator.rotation.steps import Fence, Publish, Request, Verify
from rotator.rotation.token_names import stem

_WRITTEN = "the consumer path was written by somebody else at the same moment"


async def request(bench: Bench, record: Record, step: Request) -> ev.Event:
    """Begin, unless the consumer path holds something that is not ours to replace."""
    credential, installation = bench.credential, bench.edges.installation
    doc, content = await bench.look(replace(record, place=credential.place, candidate=None))
    if objected := await objection(bench, doc, content):
        return objected
    value = await value_until_now(bench, record, step, doc, content)
    return (
        value
        if isinstance(value, ev.Faulted)
        else ev.Requested(
            at=bench.at,
            why=step.why,
            detail=step.detail,
            asked_by=step.asked_by,
            emergency=step.emergency,
            stem=stem(installation.prefix, installation.lineage, credential.name, record.lineage),
            place=credential.place,
            target=credential.target,
            policy=credential.policy,
            above=number(doc),
            since=bench.at - credential.limits.day,
            told=bench.shared if bench.told else None,
            value=value,
        )
    )


def number(doc: Document) -> int:
    """The rotation number on the consumer path: a lost journal must not make it go back."""
    text = doc.text("rotation")
    return int(text) if text.isdecimal() and len(text) < 10 else 0


async def verify(bench: Bench, record: Record, step: Verify) -> ev.Event:
    """Prove the value that Vault gives back, then note what publication will write over."""
    staged = await bench.unstage(record)
    if staged is None:
        return gone(bench)
    if refusal := await _prove(bench, staged, record):
        return refusal
    doc, content = await bench.look(record, again=False)
    expected = doc.version - 1 if content is Content.CANDIDATE else doc.version
    return await objection(bench, doc, content) or ev.Verified(bench.at, expected, bench.credential.retire.after)


async def _prove(bench: Bench, staged: Staged, record: Record) -> ev.Event | None:
    """None when the target accepts the value; a refusal counts once the target has had time to settle."""
    verdict = await judged(bench.provider(record.target), staged.token, staged.secret)
    if isinstance(verdict, Accepted):
        return None
    if isinstance(verdict, Unknown):
        return bench.faulted("verify", verdict.reason, verdict.retry_after)
    since = _told_at(record)
    if record.cut_over_at and since and not since <= bench.at < since + bench.credential.limits.settle:
        since = None  # consumers are cut off: an hour between two clocks is not waited for
    return early(bench, verdict, since) or ev.Rejected(bench.at, verdict.reason)


async def judged(provider: Provider, token: Token, secret: Secret) -> Verdict:
    """Verify, for a value that consumers are to be given: one that cannot be shown from here is of no use for that."""
    try:
        return await provider.verify(token, secret)
    except CannotPresent as fault:
        return Rejected(fault.reason, final=True)


def gone(bench: Bench) -> ev.Event:
    """The candidate is lost."""
    return ev.Rejected(bench.at, "the staged value is gone")


def early(bench: Bench, verdict: Rejected, since: datetime | None) -> ev.Faulted | None:
    """A refusal that may only mean 'not yet'."""
    if verdict.final or since is None or since + bench.credential.limits.settle <= bench.now:
        return None
    return bench.faulted("verify", f"not accepted yet: {verdict.reason}", of_target=False)


async def publish(bench: Bench, record: Record, step: Publish) -> ev.Event:
    """Look, then write with check-and-set over exactly the version the journal names."""
    doc, content = await bench.look(record)
    if content is Content.CANDIDATE:
        return _published(bench, record, doc.version)
    if objected := await objection(bench, doc, content):
        return objected
    if doc.version != step.expected:
        return ev.Overtaken(bench.at, doc.version)
    staged = await bench.unstage(record)
    if staged is None:
        return gone(bench)
    if step.reprove:  # and nothing more: a slow proof leaves little of the lease, noting it renews it
        return await _prove(bench, staged, record) or ev.Verified(bench.at, step.expected, _grace(bench, record))
    values = merged(doc, bench.credential, record, staged)
    bench.still_ours()  # check-and-set fences a late one off, unless the path's versions begin anew meanwhile
    try:
        version = await bench.edges.store.write(record.place or bench.credential.place, values, cas=step.expected)
    except Conflict:
        return bench.faulted("publish", _WRITTEN, of_target=False)
    return _published(bench, record, version)


def _published(bench: Bench, record: Record, version: int) -> ev.Published:
    at = bench.at
    return ev.Published(at, version, grace_ends=at + _grace(bench, record))


def _grace(bench: Bench, record: Record) -> timedelta:
    """What is found published may have been so by an actor with older settings: the longer grace counts."""
    return max(bench.credential.retire.after, record.grace)


def merged(doc: Document, credential: Credential, record: Record, staged: Staged) -> dict[str, object]:
    """The consumer document with our keys set, and those of the value before gone; keys of others stay as they are."""
    key = (record.candidate.key if record.candidate else "") or credential.key
    here = published_here(record)
    before = {here.key, *here.beside} if here else set()
    kept = {name: text for name, text in (doc.values or {}).items() if name not in before}
    values: dict[str, object] = {**kept, **staged.fields, key: staged.secret}
    if credential.describe:
        values |= _described(record, staged)
    return values


def _described(record: Record, staged: Staged) -> Mapping[str, str]:
    token = staged.token
    return {
        "rotation": str(record.rotation),
        "provider_id": token.id,
        "issued_at": token.issued_at.isoformat() if token.issued_at else "",
        "expires_at": token.expires_at.isoformat() if token.expires_at else "",
    }


async def fence(bench: Bench, record: Record, step: Fence) -> ev.Event:
    """Move the consumer path on, unchanged, so that no older authorisation to publish can succeed."""
    doc, content = await bench.look(record)
    if content is Content.CANDIDATE:
        return _published(bench, record, doc.version)
    if doc.version != step.expected:
        return ev.Fenced(bench.at, doc.version)
    if objected := await objection(bench, doc, content):
        return objected
    place = record.place or bench.credential.place
    bench.still_ours()
    try:
        version = await bench.edges.store.write(place, dict(doc.values or {}), cas=step.expected)
    except Conflict:
        return bench.faulted("fence", _WRITTEN, of_target=False)
    return ev.Fenced(bench.at, version)


def _told_at(record: Record) -> datetime | None:
    """Since when the target knows of the candidate."""
    return record.installed_at or record.sent_at
