"""How the attempts of a rotation change a record, and how many mint requests count today. Pure.

What the schedule asks for and what an emergency asks for are counted apart, so that a credential that failed all day
can still be revoked. What a person asked for does not count once it is published.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from rotator.rotation import events as ev
from rotator.rotation import schedule, undo
from rotator.rotation.credential import Credential
from rotator.rotation.phases import (
    AwaitingState,
    InstalledState,
    RejectedState,
    RequestedState,
    SettledState,
    StagedState,
)
from rotator.rotation.record import Failure, Phase, Record, Trigger

_BUDGETS = ("mints", "emergency_mints")


def authorise(record: Record, at: datetime, *, sends: int, emergency: bool) -> dict[str, Any]:
    """What changes when one more request may leave."""
    budget = _budget(emergency)
    return {"sends": sends, "sent_at": at, budget: (*getattr(record, budget), at)}


def forget(record: Record, since: datetime) -> dict[str, Any]:
    """What changes when requests of before `since` count no longer."""
    return {name: tuple(x for x in getattr(record, name) if x > since) for name in _BUDGETS}


def unsent(record: Record) -> dict[str, Any]:
    """What changes when the last request was not sent after all, or made nothing."""
    last = max((*record.mints, *record.emergency_mints), default=None)
    return {name: _without(getattr(record, name), last) for name in _BUDGETS}


def well_ended(record: Record, at: datetime) -> dict[str, Any]:
    """What changes when a rotation that a person asked for is published, at that time: its requests count no longer.

    They are the last ones, as many as it sent. In an emergency, which may have begun as none, they may be of both
    budgets: of each, those since it began. An undo sends none.
    """
    begun = record.requested_at
    if begun is None or record.undo or not (record.why is Trigger.ASKED or record.emergency):
        return {}

    def others(mints: tuple[datetime, ...]) -> tuple[datetime, ...]:
        first = max(len(mints) - record.sends, 0)
        return (*mints[:first], *(x for x in mints[first:] if not begun <= x <= at))

    return {name: others(getattr(record, name)) for name in (_BUDGETS if record.emergency else ("mints",))}


def may_mint(credential: Credential, record: Record, now: datetime) -> bool:
    """Whether this rotation may send another request."""
    limits = credential.limits
    counted = minted(credential, record, now, emergency=record.emergency)
    return record.sends < limits.mints_per_rotation and counted < limits.mints_per_day


def minted(credential: Credential, record: Record, now: datetime, *, emergency: bool) -> int:
    """How many requests count today."""
    return sum(at > now - credential.limits.day for at in getattr(record, _budget(emergency)))


def _budget(emergency: bool) -> str:
    return "emergency_mints" if emergency else "mints"


def _without(mints: tuple[datetime, ...], last: datetime | None) -> tuple[datetime, ...]:
    return mints[:-1] if mints and mints[-1] == last else mints


def requested(record: Record, event: ev.Requested) -> Record:
    """A rotation begins. What counts no longer is forgotten here alone, by the earlier clock, as it is counted."""
    record = replace(record, **forget(record, event.since)) if event.since else record
    return replace(
        record,
        state=RequestedState(),
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
        requested_told=event.told,
        in_spite_of=event.in_spite_of,
        evidence="",
        retry_at=None,
        **authorise(record, event.at, sends=1, emergency=event.emergency),
    )


def awaited(record: Record, event: ev.Awaited) -> Record:
    """A person has to act. What was authorised was not sent: it is not counted."""
    state, authorised = record.state, record.phase is Phase.REQUESTED
    since = state.awaiting_since if isinstance(state, AwaitingState) and state.awaiting == event.text else event.at
    return replace(
        record,
        state=AwaitingState(event.text, since, event.at, record.candidate, cut_over_at=record.cut_over_at),
        sends=record.sends - 1 if authorised else record.sends,
        retry_at=None,
        **(unsent(record) if authorised else {}),
    )


def polled(record: Record, event: ev.Polled) -> Record:
    """Nothing has changed but the time."""
    return replace(record, retry_at=event.until, retry_from=event.since or event.at)


def reminded(record: Record, event: ev.Reminded) -> Record:
    """The next reminder is a while away."""
    state = record.state
    return replace(record, state=replace(state, reminded_at=event.at) if isinstance(state, AwaitingState) else state)


def installed(record: Record, event: ev.Installed) -> Record:
    """The target knows the candidate, under the handle that it goes by there."""
    candidate, cut_over_at = record.in_hand, record.cut_over_at or event.cut_over_at
    known = replace(candidate, token=event.token, pending=False)
    state = InstalledState(known, event.at, event.ready_at, cut_over_at=cut_over_at)
    return replace(record, state=state, retry_at=None)


def staged(record: Record, event: ev.Staged) -> Record:
    """The candidate is durable."""
    return replace(
        record,
        state=StagedState(event.candidate, cut_over_at=record.cut_over_at),
        slot_version=event.candidate.slot_version,
        slot_full=True,
        sends=record.sends - 1 if event.supplied else record.sends,
        retry_at=None,
        **(unsent(record) if event.supplied else {}),
    )


def mint_lost(record: Record, event: ev.MintLost) -> Record:
    """A token may live that nobody knows the secret of."""
    return replace(reject(record, event.at, "mint", event.reason), slot_full=True, strays=True)


def not_minted(record: Record, event: ev.NotMinted) -> Record:
    """Nothing was minted: once more, or no more."""
    if not event.resend:
        rejected = reject(record, event.at, "mint", "no token under the name, and no mint left to try")
        return replace(rejected, strays=True)
    again = authorise(record, event.at, sends=record.sends + 1, emergency=record.emergency)
    return replace(record, state=RequestedState(cut_over_at=record.cut_over_at), retry_at=None, strays=True, **again)


def mint_refused(record: Record, event: ev.MintRefused) -> Record:
    """Nothing was minted, and the same request would be refused again: the mint is not counted."""
    return _give_up(replace(record, **unsent(record)), event.at, Failure("mint", event.reason, event.at))


def burned(record: Record, event: ev.Burned) -> Record:
    """The next attempt, or none. Where the target takes the published value no more, only a new one helps."""
    if event.lost:
        record = replace(record, refused_at=event.at, failure=Failure("burn", event.lost, event.at))
    if event.give_up:
        return _give_up(record, event.at, record.failure)
    return replace(
        record,
        state=RequestedState(cut_over_at=record.cut_over_at if event.lost else None),
        attempt=record.attempt + 1,
        strays=True,
        retry_at=None,
        **authorise(record, event.at, sends=record.sends + 1, emergency=record.emergency),
    )


def _give_up(record: Record, at: datetime, failure: Failure | None) -> Record:
    given_up = record.given_up + 1
    pause = schedule.rotation_pause(given_up, record.stem)
    return replace(
        record,
        state=SettledState(),
        emergency=False,
        failures=0,
        given_up=given_up,
        failure=failure,
        retry_at=at + pause,
        retry_from=at,
        settled_at=at,
    )


def reject(record: Record, at: datetime, step: str, reason: str) -> Record:
    """The candidate will be burned; how often that fails is counted from here."""
    if record.undo:  # the candidate is the predecessor: never burned
        return undo.failed(record, at, reason)
    state = RejectedState(record.candidate, cut_over_at=record.cut_over_at)
    return replace(record, state=state, failure=Failure(step, reason, at), failures=0, retry_at=None)
