"""The state of one credential, as every display, metric and exit code shows it.

It is computed from the settings, the record, and what the process has observed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rotator.rotation import pause, triggers
from rotator.rotation.adoption import taken_over
from rotator.rotation.change_calendar import ALWAYS
from rotator.rotation.credential import Credential, Pause
from rotator.rotation.explanation import coming
from rotator.rotation.record import Phase, Record
from rotator.rotation.troubles import (
    GRAVEST_EXIT,
    GRAVITY,
    Headline,
    Observed,
    Severity,
    Trouble,
    due_since,
    living,
    revoke_by,
    told,
    troubles,
    waits_for_calendar,
)

__all__ = ["GRAVEST_EXIT", "GRAVITY", "Headline", "Observed", "Severity", "State", "Trouble", "pass_exit", "state"]


@dataclass(frozen=True, slots=True)
class State:
    """The state of one credential. Times are UTC, None if there is no such time. Texts are empty if nothing applies.

    `word` is a headline of one to three words. `said` is its sentence, empty if all is well. `exit` is the exit code
    of a command that only looks.
    """

    name: str
    target: str
    path: str  # where consumers read
    key: str  # the key of the value there
    word: Headline
    mark: Severity
    said: str
    since: datetime | None  # when `said` began to be true
    do: str  # what a person should do
    exit: int
    phase: str  # "unknown" until the record was read
    rotation: int
    live: int  # values that the target would accept
    predecessors: int  # how many of them were published before the current one
    failures: int  # failed steps and given-up rotations in a row
    next: str  # what comes next, in words
    known: bool = False  # whether the record was read
    read_at: datetime | None = None  # when the record was read, if Vault cannot be read now
    published_at: datetime | None = None
    adopted: bool = False  # it was published by somebody else and adopted at `published_at`
    expires_at: datetime | None = None
    accepted_at: datetime | None = None  # when the target last accepted the published value
    next_at: datetime | None = None  # when to look again
    due_at: datetime | None = None  # when the schedule or the expiry makes it due
    due_since: datetime | None = None  # since when it is due and not replaced
    revoke_by: datetime | None = None  # when the predecessor should be dead
    refused_at: datetime | None = None  # since when the target refuses the published value
    unproven_at: datetime | None = None  # since when it is not known whether the target accepts it
    lost_at: datetime | None = None  # since when consumers do not find the published value
    held_at: datetime | None = None
    hold: str = ""  # the reason of a hold
    awaiting_at: datetime | None = None  # since when it waits for a person
    paused_at: datetime | None = None  # since when an operator pauses it
    operator_pause: str = ""  # who paused it, until when, and why
    waits_for: str = ""  # the window or the freeze that a due rotation waits for
    waits_until: datetime | None = None  # when that rotation begins
    outside_at: datetime | None = None  # when the latest rotation began in spite of the calendar, and no emergency
    left_alone: str = ""  # why its target, its minter or Vault is not called now
    holder: str = ""  # the process that has the lease
    lease: str = ""  # in words: who has the lease, and what we wait for
    asked: str = ""  # requests of operators that no process has taken up yet
    labels: Mapping[str, str] = field(default_factory=dict)


def state(credential: Credential, record: Record | None, now: datetime, observed: Observed | None = None) -> State:
    """The state of one credential. Without a record nothing was ever done, unless `observed.unread` says otherwise."""
    observed = observed or Observed()
    known = record if record is not None else Record("")
    found = troubles(credential, record, now, observed)
    first = found[0] if found else Trouble(_calm(known), Severity.FINE)
    by_hand = pause.pause_on(credential, known, now)
    next_words, next_at = coming(credential, known, now, observed)
    waiting = "" if record else observed.unread or observed.broken
    return State(
        name=credential.name,
        target=credential.target,
        path=str(credential.place),
        key=credential.key,
        word=first.word,
        mark=first.mark,
        said=told(found),
        since=first.since,
        do=first.do,
        exit=5 if any(each.exit == 5 for each in found) else first.exit,
        phase="unknown" if waiting else known.phase.value,
        rotation=known.rotation,
        live=len(living(known, now)),
        predecessors=len(living(known, now) & {each.token.id for each in known.older}),
        failures=known.failures + known.given_up,
        next=waiting or next_words,
        known=not waiting,
        read_at=observed.read_at,
        published_at=known.current.at if known.current else None,
        adopted=taken_over(known),
        expires_at=known.current.token.expires_at if known.current else None,
        accepted_at=observed.accepted_at,
        next_at=None if waiting else next_at,
        due_at=triggers.next_due(credential, known),
        due_since=due_since(credential, known, now) if record else None,
        revoke_by=None if by_hand else revoke_by(credential, known),
        refused_at=known.refused_at,
        unproven_at=next((each.since for each in found if each.word is Headline.UNPROVEN), None),
        lost_at=known.lost.at if known.lost else None,
        held_at=known.held.at if known.held else None,
        hold=known.held.reason.value if known.held else "",
        awaiting_at=min(_awaiting(known), default=None),
        left_alone=observed.left_alone,
        holder=observed.holder,
        lease=observed.lease,
        asked=observed.asked,
        labels=credential.labels,
        **_kept_back(credential, known, now, by_hand),
    )


def _kept_back(credential: Credential, record: Record, now: datetime, by_hand: Pause | None) -> dict[str, Any]:
    """What a pause and the calendar keep from beginning, and what began all the same."""
    paused = {"paused_at": by_hand.at, "operator_pause": pause.words(by_hand)} if by_hand else {}
    not_open = waits_for_calendar(credential, record, now) if credential.calendar is not ALWAYS else None
    waits = {"waits_for": not_open.reason, "waits_until": not_open.until} if not_open else {}
    outside = record.requested_at if record.in_spite_of and not record.emergency else None
    return {**paused, **waits, "outside_at": outside}


def _awaiting(record: Record) -> Iterator[datetime]:
    """Since when a person has to make a new value, end an old one or let us end it: each of these times."""
    if record.awaiting_since:
        yield record.awaiting_since
    if record.hampered and record.hampered.person_since:
        yield record.hampered.person_since
    yield from (each.since for each in record.unended)


_FAILED, _HELD, _UNDECIDED = 1, 3, 75
_FOR_A_PERSON = (Phase.HELD.value, Phase.AWAITING.value)


def pass_exit(states: Iterable[State], *, rests: bool) -> int:
    """The exit code of a command that did what was due. `rests`: it has nothing left to do."""
    found = list(states)
    for each in found:
        given_up = each.phase == Phase.SETTLED.value and each.failures
        if each.word is Headline.BROKEN or given_up or (rests and each.left_alone):
            return _FAILED
    if any(each.phase in _FOR_A_PERSON or each.word is Headline.NEEDS_YOU for each in found):
        return _HELD
    return 0 if rests else _UNDECIDED


_CALM = {Phase.SETTLED: Headline.SETTLED, Phase.PUBLISHED: Headline.IN_GRACE, Phase.CONDEMNED: Headline.RETIRING}


def _calm(record: Record) -> Headline:
    """The headline if nothing is wrong. After a publication without a predecessor only the sweep is left."""
    done = record.phase is Phase.SETTLED or record.predecessor is not None
    return _CALM.get(record.phase, Headline.ROTATING) if done else Headline.ROTATING
