"""A pause lasts no longer than it is long: what is watched for that time by a clock that only goes forward is over."""

from __future__ import annotations

import pytest

from rotator.rotation.decide import next_step
from rotator.rotation.record import Phase, Record, Trigger
from rotator.rotation.schedule import Every, FractionOfLife
from rotator.rotation.steps import Mint, Request, Verify, Wait
from tests.unit.rotation.builders import DAY, HOUR, MINUTE, NOW, SECOND, credential, published, record, token

REQUESTED, INSTALLED, UNDOING = Phase.REQUESTED, Phase.INSTALLED, Phase.UNDOING


def test_a_pause_is_over_after_its_length_although_the_clock_that_began_it_was_an_hour_ahead() -> None:
    pausing = record(REQUESTED, retry_from=NOW + HOUR, retry_at=NOW + HOUR + 30 * SECOND)
    assert next_step(credential(), pausing, NOW, rested=20 * SECOND) == Wait(pausing.retry_at, "backing off")
    assert next_step(credential(), pausing, NOW, rested=30 * SECOND) == Mint(pausing.mint_name)


def test_a_pause_whose_beginning_is_not_known_ends_by_its_date() -> None:
    pausing = record(REQUESTED, retry_at=NOW + HOUR)
    assert next_step(credential(), pausing, NOW, rested=HOUR) == Wait(NOW + HOUR, "backing off")


def test_with_clocks_that_agree_a_pause_ends_by_its_date() -> None:
    pausing = record(REQUESTED, retry_from=NOW, retry_at=NOW + MINUTE)
    assert next_step(credential(), pausing, NOW + 59 * SECOND) == Wait(NOW + MINUTE, "backing off")
    assert next_step(credential(), pausing, NOW + MINUTE) == Mint(pausing.mint_name)


AHEAD = NOW + HOUR
SETTLE = credential().limits.settle
SETTLING = {
    "a mint": record(REQUESTED, uncertain=True, sent_at=AHEAD),
    "an installation": record(INSTALLED, installed_at=AHEAD, ready_at=AHEAD + SETTLE),
    "a revocation": record(UNDOING, ready_at=AHEAD + SETTLE),
}


@pytest.mark.parametrize("known", SETTLING.values(), ids=SETTLING)
def test_a_target_that_has_had_its_time_to_settle_is_asked_although_a_clock_was_an_hour_ahead(known: Record) -> None:
    assert isinstance(next_step(credential(), known, NOW, rested=SETTLE - SECOND), Wait)
    assert not isinstance(next_step(credential(), known, NOW, rested=SETTLE), Wait)


def test_what_takes_long_to_be_known_everywhere_is_waited_for_as_long_as_it_took_at_the_installation() -> None:
    known = record(INSTALLED, installed_at=AHEAD, ready_at=AHEAD + 10 * MINUTE)
    assert isinstance(next_step(credential(), known, NOW, rested=9 * MINUTE), Wait)
    assert next_step(credential(), known, NOW, rested=10 * MINUTE) == Verify()


def test_a_schedule_does_not_sleep_for_as_long_as_a_clock_was_ahead() -> None:
    ahead = record(Phase.SETTLED, current=published(1, at=NOW + 100 * DAY))
    every = credential(schedule=Every(MINUTE, jitter=0))
    assert isinstance(next_step(every, ahead, NOW, rested=59 * SECOND), Wait)
    said = f"published for 0:01:00 and not {NOW + 100 * DAY + MINUTE:%F %TZ} yet: a clock was ahead"
    assert next_step(every, ahead, NOW, rested=MINUTE) == Request(Trigger.AGED, said)


def test_what_is_due_never_by_its_schedule_is_not_due_for_being_watched() -> None:
    lasting = record(Phase.SETTLED, current=published(1, token=token(1)))
    assert isinstance(next_step(credential(schedule=FractionOfLife(0.5)), lasting, NOW, rested=99 * DAY), Wait)
