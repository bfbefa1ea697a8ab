"""The step restore of an undo: take the revocation back, and read the value before from Vault.

It is then proven and published like any other candidate, see publish.py.
"""

from __future__ import annotations

from dataclasses import replace

from rotator.rotation import events as ev
from rotator.rotation import undo
from rotator.rotation.faults import MinterRefused, Refused
from rotator.rotation.observation import Observation
from rotator.rotation.ownership import ConsumerContent
from rotator.rotation.phases import StagedState
from rotator.rotation.procedures.calls import InspectToken, Procedure, RestoreToken, StillOurs
from rotator.rotation.procedures.consumer_path import look, objection, published_value
from rotator.rotation.record import Candidate, Phase, PublishedValue, Record
from rotator.rotation.steps import Restore


def restore(seen: Observation, record: Record, step: Restore) -> Procedure[ev.Event]:
    """Restore the value before. What could not be published in the end is not revived."""
    old, asked = record.predecessor, record.undo
    if old is None or asked is None:
        raise ValueError("no undo is under way")
    if (yield from published_value(seen, old)) is None:
        return ev.UndoFailed(seen.at, _gone(old))
    candidate = _candidate(seen, old)
    doc, content = yield from look(seen, replace(record, state=StagedState(candidate)))
    if objected := (yield from objection(seen, record, doc, content)):
        return ev.UndoFailed(seen.at, objected.text)
    yield from StillOurs()
    if asked.back is Phase.CONDEMNED:
        try:
            yield from RestoreToken(old.target, old.token)
        except MinterRefused:
            raise
        except Refused as fault:
            return ev.UndoFailed(seen.at, fault.reason)
    return ev.Restored(seen.at, candidate)


def impossible(seen: Observation, record: Record) -> Procedure[str]:
    """Why Vault or the target do not allow an undo, in words; empty: they do."""
    old = undo.before(record)
    said = undo.objection(seen.credential, record, seen.now)
    if said or old is None:
        return said
    _, content = yield from look(seen, replace(record, state=StagedState(_candidate(seen, old))))
    if content not in (ConsumerContent.CURRENT, ConsumerContent.CANDIDATE):
        return f"{old.place} does not hold what we published: put that right first, or adopt what is there"
    if (yield from published_value(seen, old)) is None:
        return _gone(old)
    can = seen.capabilities(old.target)
    if not can.overlap:
        return "this target keeps one value only, and the one before was overwritten; rotate now makes a new one"
    if not undo.ended(record):
        return ""
    if not can.can_restore:
        return "the value before is revoked, and this target cannot take that back; rotate now makes a new one"
    if not (yield from InspectToken(old.target, old.token)).exists:
        return f"the value before is revoked, and its record {old.token.id} was deleted at the target since"
    return ""


def _candidate(seen: Observation, old: PublishedValue) -> Candidate:
    key = seen.credential.key
    return Candidate(old.token, old.fingerprint, slot_version=0, beside=old.beside, public=old.public, key=key)


def _gone(old: PublishedValue) -> str:
    return f"version {old.version} of {old.place} is gone from Vault, and with it the value before"
