"""Owns how the attempts of a rotation change a record: requested, minted, lost, burned, given up. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from rotator.rotation import backoff
from rotator.rotation import events as ev
from rotator.rotation.mints import authorise
from rotator.rotation.record import Failure, Phase, Record


def requested(record: Record, event: ev.Requested) -> Record:
    """A rotation begins."""
    return replace(
        record,
        phase=Phase.REQUESTED,
        rotation=max(record.rotation, event.above) + 1,
        attempt=1,
        why=event.why,
        asked_by=event.asked_by,
        emergency=event.emergency,
        stem=event.stem,
        place=event.place,
        target=event.target,
        policy=event.policy,
        requested_at=event.at,
        candidate=None,
        verified_at=None,
        expected_version=None,
        abandoned="",
        condemned_at=None,
        evidence="",
        retry_at=None,
        **authorise(record, event.at, sends=1, since=event.since),
    )


def staged(record: Record, event: ev.Staged) -> Record:
    """The candidate is durable."""
    return replace(
        record,
        phase=Phase.STAGED,
        candidate=event.candidate,
        slot_version=event.candidate.slot_version,
        slot_full=True,
        uncertain=False,
        retry_at=None,
    )


def mint_lost(record: Record, event: ev.MintLost) -> Record:
    """A token may live that nobody knows the secret of."""
    return replace(reject(record, event.at, "mint", event.reason), slot_full=True, strays=True)


def not_minted(record: Record, event: ev.NotMinted) -> Record:
    """Nothing was minted: once more, or no more."""
    if not event.resend:
        rejected = reject(record, event.at, "mint", "no token under the name, and no mint left to try")
        return replace(rejected, strays=True)
    return replace(record, retry_at=None, strays=True, **authorise(record, event.at, sends=record.sends + 1))


def mint_refused(record: Record, event: ev.MintRefused) -> Record:
    """Nothing was minted, and the same request would be refused again: the mint is not counted."""
    spent = replace(record, mints=record.mints[:-1], uncertain=False)
    return _give_up(spent, event.at, Failure("mint", event.reason, event.at))


def burned(record: Record, event: ev.Burned) -> Record:
    """The next attempt, or none."""
    if event.give_up:
        return _give_up(record, event.at, record.failure)
    return replace(
        record,
        phase=Phase.REQUESTED,
        attempt=record.attempt + 1,
        candidate=None,
        strays=True,
        retry_at=None,
        **authorise(record, event.at, sends=record.sends + 1),
    )


def _give_up(record: Record, at: datetime, failure: Failure | None) -> Record:
    given_up = record.given_up + 1
    return replace(
        record,
        phase=Phase.SETTLED,
        candidate=None,
        emergency=False,
        failures=0,
        given_up=given_up,
        failure=failure,
        retry_at=backoff.rotation_retry(at, given_up, record.stem),
        settled_at=at,
    )


def reject(record: Record, at: datetime, step: str, reason: str) -> Record:
    """The candidate will be burned."""
    return replace(record, phase=Phase.REJECTED, failure=Failure(step, reason, at), uncertain=False, retry_at=None)
