"""What is wrong with one credential: a table of checks, gravest first, and the dates that they use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from rotator.rotation import admission, adoption, left_to_date, lost_value, pause, retirement, triggers
from rotator.rotation.credential import Credential
from rotator.rotation.phases import AwaitingState
from rotator.rotation.record import Phase, Record
from rotator.rotation.rotation_request import as_rotation_request
from rotator.rotation.wording import mended, when

_UNDER_WAY = frozenset(
    {
        *(Phase.UNDOING, Phase.REQUESTED, Phase.AWAITING, Phase.STAGED, Phase.INSTALLED, Phase.VERIFIED),
        Phase.REJECTED,
    }
)


def living(record: Record, now: datetime) -> frozenset[str]:
    """The ids of tokens whose values the target accepts, as far as the record knows."""
    published = [each for each in record.published if each.refused_at is None]
    found = {each.token.id for each in published if not each.token.has_expired(now)}
    candidate, current = record.candidate, record.current
    if candidate and not candidate.pending and not candidate.token.has_expired(now):
        found.add(candidate.token.id)
    dead = current and (record.refused_at or record.cut_over_at)
    return frozenset(found - {current.token.id} if dead and current else found)


def due_since(credential: Credential, record: Record, now: datetime) -> datetime | None:
    """Since when an unpublished successor is due and could begin; None: none is, or a pause or the calendar says no."""
    if record.phase in (Phase.SETTLED, Phase.CONDEMNED) and pause.pause_on(credential, record, now):
        return None
    times = [triggers.next_due(credential, record)]
    waiting = record.phase is Phase.SETTLED and triggers.due(credential, record, now)
    if record.phase in _UNDER_WAY or waiting:
        times.append(record.requested_at)
    if record.current and record.requested_at and record.requested_at < record.current.at:
        times = times[:1]  # that request was answered
    since = min((time for time in times if time and time <= now), default=None)
    if since is None or record.phase not in _UNDER_WAY:
        return since and admission.could_begin(credential, record, since, now)
    began = record.requested_at or now
    return admission.could_begin(credential, record, since, began) or began


def waits_for_calendar(credential: Credential, record: Record, now: datetime) -> admission.NotNow | None:
    """What the calendar says against a rotation that is due; None: nothing, or none is due."""
    due = record.phase is Phase.SETTLED and (
        triggers.due(credential, record, now, as_rotation_request(record.asked) if record.asked else None)
    )
    return admission.by_calendar(credential, record, now) if due else None


def revoke_by(credential: Credential, record: Record) -> datetime | None:
    """When the predecessor should be dead: by its own date, or by settings and the grace promised at publication.

    What leaked and could not be revoked should have been dead when that was given up.
    """
    leaked = [each.since for each in left_to_date.leaks(record)]
    return min((x for x in (*leaked, _end_of_predecessor(credential, record)) if x), default=None)


def _end_of_predecessor(credential: Credential, record: Record) -> datetime | None:
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


PATIENCE = timedelta(minutes=5)  # what is late by less than this is still called under way
GRAVEST_EXIT = (5, 1, 3)  # exit codes of a command that only looks, gravest first


class Severity(StrEnum):
    """How urgent a trouble is. Displays show it by a word and a shape, never by colour alone."""

    ACT = "act"
    WATCH = "watch"
    FINE = "fine"


GRAVITY = {mark: number for number, mark in enumerate(Severity)}  # for sorting, the gravest first


class Headline(StrEnum):
    """The headline of a state, one to three words."""

    BROKEN = "broken"
    HELD = "held"
    NEEDS_YOU = "needs you"
    WAITING = "waiting"
    REFUSED = "value refused"
    MISSING = "value missing"
    EXPIRED = "expired"
    OVERDUE = "overdue"
    LATE = "predecessor alive"
    DOUBTED = "refused once"
    UNPROVEN = "not proven"
    STOPPED = "stopped"
    PAUSED_BY_HAND = "paused by hand"
    FAILING = "failing"
    STALE = "out of date"
    LEFT_ALONE = "paused"
    FIRST = "first rotation"
    FROZEN = "frozen"
    NOT_OPEN = "waits for window"
    UNSEEN = "not seen yet"
    ROTATING = "rotating"
    IN_GRACE = "in grace"
    RETIRING = "retiring"
    SETTLED = "settled"


@dataclass(frozen=True, slots=True)
class Observed:
    """What a running process knows of a credential besides its record. Commands that only read Vault know none."""

    unread: str = ""  # why the record was not read yet
    broken: str = ""  # why nothing can be done: a refusal, a bug, or an unreadable record
    stale: str = ""  # why Vault cannot be read now, so that the record is an older one
    read_at: datetime | None = None  # if `stale`: when the record was read
    left_alone: str = ""  # why its target, its minter or Vault is not called now
    accepted_at: datetime | None = None  # when the target last accepted the published value
    unproven_at: datetime | None = None  # since when it is not known whether the target accepts it
    doubted_at: datetime | None = None  # when the target refused it once; only a second refusal counts
    holder: str = ""  # the process that has the lease
    lease: str = ""  # in words: who has the lease, and what we wait for
    asked: str = ""  # requests of operators that no process has taken up yet


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong. `do`: what a person should do, or empty. `exit`: exit code of a command that looks."""

    word: Headline
    mark: Severity
    said: str = ""
    since: datetime | None = None
    do: str = ""
    exit: int = 0


