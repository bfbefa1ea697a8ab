"""Bringing the value before back: its revocation taken back where there is one, the value read from Vault.

Proving and publishing it is publish.py's, as with any other candidate.
"""

from __future__ import annotations

from dataclasses import replace

from rotator.engine.consumer_path import objection
from rotator.engine.context import RotationContext, published_value
from rotator.ports import MinterRefused, Refused
from rotator.rotation import events as ev
from rotator.rotation import rollback
from rotator.rotation.ownership import ConsumerContent
from rotator.rotation.record import Candidate, Phase, PublishedValue, Record
from rotator.rotation.steps import Restore


async def restore(context: RotationContext, record: Record, step: Restore) -> ev.Event:
    """Look first: what cannot be published in the end is not brought back to life."""
    old, asked = record.predecessor, record.undo
    if old is None or asked is None:
        raise ValueError("no undo is under way")
    if await published_value(context, old) is None:
        return ev.UndoFailed(context.at, _gone(old))
    candidate = _candidate(context, old)
    doc, content = await context.look(replace(record, candidate=candidate))
    if objected := await objection(context, doc, content):
        return ev.UndoFailed(context.at, objected.text)
    context.still_ours()
    if asked.back is Phase.CONDEMNED:
        try:
            await context.provider(old.target).restore(old.token)
        except MinterRefused:
            raise
        except Refused as fault:
            return ev.UndoFailed(context.at, fault.reason)
    return ev.Restored(context.at, candidate)


async def impossible(context: RotationContext, record: Record) -> str:
    """Why the last rotation cannot be taken back, by what Vault and the target say; empty when it may be."""
    old = rollback.before(record)
    said = rollback.objection(context.credential, record, context.now)
    if said or old is None:
        return said
    _, content = await context.look(replace(record, candidate=_candidate(context, old)))
    if content not in (ConsumerContent.CURRENT, ConsumerContent.CANDIDATE):
        return f"{old.place} does not hold what we published: put that right first, or adopt what is there"
    if await published_value(context, old) is None:
        return _gone(old)
    provider = context.provider(old.target)
    if not provider.capabilities.overlap:
        return "this target keeps one value only, and the one before was overwritten; rotate now makes a new one"
    if not rollback.ended(record):
        return ""
    if not provider.capabilities.can_restore:
        return "the value before is revoked, and this target cannot take that back; rotate now makes a new one"
    if not (await provider.inspect(old.token)).exists:
        return f"the value before is revoked, and its record {old.token.id} was deleted at the target since"
    return ""


def _candidate(context: RotationContext, old: PublishedValue) -> Candidate:
    key = context.credential.key
    return Candidate(old.token, old.fingerprint, slot_version=0, beside=old.beside, public=old.public, key=key)


def _gone(old: PublishedValue) -> str:
    return f"version {old.version} of {old.place} is gone from Vault, and with it the value before"
