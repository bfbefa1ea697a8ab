"""The checks for whether a settled credential is due. The first that applies, in the order of CHECKS, decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from rotator.rotation import lost_value as losses
from rotator.rotation.credential import Credential
from rotator.rotation.record import PublishedValue, Record, Trigger
from rotator.rotation.rotation_request import RotationRequest, wanted
from rotator.rotation.schedule import Schedule
from rotator.rotation.wording import when

_MARGIN = 0.1  # the last tenth of a life counts as expiring, at most a day
_MARGIN_CAP = timedelta(days=1)

Check = Callable[[Credential, Record, datetime, RotationRequest | None], str | None]


def asked(credential: Credential, record: Record, now: datetime, ask: RotationRequest | None) -> str | None:
    """Somebody requested a new value."""
    return f"asked for by {ask.by}" if ask is not None and wanted(record, ask) else None


def missing(credential: Credential, record: Record, now: datetime, ask: RotationRequest | None) -> str | None:
    """No value was ever published."""
    return "nothing published yet" if record.current is None else None


def moved(credential: Credential, record: Record, now: datetime, ask: RotationRequest | None) -> str | None:
    """The settings name another consumer path, or another key there."""
    current = record.current
    if current and current.place != credential.place:
        return f"published at {current.place}, wanted at {credential.place}"
    if current and current.key not in ("", credential.key):
        return f"published under the key {current.key}, wanted under {credential.key}"
    return None


def refused(credential: Credential, record: Record, now: datetime, ask: RotationRequest | None) -> str | None:
    """The target refuses the published value."""
    return f"refused by the target at {when(record.refused_at)}" if record.refused_at else None


def lost(credential: Credential, record: Record, now: datetime, ask: RotationRequest | None) -> str | None:
    """Consumers do not find the published value, and the settings allow us to write over what they find."""
    return losses.said(record.lost) if record.lost else None


def expiring(credential: Credential, record: Record, now: datetime, ask: RotationRequest | None) -> str | None:
    """The published value expires soon."""
    end = expires_soon_at(record.current)
    if not (record.current and record.current.token.expires_at and _over(end, now)):
        return None
    word = "expired" if record.current.token.expires_at <= now else "expires"
    return f"{word} at {when(record.current.token.expires_at)}"


def policy_changed(credential: Credential, record: Record, now: datetime, ask: RotationRequest | None) -> str | None:
    """The token was minted for other roles or another target. Digests of different versions are not compared."""
    have = record.current.policy if record.current else ""
    same_making = have.partition(":")[0] == credential.policy.partition(":")[0]
    return "roles or target changed in settings" if same_making and have != credential.policy else None


def aged(credential: Credential, record: Record, now: datetime, ask: RotationRequest | None) -> str | None:
    """The schedule wants a new value."""
    due = scheduled_at(credential, record)
    return f"due since {when(due)}" if due and due <= now else None


CHECKS: tuple[tuple[Trigger, Check], ...] = (
    (Trigger.ASKED, asked),
    (Trigger.MISSING, missing),
    (Trigger.MOVED, moved),
    (Trigger.REFUSED, refused),
    (Trigger.LOST, lost),
    (Trigger.EXPIRING, expiring),
    (Trigger.POLICY, policy_changed),
    (Trigger.AGED, aged),
)


def due(
    credential: Credential, record: Record, now: datetime, ask: RotationRequest | None = None
) -> tuple[Trigger, str] | None:
    """The first check that applies, with a sentence for people; None if the credential is not due."""
    for why, check in CHECKS:
        if detail := check(credential, record, now, ask):
            return why, detail
    return None


def watched(credential: Credential, record: Record, rested: timedelta) -> tuple[Trigger, str] | None:
    """Due because the record has been known unchanged for the whole interval: the clock at publication was ahead."""
    due = scheduled_at(credential, record)
    if record.current is None or due is None or rested < due - record.current.at or not rested:
        return None
    return Trigger.AGED, f"published for {due - record.current.at} and not {when(due)} yet: a clock was ahead"


def scheduled_at(credential: Credential, record: Record) -> datetime | None:
    """When the schedule wants a successor of the published value; None: never, or nothing is published."""
    current = record.current
    if current is None:
        return None
    latest, value = _latest(credential.schedule, credential.name), (current.at, current.token.expires_at)
    answer = latest.answer
    if answer is None or answer[0] != value:
        answer = latest.answer = value, credential.schedule.due(credential.name, *value)
    return answer[1]


@dataclass(slots=True)
class _Latest:
    """The last answer of a schedule, with the value that it was for. Safe to use from any thread."""

    answer: tuple[tuple[datetime, datetime | None], datetime | None] | None = None


@lru_cache(maxsize=20_000)  # one look asks several times, and a cron expression is walked minute by minute
def _latest(schedule: Schedule, name: str) -> _Latest:
    return _Latest()


def expires_soon_at(current: PublishedValue | None) -> datetime | None:
    """From when on the published value counts as expiring; None: it has no date."""
    if current is None or current.token.expires_at is None or current.life is None:
        return None
    return current.token.expires_at - min(current.life * _MARGIN, _MARGIN_CAP)


def next_due(credential: Credential, record: Record) -> datetime | None:
    """The earliest time at which the schedule or the expiry makes it due; None: never."""
    times = [x for x in (scheduled_at(credential, record), expires_soon_at(record.current)) if x is not None]
    return min(times, default=None)


def _over(end: datetime | None, now: datetime) -> bool:
    return end is not None and end <= now