def troubles(credential: Credential, record: Record | None, now: datetime, observed: Observed) -> list[Trouble]:
    """Everything that is wrong, gravest first, without what follows from something graver."""
    if observed.broken:
        return [Trouble(Headline.BROKEN, Severity.ACT, observed.broken, do=_EXPLAIN.format(credential.name), exit=1)]
    if record is None and observed.unread:
        return [Trouble(Headline.UNSEEN, Severity.WATCH, observed.unread)]
    known = record if record is not None else Record("")
    found = [each for check in _CHECKS for each in check(credential, known, now, observed)]
    words = {each.word for each in found}
    return [each for each in found if not words & _IMPLIED_BY.get(each.word, frozenset())]


def told(found: Sequence[Trouble]) -> str:
    """The troubles of the gravest severity in one line, with the causes of what is late."""
    if not found:
        return ""
    grave = [each for each in found if each.mark is found[0].mark or (each.word in _CAUSES and not _with_person(found))]
    parts: list[str] = []
    for each in grave:
        if not any(each.said in part for part in parts):
            parts.append(each.said)
    return "; ".join(parts)


def _with_person(found: Sequence[Trouble]) -> bool:
    return found[0].word in (Headline.HELD, Headline.NEEDS_YOU, Headline.WAITING)


# --- what is wrong --------------------------------------------------------------------------------------------------

_Check = Callable[[Credential, Record, datetime, Observed], Iterator[Trouble]]
_EXPLAIN = "rotate explain {}"

_CAUSES = (  # of what is late
    *(Headline.STOPPED, Headline.PAUSED_BY_HAND, Headline.FAILING, Headline.STALE, Headline.LEFT_ALONE),
)
_IMPLIED_BY = {
    Headline.OVERDUE: frozenset({Headline.REFUSED, Headline.MISSING, Headline.EXPIRED}),
    Headline.DOUBTED: frozenset({Headline.REFUSED, Headline.EXPIRED}),
    Headline.UNPROVEN: frozenset({Headline.REFUSED, Headline.MISSING, Headline.EXPIRED, Headline.LEFT_ALONE}),
}


def _held(credential: Credential, record: Record, now: datetime, observed: Observed) -> Iterator[Trouble]:
    if held := record.held:
        do = mended(held.reason, credential.name, adopts=adoption.offered(credential, record))
        yield Trouble(Headline.HELD, Severity.ACT, f"{held.text} ({held.reason.value})", held.at, do, exit=3)


