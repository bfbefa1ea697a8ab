"""A pause lasts no longer than it is long: what is watched for that time by a clock that only goes forward is over."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from rotator.rotation import events as ev
from rotator.rotation import triggers
from rotator.rotation.ahead import put_right, waits_otherwise
from rotator.rotation.credential import Retirement
from rotator.rotation.decide import next_step
from rotator.rotation.record import Phase, Record, Trigger
from rotator.rotation.schedule import Every, FractionOfLife
from rotator.rotation.steps import Condemn, Mint, Poll, Publish, Request, Verify, Wait
from rotator.rotation.transitions import advance
from tests.kit.records import replace
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
FAR = NOW + 100 * DAY
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


@pytest.mark.parametrize("phase", [REQUESTED, Phase.SETTLED, Phase.REJECTED])
def test_a_pause_that_a_clock_began_that_was_ahead_is_as_long_for_each_who_takes_the_record_up(phase: Phase) -> None:
    found = advance(record(phase, retry_from=AHEAD, retry_at=AHEAD + 30 * SECOND), ev.Resumed(NOW, rested=10 * SECOND))
    assert (found.retry_from, found.retry_at) == (NOW - 10 * SECOND, NOW + 20 * SECOND)
    assert advance(found, ev.Resumed(NOW + MINUTE)) == found, "who is started later does not begin it anew"


@pytest.mark.parametrize(
    ("phase", "spoilt", "waited_by"),
    [
        (REQUESTED, {"sent_at": AHEAD}, True),
        (REQUESTED, {"retry_from": AHEAD, "retry_at": AHEAD + SECOND}, True),
        (REQUESTED, {"current": published(1, AHEAD)}, True),
        (REQUESTED, {"requested_at": AHEAD}, False),
        (Phase.AWAITING, {"reminded_at": AHEAD}, False),
        (Phase.VERIFIED, {"verified_at": AHEAD}, False),
        (Phase.HELD, {"verified_at": AHEAD}, False),
        (Phase.CONDEMNED, {"condemned_at": AHEAD}, False),
    ],
)
def test_what_somebody_waits_by_is_told_from_what_only_happened(
    phase: Phase, spoilt: dict[str, Any], waited_by: bool
) -> None:
    found = record(phase, **spoilt)
    right = put_right(found, NOW)
    assert right != found
    assert waits_otherwise(found, right) is waited_by
    assert put_right(right, NOW) == right


def test_no_pause_is_made_shorter() -> None:
    pausing = record(Phase.SETTLED, retry_from=NOW - MINUTE, retry_at=NOW + HOUR)
    assert put_right(pausing, NOW) == pausing
    over = record(Phase.SETTLED, retry_from=AHEAD)
    assert put_right(over, NOW) == over
    unknown = record(Phase.SETTLED, retry_at=AHEAD)
    assert put_right(unknown, NOW) == unknown


def test_what_fails_while_a_rotation_is_given_up_keeps_the_rest_of_that_pause_and_no_more() -> None:
    given_up = record(Phase.SETTLED, retry_from=FAR, retry_at=FAR + HOUR)
    swept = advance(given_up, ev.Faulted(FAR, "sweep", "no answer", since=NOW))  # by the one clock that is right
    assert (swept.retry_from, swept.retry_at) == (NOW, NOW + HOUR)
    late = advance(
        replace(given_up, retry_from=NOW, retry_at=NOW + HOUR), ev.Faulted(NOW + MINUTE, "sweep", "no answer")
    )
    assert late.retry_at == NOW + HOUR


def test_a_mint_that_a_clock_sent_that_was_ahead_is_looked_for_when_the_target_has_settled() -> None:
    found = advance(record(REQUESTED, uncertain=True, sent_at=AHEAD), ev.Resumed(NOW))
    assert next_step(credential(), found, NOW) == Wait(NOW + SETTLE, "a mint may still be on its way")
    assert not isinstance(next_step(credential(), found, NOW + SETTLE), Wait)


def test_a_schedule_does_not_sleep_for_as_long_as_a_clock_was_ahead() -> None:
    ahead = record(Phase.SETTLED, current=published(1, at=NOW + 100 * DAY))
    every = credential(schedule=Every(MINUTE, jitter=0))
    assert isinstance(next_step(every, ahead, NOW, rested=59 * SECOND), Wait)
    said = f"published for 0:01:00 and not {NOW + 100 * DAY + MINUTE:%F %TZ} yet: a clock was ahead"
    assert next_step(every, ahead, NOW, rested=MINUTE) == Request(Trigger.AGED, said)


def test_what_is_due_never_by_its_schedule_is_not_due_for_being_watched() -> None:
    lasting = record(Phase.SETTLED, current=published(1, token=token(1)))
    assert isinstance(next_step(credential(schedule=FractionOfLife(0.5)), lasting, NOW, rested=99 * DAY), Wait)


def resumed(known: Record, rested=MINUTE) -> Record:
    """As it is taken up at NOW."""
    return advance(known, ev.Resumed(NOW, rested=rested))


def test_a_grace_lasts_no_longer_than_it_is_long_although_the_clock_that_began_it_was_ahead() -> None:
    graceful = record(Phase.PUBLISHED, current=published(2, at=FAR), grace_ends=FAR + 2 * HOUR)
    first = resumed(graceful, 0 * MINUTE)
    assert next_step(credential(), first, NOW) == Wait(NOW + 2 * HOUR, "predecessor in grace")
    later = resumed(graceful, 2 * HOUR - SECOND)
    assert next_step(credential(), later, NOW) == Wait(NOW + SECOND, "predecessor in grace")
    assert next_step(credential(), resumed(graceful, 2 * HOUR), NOW) == Condemn()
    assert resumed(first, 3 * HOUR) == replace(
        resumed(record(Phase.PUBLISHED), 3 * HOUR),
        current=first.current,
        grace_from=NOW - 3 * HOUR,
        grace_ends=NOW - HOUR,
    )


def test_a_grace_that_was_put_right_is_extended_by_later_settings_as_any_other() -> None:
    found = resumed(record(Phase.PUBLISHED, current=published(2, at=FAR), grace_ends=FAR + HOUR), HOUR)
    longer = credential(retire=replace(credential().retire, after=3 * HOUR))
    assert next_step(longer, found, NOW) == Wait(NOW + 2 * HOUR, "predecessor in grace")
    assert found.current.at == FAR, "requests are compared with it"


def test_no_grace_is_made_shorter() -> None:
    graceful = record(Phase.PUBLISHED, current=published(2, at=NOW - MINUTE), grace_ends=NOW + HOUR)
    assert resumed(graceful, MINUTE).grace_ends == NOW + HOUR
    assert put_right(record(Phase.SETTLED), NOW) == record(Phase.SETTLED)
    unpromised = record(Phase.PUBLISHED, current=published(2, at=FAR), grace_ends=None)
    assert resumed(unpromised).grace_from == NOW - MINUTE
    assert resumed(unpromised).grace_ends is None


def test_the_next_publication_begins_a_grace_of_its_own() -> None:
    verified = record(Phase.VERIFIED, grace_from=NOW - DAY)
    assert advance(verified, ev.Published(NOW, 2, NOW + HOUR)).grace_from is None


def test_a_person_is_reminded_although_a_clock_was_ahead() -> None:
    waiting = record(Phase.AWAITING, reminded_at=FAR)
    assert isinstance(next_step(credential(), resumed(waiting), NOW), Wait)
    assert next_step(credential(), resumed(waiting, credential().limits.remind), NOW) == Poll(remind=True)


def test_a_proof_grows_old_although_a_clock_was_ahead() -> None:
    proven = record(Phase.VERIFIED, verified_at=FAR, expected_version=1)
    assert next_step(credential(), resumed(proven, 0 * MINUTE), NOW) == Publish(1, reprove=False)
    assert next_step(credential(), resumed(proven, credential().limits.proof_life), NOW) == Publish(1, reprove=True)


def test_mints_count_for_a_day_although_a_clock_was_ahead() -> None:
    minted = record(Phase.SETTLED, mints=(NOW - HOUR, FAR), emergency_mints=(FAR,))
    found = resumed(minted)
    assert (found.mints, found.emergency_mints) == ((NOW - HOUR, NOW - MINUTE), (NOW - MINUTE,))


def test_a_pause_of_what_is_deferred_counts_from_its_beginning() -> None:
    ahead = advance(
        record(Phase.PUBLISHED, grace_from=NOW - DAY, grace_ends=None),
        ev.Deferred(FAR, FAR + MINUTE, "in use", since=FAR),
    )
    assert next_step(credential(), ahead, NOW, rested=59 * SECOND) == Wait(FAR + MINUTE, "in use")
    assert next_step(credential(), ahead, NOW, rested=MINUTE) == Condemn()


@pytest.mark.parametrize("now", [NOW, FAR - 200 * DAY], ids=["the clock is ahead", "another clock is behind"])
def test_a_grace_is_over_after_its_length_although_a_clock_is_days_off_all_the_time(now: datetime) -> None:
    graceful = credential(retire=Retirement(after=MINUTE))
    known = record(Phase.PUBLISHED, current=published(2, at=FAR), grace_ends=FAR + MINUTE)
    assert next_step(graceful, known, now, rested=59 * SECOND) == Wait(FAR + MINUTE, "predecessor in grace")
    assert next_step(graceful, known, now, rested=MINUTE) == Condemn(watched=True)
    assert next_step(graceful, known, FAR + MINUTE, rested=MINUTE) == Condemn()


def test_a_life_counts_from_its_beginning_at_the_target_where_a_clock_was_ahead() -> None:
    def end(**times) -> object:
        return triggers.expires_soon_at(published(1, at=FAR, token=token(1, **times)))

    assert end(issued_at=NOW, expires_at=NOW + 10 * HOUR) == NOW + 9 * HOUR
    assert end(expires_at=NOW + 10 * HOUR) == NOW + 10 * HOUR
