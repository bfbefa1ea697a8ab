"""The dates that the state of a credential is judged by, and which of its values live."""

from __future__ import annotations

from datetime import datetime

from rotator.rotation import pause, retirement, triggers
from rotator.rotation.credential import Credential
from rotator.rotation.record import Phase, Record, Token

_UNDER_WAY = frozenset(
    {
        *(Phase.UNDOING, Phase.REQUESTED, Phase.AWAITING, Phase.STAGED, Phase.INSTALLED, Phase.VERIFIED),
        Phase.REJECTED,
    }
)


def living(record: Record, now: datetime) -> frozenset[str]:
    """The tokens whose values the target would accept, as far as the record knows."""
    published = [each for each in (record.current, record.predecessor) if each and each.refused_at is None]
    found = {each.token.id for each in published if not _over(each.token, now)}
    candidate, current = record.candidate, record.current
    if candidate and not candidate.pending and not _over(candidate.token, now):
        found.add(candidate.token.id)
    dead = current and (record.refused_at or record.cut_over_at)
    return frozenset(found - {current.token.id} if dead and current else found)


def due_since(credential: Credential, record: Record, now: datetime) -> datetime | None:
    """Since when a successor is due that is not published yet; None when none is, or an operator wants none."""
    if record.phase in (Phase.SETTLED, Phase.CONDEMNED) and pause.pause_on(credential, record, now):
        return None
    times = [triggers.next_due(credential, record)]
    waiting = record.phase is Phase.SETTLED and triggers.due(credential, record, now)
    if record.phase in _UNDER_WAY or waiting:
        times.append(record.requested_at)
    if record.current and record.requested_at and record.requested_at < record.current.at:
        times = times[:1]  # that request was answered
    return min((time for time in times if time and time <= now), default=None)


def revoke_by(credential: Credential, record: Record) -> datetime | None:
    """When the predecessor is to be dead: by its own date, or by settings and the promise at publication."""
    if record.predecessor is not None and record.ends_at is not None:
        return record.ends_at
    if record.predecessor is None or record.current is None or record.phase not in (Phase.PUBLISHED, Phase.CONDEMNED):
        return None
    policy, at = credential.retire, retirement.grace_from(record, record.current)
    end = retirement.earliest(policy, at, emergency=record.emergency, promised=record.grace_ends)
    end += credential.limits.spread
    if record.emergency or policy.quiet is None or policy.deadline is None:
        return end
    return max(end, at + policy.deadline + credential.limits.spread)


def _over(token: Token, now: datetime) -> bool:
    return token.expires_at is not None and token.expires_at <= now
