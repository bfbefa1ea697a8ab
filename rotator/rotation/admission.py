"""Whether a rotation that is due may begin now.

The first of RULES that objects decides, then the calendar. An emergency asks neither, and what has begun goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from rotator.rotation.credential import Credential
from rotator.rotation.pause import pause_on, words
from rotator.rotation.record import Record, Trigger
from rotator.rotation.retirement import longest_grace
from rotator.rotation.schedule import proof_room, retry_room
from rotator.rotation.wording import when


@dataclass(frozen=True, slots=True)
class NotNow:
    """It may not begin before `until` (UTC); None: not until somebody or something changes that. `reason`: in words."""

    until: datetime | None
    reason: str


Rule = Callable[[Credential, Record, datetime, Trigger], NotNow | None]


def paused(credential: Credential, record: Record, now: datetime, trigger: Trigger) -> NotNow | None:
    """An operator paused it."""
    pause = pause_on(credential, record, now)
    return NotNow(pause.until, words(pause)) if pause else None


RULES: tuple[Rule, ...] = (paused,)


def not_now(
    credential: Credential, record: Record, now: datetime, trigger: Trigger, shared: datetime | None = None
) -> NotNow | None:
    """Why a rotation that is due because of `trigger` may not begin at `now` (UTC); None: it may.

    `shared`: Vault's clock, by which all processes read the calendar; None: the same as `now`.
    """
    if no := next((no for rule in RULES if (no := rule(credential, record, now, trigger))), None):
        return no
    return by_calendar(credential, record, now, shared)


# --- the calendar ---------------------------------------------------------------------------------------------------


def by_calendar(credential: Credential, record: Record, now: datetime, shared: datetime | None = None) -> NotNow | None:
    """It is outside its window, or in a freeze, and nothing is lost by waiting. `until` is by the clock of `now`.

    A first value, and one in the place of a value that does not work, wait for no calendar. One in the place of a
    value that would expire meanwhile waits for the last safe moment.
    """
    at = shared or now
    if not (closed := credential.calendar.closed(at)) or _urgent(record):
        return None
    opens, safe = credential.calendar.next_open(at), last_safe(credential, record)
    if safe is None or opens <= safe:
        return NotNow(opens - (at - now), closed)
    if safe <= at:
        return None
    expiry = f"the value expires before {when(opens)}, so its successor does not wait longer"
    return NotNow(safe - (at - now), f"{closed}; {expiry}")


def _urgent(record: Record) -> str:
    """Why a new value waits for no calendar, in words; empty: it does wait."""
    if record.current is None:
        return "nothing was published yet"
    if record.refused_at:
        return "the target refused the value until then"
    return "consumers did not find the value until then" if record.lost else ""


def last_safe(credential: Credential, record: Record) -> datetime | None:
    """The last moment at which a successor of the published value may begin: time is left to try it again, to prove it,
    and for the grace. None: the value has no date.
    """
    current = record.current
    if current is None or current.token.expires_at is None or current.life is None:
        return None
    room = retry_room(current.life) + proof_room(current.life) + longest_grace(credential.retire)
    return current.token.expires_at - room


def in_spite_of(credential: Credential, record: Record, shared: datetime, *, emergency: bool) -> str:
    """What the calendar says against a rotation that begins all the same, and why it begins; empty: nothing."""
    if not (closed := credential.calendar.closed(shared)):
        return ""
    if emergency:
        return f"{closed}; all the same, as it is an emergency"
    opens = credential.calendar.next_open(shared)
    end = record.current.token.expires_at if record.current else None
    expiry = f"the value until then expires at {when(end)}, too early to wait until {when(opens)}"
    return f"{closed}; all the same, as {_urgent(record) or expiry}"


def could_begin(credential: Credential, record: Record, due: datetime, now: datetime) -> datetime | None:
    """Since when what is due since `due` could begin; None: it may not begin at `now`."""
    if by_calendar(credential, record, now):
        return None
    safe = last_safe(credential, record)
    opened = credential.calendar.opened_at(now)
    times = [x for x in (opened, safe) if x and x <= now] if opened or credential.calendar.closed(now) else []
    return max(due, min(times, default=due))


def begins_at(credential: Credential, record: Record, due: datetime) -> datetime:
    """When what is due at `due` begins: in its window and outside every freeze, unless that were too late."""
    no = by_calendar(credential, record, due)
    return no.until if no and no.until else due
