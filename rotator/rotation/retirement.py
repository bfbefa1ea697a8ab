"""When a predecessor may go, by the clocks and by what its target says of its use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from rotator.rotation.credential import AtDeadline, Retirement
from rotator.rotation.record import PublishedValue, Record
from rotator.rotation.wording import when

PROVEN = "successor proven"
_LOOK_AGAIN = timedelta(minutes=1)  # at a target that does not know of any use


@dataclass(frozen=True, slots=True)
class Go:
    """It may go; the evidence that allowed it."""

    evidence: str


@dataclass(frozen=True, slots=True)
class NotYet:
    """It may not go before `until`."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class StillUsed:
    """The deadline is over, it is still in use, and settings want a person to decide."""

    text: str


@dataclass(frozen=True, slots=True)
class Use:
    """What the target says about the use of the predecessor. `last` None: it does not know, which is not 'unused'.

    `step`: for so long after a use that was noted, further ones may go unnoted.
    """

    reported: bool
    last: datetime | None = None
    step: timedelta = timedelta(0)

    @property
    def latest(self) -> datetime | None:
        """When it may have been used last."""
        return self.last + self.step if self.last else None


Judgement = Go | NotYet | StillUsed


def grace_from(record: Record, current: PublishedValue) -> datetime:
    """Since when the grace counts that began with what is published."""
    return record.grace_from or current.at


def earliest(
    policy: Retirement, published_at: datetime, *, emergency: bool, promised: datetime | None = None
) -> datetime:
    """Before this time there is nothing to judge. Later settings may extend the promised end, not shorten it."""
    if emergency:
        return published_at
    return max(published_at + policy.after, promised or published_at)


def judge(
    policy: Retirement,
    published_at: datetime,
    now: datetime,
    use: Use,
    *,
    emergency: bool,
    promised: datetime | None = None,
    proof: str = PROVEN,
) -> Judgement:
    """Whether the predecessor may go, by what evidence; the successor's proof is the caller's to bring, in words."""
    if emergency:
        return Go(f"emergency: {proof}")
    grace_ends = earliest(policy, published_at, emergency=False, promised=promised)
    if now < grace_ends:
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


def left_behind(record: Record) -> PublishedValue | None:
    """Whose end is awaited after a publication. Of two that end by their dates, the later: with it both are gone."""
    if record.ends_at is None or record.predecessor is None or record.current is None:
        return record.predecessor or record.current
    return max(record.predecessor, record.current, key=lambda each: each.token.expires_at or each.at)