def _awaiting(credential: Credential, record: Record, now: datetime, observed: Observed) -> Iterator[Trouble]:
    if isinstance(record.state, AwaitingState):
        at, text = record.state.awaiting_since, record.awaiting
        yield Trouble(Headline.NEEDS_YOU, Severity.ACT, f"since {when(at)}: {text}", at, text, exit=3)


def _hampered(credential: Credential, record: Record, now: datetime, observed: Observed) -> Iterator[Trouble]:
    """A step that goes on by itself once a person has given us back what it needs."""
    if (failure := record.hampered) and (since := failure.person_since):
        said = f"since {when(since)} {failure.said}"
        yield Trouble(Headline.NEEDS_YOU, Severity.ACT, said, since, failure.reason, exit=3)


def _by_hand(credential: Credential, record: Record, now: datetime, observed: Observed) -> Iterator[Trouble]:
    """A person who supplies a new value also has to end the old one on the target."""
    for each in record.unended:
        said = (
            f"since {when(each.since)} the old value {each.value.token.id} waits for a person to end it: {each.to_do}"
        )
        yield Trouble(Headline.WAITING, Severity.ACT, said, each.since, each.to_do, exit=3)


def _refused(credential: Credential, record: Record, now: datetime, observed: Observed) -> Iterator[Trouble]:
    at, current = record.refused_at, record.current
    if at and current:
        said = f"the published value fails its proof at the target since {when(at)}"
        yield Trouble(Headline.REFUSED, Severity.ACT, said, at, renewed(credential, record, now), exit=5)


def _lost(credential: Credential, record: Record, now: datetime, observed: Observed) -> Iterator[Trouble]:
    """A hold already says what to do, so it is not repeated here."""
    if record.lost and not record.held:
        do = _EXPLAIN.format(credential.name)
        yield Trouble(Headline.MISSING, Severity.ACT, lost_value.said(record.lost), record.lost.at, do, exit=1)


def _expired(credential: Credential, record: Record, now: datetime, observed: Observed) -> Iterator[Trouble]:
    end = record.current.token.expires_at if record.current else None
    if end and end <= now:
        said = f"the published value expired at {when(end)}"
        yield Trouble(Headline.EXPIRED, Severity.ACT, said, end, renewed(credential, record, now), exit=5)


def renewed(credential: Credential, record: Record, now: datetime) -> str:
    """The command that replaces a value at once. During a pause or a grace only an emergency does."""
    by_hand = pause.pause_on(credential, record, now)
    asked = f"rotate now {credential.name}"
    if by_hand:
        return f"{pause.ended_by(by_hand, credential.name)}, or {asked} --emergency"
    if record.phase is Phase.PUBLISHED and not record.emergency:
        return f"{asked} --emergency, which ends the grace, or rotate undo {credential.name}"
    return asked


def _overdue(credential: Credential, record: Record, now: datetime, observed: Observed) -> Iterator[Trouble]:
    at = due_since(credential, record, now)
    if at and at + PATIENCE < now and record.phase is not Phase.AWAITING:
        yield Trouble(
            Headline.OVERDUE, Severity.ACT, f"due since {when(at)}", at, _EXPLAIN.format(credential.name), exit=1
        )


def _late(credential: Credential, record: Record, now: datetime, observed: Observed) -> Iterator[Trouble]:
    end = None if pause.pause_on(credential, record, now) else _end_of_predecessor(credential, record)
    for each in left_to_date.leaks(record):
        ends = f"it is expected to end at {when(each.until)}"
        said = f"{each.value.token.id} leaked, and could not be revoked: {each.reason}; {ends}"
        do = f"rotate revoke {credential.name}, or end it at the target"
        yield Trouble(Headline.LATE, Severity.ACT, said, each.since, do, exit=1)
    if end and end + PATIENCE < now and record.predecessor:
        said = f"the predecessor {record.predecessor.token.id} should be dead since {when(end)}"
        yield Trouble(Headline.LATE, Severity.ACT, said, end, _EXPLAIN.format(credential.name), exit=1)


