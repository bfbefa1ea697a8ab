"""Adoption: whether the value on the consumer path may become ours, and how that changes a record."""

from __future__ import annotations

from dataclasses import replace

from rotator.rotation import events as ev
from rotator.rotation.credential import Credential
from rotator.rotation.phases import PublishedState, SettledState
from rotator.rotation.record import HoldReason, Phase, Record, Token, TokenAdoption
from rotator.rotation.token_names import parse

REMEMBERED = 64  # adoptions per record; each is the act of a person


def objection(record: Record) -> str:
    """Why nothing can be adopted now, in words for a person; empty: it can."""
    phase = record.phase
    if record.held and record.held.reason in (HoldReason.FOREIGN_WRITE, HoldReason.MINT_BUDGET):
        phase = record.reached.phase
    if phase is not Phase.SETTLED:
        return f"a rotation is under way ({phase.value}): let it come to its end, then adopt"
    if record.predecessor:
        return f"the predecessor {record.predecessor.token.id} still lives: let it come to its end, then adopt"
    return ""


def offered(credential: Credential, record: Record) -> bool:
    """Whether an adoption may be proposed: it would be accepted now."""
    return credential.identified and not objection(record)


def claimed(token: Token, stem: str, left: str) -> str:
    """The owner, if its name says that a rotator minted it for another credential; empty: it may be ours.

    The lineage at the end of its stem may differ: adoption is the way back after a lost journal. `left`: the credential
    that had it and that left the settings; it may have been renamed to this one.
    """
    name = parse(token.name)
    if name is None or left or name.stem.rpartition("-")[0] == stem.rpartition("-")[0]:
        return ""
    return f"{token.id} was minted for another credential, under the name {token.name}"


def taken_over(record: Record) -> bool:
    """Whether the current value was published by somebody else and adopted."""
    current, adoptions = record.current, record.adopted
    return current is not None and any((each.token, each.at) == (current.token, current.at) for each in adoptions)


def adopted(record: Record, event: ev.Adopted) -> Record:
    """The record after an adoption. The value published before, if any, becomes the predecessor and gets its grace.

    Neither rotation nor attempt numbers go back, as the staged slot may still hold the last candidate.
    """
    same = record.stem == event.stem and record.rotation == event.current.rotation
    return replace(
        record,
        state=PublishedState() if record.current else SettledState(),
        rotation=event.current.rotation,
        attempt=record.attempt if same else 0,
        why=None,
        asked_by=event.by,
        emergency=False,
        place=event.current.place,
        target=event.current.target,
        policy=event.current.policy,
        stem=event.stem,
        current=event.current,
        predecessor=record.current,
        unended=tuple(each for each in record.unended if each.value.fingerprint != event.current.fingerprint),
        left=tuple(each for each in record.left if each.value.fingerprint != event.current.fingerprint),
        adopted=(*record.adopted, TokenAdoption(event.current.token, event.current.at))[-REMEMBERED:],
        retired=None,
        grace_ends=event.grace_ends,
        grace_from=None,
        evidence="",
        failures=0,
        given_up=0,
        failure=None,
        refused_at=None,
        lost=None,
        retry_at=None,
        settled_at=event.at,
    )
