"""Owns one credential at a glance: how much a person should care, a word for it, and the sentence behind it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from rotator.engine.visit import Seen
from rotator.rotation import retire, why
from rotator.rotation.credential import Credential
from rotator.rotation.pause import pause_on, words
from rotator.rotation.record import Phase, Record
from rotator.rotation.summary import Summary, summarise

PATIENCE = timedelta(minutes=5)  # what is due, or over, for less than this is under way, not overdue
_UNDER_WAY = frozenset(
    {
        *(Phase.UNDOING, Phase.REQUESTED, Phase.AWAITING, Phase.STAGED, Phase.INSTALLED, Phase.VERIFIED),
        Phase.REJECTED,
    }
)


class Mark(StrEnum):
    """How much a person should care; each is shown with a word and a shape, never by colour alone."""

    ACT = "act"
    WATCH = "watch"
    FINE = "fine"


@dataclass(frozen=True, slots=True)
class Row:
    """One credential at a glance. `word` is a headline of one or two words, `said` the sentence behind it."""

    credential: Credential
    record: Record | None
    summary: Summary
    mark: Mark
    word: str
    said: str
    due_since: datetime | None  # due and not yet replaced
    next_at: datetime | None  # when the schedule, or the end of its life, asks for a successor
    revoke_by: datetime | None  # the predecessor lives until then at the latest
    predecessors: int
    paused: str  # why its target or Vault is not called just now
    accepted_at: datetime | None = None  # when this process last saw the target accept the published value

    @property
    def failures(self) -> int:
        """Failures in a row: of steps, and of whole rotations."""
        return self.record.failures + self.record.given_up if self.record else 0

    @property
    def paused_at(self) -> datetime | None:
        """Since when an operator keeps it from being rotated."""
        return self.record.paused.at if self.record and self.record.paused and self.summary.operator_pause else None

    @property
    def refused_at(self) -> datetime | None:
        """Since when the target refuses the published value."""
        return self.record.refused_at if self.record else None

    @property
    def awaiting_at(self) -> datetime | None:
        """Since when a person has work to do for it."""
        return self.record.awaiting_since if self.record and self.record.awaiting else None

    @property
    def held_at(self) -> datetime | None:
        """Since when it waits for a person."""
        return self.record.held.at if self.record and self.record.held else None


def row(
    credential: Credential,
    seen: Seen | None,
    now: datetime,
    *,
    paused: str = "",
    broken: str = "",
    accepted_at: datetime | None = None,
) -> Row:
    """One credential. `paused`: why nothing is done about it just now; `broken`: why nothing can be done at all."""
    record = seen.record if seen else None
    if broken:
        mark, word, said = Mark.ACT, "broken", broken
    elif record is None:
        mark, word, said = Mark.WATCH, "not seen yet", (seen and seen.wait.reason) or "its record was not read yet"
    else:
        mark, word, said = _judge(credential, record, now, paused)
    return Row(
        credential=credential,
        record=record,
        summary=summarise(credential, record, now),
        mark=mark,
        word=word,
        said=said,
        due_since=due_since(credential, record, now) if record else None,
        next_at=why.next_due(credential, record) if record else None,
        revoke_by=revoke_by(credential, record) if record and not pause_on(record, now) else None,
        predecessors=int(record.predecessor is not None) if record else 0,
        paused=paused,
        accepted_at=accepted_at,
    )


def due_since(credential: Credential, record: Record, now: datetime) -> datetime | None:
    """Since when a successor is due that is not published yet; None when none is, or an operator wants none."""
    if record.phase in (Phase.SETTLED, Phase.CONDEMNED) and pause_on(record, now):
        return None
    times = [why.next_due(credential, record)]
    waiting = record.phase is Phase.SETTLED and why.due(credential, record, now)
    if record.phase in _UNDER_WAY or waiting:
        times.append(record.requested_at)
    if record.current and record.requested_at and record.requested_at < record.current.at:
        times = times[:1]  # that request was answered
    return min((time for time in times if time and time <= now), default=None)


def revoke_by(credential: Credential, record: Record) -> datetime | None:
    """When the predecessor is dead at the latest: by its own date, or by settings and the promise at publication."""
    if record.predecessor is not None and record.ends_at is not None:
        return record.ends_at
    if record.predecessor is None or record.current is None or record.phase not in (Phase.PUBLISHED, Phase.CONDEMNED):
        return None
    policy, at = credential.retire, record.current.at
    end = retire.earliest(policy, at, emergency=record.emergency, promised=record.grace_ends)
    end += credential.limits.spread
    if record.emergency or policy.quiet is None or policy.deadline is None:
        return end
    return max(end, at + policy.deadline + credential.limits.spread)


# --- what is wrong: the first check that hits gives the word and the sentence ---------------------------------------


def _held(credential: Credential, record: Record, now: datetime) -> str:
    return f"{record.held.text} ({record.held.reason.value})" if record.held else ""


def _awaiting(credential: Credential, record: Record, now: datetime) -> str:
    return f"since {_at(record.awaiting_since)}: {record.awaiting}" if record.awaiting else ""


def _refused(credential: Credential, record: Record, now: datetime) -> str:
    return f"the target refuses the published value since {_at(record.refused_at)}" if record.refused_at else ""


def _expired(credential: Credential, record: Record, now: datetime) -> str:
    end = record.current.token.expires_at if record.current else None
    return f"the published value expired at {_at(end)}" if end and end <= now else ""


def _overdue(credential: Credential, record: Record, now: datetime) -> str:
    since = due_since(credential, record, now)
    return f"due since {_at(since)}{_cause(record)}" if since and since + PATIENCE < now else ""


def _late(credential: Credential, record: Record, now: datetime) -> str:
    end = None if pause_on(record, now) else revoke_by(credential, record)
    return f"the predecessor should be dead since {_at(end)}{_cause(record)}" if end and end + PATIENCE < now else ""


def _failing(credential: Credential, record: Record, now: datetime) -> str:
    failure = record.failure
    times = f" ({record.failures} in a row)" if record.failures > 1 else ""
    return f"{failure.step}: {failure.reason}{times}" if failure else ""


def _paused(credential: Credential, record: Record, now: datetime) -> str:
    pause = pause_on(record, now)
    return words(pause) if pause else ""


def _missing(credential: Credential, record: Record, now: datetime) -> str:
    return "nothing was published yet" if record.current is None else ""


_Check = Callable[[Credential, Record, datetime], str]
_CHECKS: tuple[tuple[Mark, str, _Check], ...] = (
    (Mark.ACT, "held", _held),
    (Mark.ACT, "needs you", _awaiting),
    (Mark.ACT, "value refused", _refused),
    (Mark.ACT, "expired", _expired),
    (Mark.ACT, "overdue", _overdue),
    (Mark.ACT, "predecessor alive", _late),
    (Mark.WATCH, "paused by hand", _paused),
    (Mark.WATCH, "failing", _failing),
    (Mark.WATCH, "first rotation", _missing),
)
_CALM = {
    Phase.SETTLED: "settled",
    Phase.PUBLISHED: "in grace",
    Phase.CONDEMNED: "retiring",
}


def _judge(credential: Credential, record: Record, now: datetime, paused: str) -> tuple[Mark, str, str]:
    for mark, word, check in _CHECKS:
        if said := check(credential, record, now):
            return mark, word, f"{said}; {paused}" if paused and paused not in said else said
    if paused:
        return Mark.WATCH, "paused", paused
    return Mark.FINE, _CALM.get(record.phase, "rotating"), ""


def _cause(record: Record) -> str:
    return f"; {record.failure.step}: {record.failure.reason}" if record.failure else ""


def _at(when: datetime | None) -> str:
    return f"{when:%F %T}Z" if when else "an unknown time"