def _doubted(credential: Credential, record: Record, now: datetime, observed: Observed) -> Iterator[Trouble]:
    if at := observed.doubted_at:
        said = f"the target refused the published value at {when(at)}; it is asked once more before that counts"
        yield Trouble(Headline.DOUBTED, Severity.WATCH, said, at)


def _unproven(credential: Credential, record: Record, now: datetime, observed: Observed) -> Iterator[Trouble]:
    """A value that any process published after `unproven_at` was proven at that time."""
    at, current = observed.unproven_at, record.current
    if at and current and current.at <= at and not observed.doubted_at and record.phase in _SHOWN:
        said = f"this process has not shown the published value to its target since {when(at)}: not proven yet"
        yield Trouble(Headline.UNPROVEN, Severity.WATCH, said, at, f"rotate verify {credential.name}")


_SHOWN = frozenset({Phase.SETTLED, Phase.PUBLISHED})  # the phases in which the probe asks the target


def _stopped(credential: Credential, record: Record, now: datetime, observed: Observed) -> Iterator[Trouble]:
    if (stop := pause.pause_on(credential, record, now)) and stop.stop:
        do = pause.ended_by(stop, credential.name)
        yield Trouble(Headline.STOPPED, Severity.ACT, pause.words(stop), stop.at, do, exit=3)


def _paused_by_hand(credential: Credential, record: Record, now: datetime, observed: Observed) -> Iterator[Trouble]:
    if (by_hand := pause.pause_on(credential, record, now)) and not by_hand.stop:
        do = pause.ended_by(by_hand, credential.name)
        yield Trouble(Headline.PAUSED_BY_HAND, Severity.WATCH, pause.words(by_hand), by_hand.at, do)


def _failing(credential: Credential, record: Record, now: datetime, observed: Observed) -> Iterator[Trouble]:
    """A failed undo is not shown: it is over, and its caller was told."""
    failure = None if record.hampered else record.failure
    if failure and failure.step != "undo":
        times = f" ({record.failures} in a row)" if record.failures > 1 else ""
        yield Trouble(Headline.FAILING, Severity.WATCH, f"{failure.said}{times}", failure.at)


def _stale(credential: Credential, record: Record, now: datetime, observed: Observed) -> Iterator[Trouble]:
    if observed.stale:
        said = f"Vault cannot be read, this is what was so {before(observed)}: {observed.stale}"
        yield Trouble(Headline.STALE, Severity.WATCH, said, observed.read_at)


def before(observed: Observed) -> str:
    """The time of the last read before Vault went away, in words."""
    return f"at {when(observed.read_at)}" if observed.read_at else "before"


def _left_alone(credential: Credential, record: Record, now: datetime, observed: Observed) -> Iterator[Trouble]:
    if observed.left_alone:
        yield Trouble(Headline.LEFT_ALONE, Severity.WATCH, observed.left_alone)


def _missing(credential: Credential, record: Record, now: datetime, observed: Observed) -> Iterator[Trouble]:
    if record.current is None:
        yield Trouble(Headline.FIRST, Severity.WATCH, "nothing was published yet")


def _not_open(credential: Credential, record: Record, now: datetime, observed: Observed) -> Iterator[Trouble]:
    """Nothing is wrong, unless the value would expire before the calendar lets its successor begin."""
    if (no := waits_for_calendar(credential, record, now)) and no.until:
        word = Headline.FROZEN if credential.calendar.frozen(now) else Headline.NOT_OPEN
        mark = Severity.WATCH if no.until < credential.calendar.next_open(now) else Severity.FINE
        yield Trouble(word, mark, f"due, and to begin at {when(no.until)}: {no.reason}")


_CHECKS: tuple[_Check, ...] = (
    *(_held, _awaiting, _refused, _lost, _expired, _hampered, _by_hand, _overdue, _late, _stopped),
    *(_doubted, _unproven, _paused_by_hand, _failing, _stale, _left_alone, _missing, _not_open),
)
