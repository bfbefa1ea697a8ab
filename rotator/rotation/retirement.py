"""When a predecessor may be ended, by the clocks and by its last use at the target."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from rotator.rotation.credential import AtDeadline, Retirement
from rotator.rotation.record import PublishedValue, Record
from rotator.rotation.wording import when

PROVEN = "successor proven"
BY_EXPIRY = "the predecessor ends by expiry"
REVOCATIONS = 4  # answered tries to revoke what ends by its date as well
_BETWEEN = 15.0  # seconds between the first two of them, then twice as long each time
_LOOK_AGAIN = timedelta(minutes=1)  # if the target has recorded no use


@dataclass(frozen=True, slots=True)
class Go:
    """It may be ended; `evidence` says why."""

    evidence: str


@dataclass(frozen=True, slots=True)
class NotYet:
    """It may not be ended before `until`."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class StillUsed:
    """It is still used after the deadline, and the settings want a person to decide."""

    text: str


@dataclass(frozen=True, slots=True)
class Use:
    """What the target reports about the use of a predecessor. `last` None means unknown; it never means unused.

    `step`: for how long after a recorded use the target may leave out further ones.
    """

    reported: bool
    last: datetime | None = None
    step: timedelta = timedelta(0)

    @property
    def latest(self) -> datetime | None:
        """The latest time at which it may have been used."""
        return self.last + self.step if self.last else None


Judgement = Go | NotYet | StillUsed


def grace_from(record: Record, current: PublishedValue) -> datetime:
    """When the grace of the predecessor began: at the publication, unless its clock was ahead."""
    return record.grace_from or current.at


def earliest(
    policy: Retirement, published_at: datetime, *, emergency: bool, promised: datetime | None = None
) -> datetime:
    """The end of the grace. Later settings may extend the promised grace; they cannot shorten it."""
    if emergency:
        return published_at
    return max(published_at + policy.after, promised or published_at)


def longest_grace(policy: Retirement) -> timedelta:
    """How long a predecessor may stay after publication, at most."""
    return policy.deadline if policy.quiet is not None and policy.deadline is not None else policy.after


def judge(
    policy: Retirement,
    published_at: datetime,
    now: datetime,
    use: Use,
    *,
    emergency: bool,
    promised: datetime | None = None,
    proof: str = PROVEN,
    watched: bool = False,
) -> Judgement:
    """Decide whether the predecessor may be ended. `proof`: how the caller has proven the successor, in words.
    `watched`: the grace is over by a monotonic clock."""
    if emergency:
        return Go(f"emergency: {proof}")
    grace_ends = earliest(policy, published_at, emergency=False, promised=promised)
    if now < grace_ends and not watched:
        return NotYet(grace_ends, "in grace")
    if policy.quiet is None or not use.reported:
        return Go(f"{proof}, {policy.after} since publication")
    if use.latest is not None and use.latest + policy.quiet <= now:
        return Go(f"{proof}, {policy.after} since publication, last used {when(use.last)}")
    return _in_use(policy, published_at, now, use, proof)


def _in_use(policy: Retirement, published_at: datetime, now: datetime, use: Use, proof: str) -> Judgement:
    said = f"last used {when(use.last)}" if use.last else "last use unknown"
    deadline = published_at + policy.deadline if policy.deadline is not None else None
    if deadline is not None and deadline <= now:
        if policy.at_deadline is AtDeadline.HOLD:
            return StillUsed(f"predecessor {said}, deadline {when(deadline)} is over")
        return Go(f"{proof}, deadline {when(deadline)} is over, {said}")
    quiet_at = use.latest + policy.quiet if use.latest and policy.quiet else now + _LOOK_AGAIN
    until = max(quiet_at, now + timedelta(seconds=1))
    return NotYet(min(until, deadline) if deadline else until, said)


def pause_after(in_vain: int) -> float:
    """The seconds until the next try after so many earlier ones that the target answered in vain."""
    return _BETWEEN * 2.0**in_vain


def left_behind(record: Record) -> PublishedValue | None:
    """The predecessor after the next publication. Of two that end by their dates, the later: then both are dead."""
    if record.ends_at is None or record.predecessor is None or record.current is None:
        return record.predecessor or record.current
    return max(record.predecessor, record.current, key=lambda each: each.token.expires_at or each.at)
