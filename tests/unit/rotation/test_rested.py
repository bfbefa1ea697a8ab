"""Nothing lasts longer than it is long: what is watched for that time by a clock that only goes forward is over."""

from __future__ import annotations

import pytest

from rotator.rotation import events as ev
from rotator.rotation import triggers
from rotator.rotation.decide import next_step
from rotator.rotation.operator_request import OperatorRequest, RequestVerb
from rotator.rotation.record import Failure, Phase, Record, Trigger
from rotator.rotation.rotation_request import RotationRequest, as_known
from rotator.rotation.schedule import Every, FractionOfLife
from rotator.rotation.steps import Condemn, Mint, Poll, Publish, Request, Verify, Wait
from rotator.rotation.transitions import advance
from rotator.rotation.watched import as_watched
from tests.unit.rotation.builders import DAY, HOUR, MINUTE, NOW, SECOND, changes, credential, published, record, token

REQUESTED, INSTALLED, UNDOING = Phase.REQUESTED, Phase.INSTALLED, Phase.UNDOING


def test_a_pause_is_over_after_its_length_although_the_clock_that_began_it_was_an_hour_ahead() -> None:
    pausing = record(REQUESTED, retry_from=NOW + HOUR, retry_at=NOW + HOUR + 30 * SECOND)
    assert next_step(credential(), pausing, NOW, rested=20 * SECOND) == Wait(NOW + 10 * SECOND, "backing off")
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
    "a revocation": record(UNDOING, requested_at=AHEAD, ready_at=AHEAD + SETTLE),
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
    assert next_step(every, ahead, NOW, rested=MINUTE) == Request(Trigger.AGED, f"due since {NOW:%F %TZ}")


def test_what_is_due_never_by_its_schedule_is_not_due_for_being_watched() -> None:
    lasting = record(Phase.SETTLED, current=published(1, token=token(1)))
    assert isinstance(next_step(credential(schedule=FractionOfLife(0.5)), lasting, NOW, rested=99 * DAY), Wait)


FAR = NOW + 100 * DAY


def test_a_grace_does_not_last_for_as_long_as_a_clock_was_ahead() -> None:
    graceful = record(Phase.PUBLISHED, current=published(2, at=FAR), grace_ends=FAR + 2 * HOUR)
    assert next_step(credential(), graceful, NOW, rested=HOUR) == Wait(NOW + HOUR, "predecessor in grace")
    assert next_step(credential(), graceful, NOW, rested=2 * HOUR - SECOND) == Wait(
        NOW + SECOND, "predecessor in grace"
    )
    assert next_step(credential(), graceful, NOW, rested=2 * HOUR) == Condemn()


def test_settings_that_make_a_grace_longer_make_it_longer_where_a_clock_was_ahead() -> None:
    graceful = record(Phase.PUBLISHED, current=published(2, at=FAR))
    assert next_step(credential(), graceful, NOW, rested=HOUR - SECOND) == Wait(NOW + SECOND, "predecessor in grace")
    assert next_step(credential(), graceful, NOW, rested=HOUR) == Condemn()


def test_a_person_is_reminded_and_heard_although_a_clock_was_ahead() -> None:
    waiting = record(Phase.AWAITING, reminded_at=FAR)
    assert isinstance(next_step(credential(), waiting, NOW), Wait)
    assert next_step(credential(), waiting, NOW, rested=credential().limits.remind) == Poll(remind=True)
    done = RotationRequest(NOW, "ada")
    assert next_step(credential(), waiting, NOW + MINUTE, done, rested=2 * MINUTE) == Poll(remind=False)


def test_a_proof_grows_old_although_a_clock_was_ahead() -> None:
    proven, life = record(Phase.VERIFIED, verified_at=FAR), credential().limits.proof_life
    assert next_step(credential(), proven, NOW) == Publish(1, reprove=False)
    assert next_step(credential(), proven, NOW, rested=life) == Publish(1, reprove=True)


def test_looks_that_were_put_off_are_no_longer_put_off_than_for_their_length() -> None:
    deferred = advance(record(Phase.CONDEMNED), ev.Deferred(FAR, FAR + MINUTE, "in use", since=FAR))
    assert isinstance(next_step(credential(), deferred, NOW, rested=59 * SECOND), Wait)
    assert not isinstance(next_step(credential(), deferred, NOW, rested=MINUTE), Wait)
    polled = advance(record(Phase.AWAITING), ev.Polled(FAR, FAR + MINUTE, "401", since=FAR))
    assert (polled.retry_from, polled.retry_at) == (FAR, FAR + MINUTE)


def test_what_is_read_back_holds_no_time_that_is_still_to_come() -> None:
    ahead = record(
        Phase.CONDEMNED,
        condemned_at=FAR,
        sent_at=FAR,
        current=published(2, at=FAR),
        grace_ends=FAR + HOUR,
        retry_at=FAR,
    )
    assert changes(ahead, ev.Resumed(NOW, rested=MINUTE)) == {
        "condemned_at": NOW - MINUTE,
        "sent_at": NOW - MINUTE,
        "current": published(2, at=NOW - MINUTE),
        "grace_ends": NOW + HOUR - MINUTE,
    }


def test_what_has_happened_by_all_clocks_stays_as_it_is() -> None:
    known = record(Phase.PUBLISHED, grace_ends=NOW + HOUR)
    assert as_watched(known, NOW + MINUTE, MINUTE) is known


def test_mints_that_are_still_to_come_were_before_the_next_one() -> None:
    refused = record(Phase.REJECTED, mints=(NOW - MINUTE, FAR))
    burned = advance(refused, ev.Burned(NOW, (), give_up=False))
    assert burned.mints == (NOW - MINUTE, burned.mints[1], NOW)
    assert NOW - SECOND < burned.mints[1] < NOW


def test_a_life_counts_from_its_beginning_at_the_target_where_a_clock_was_ahead() -> None:
    lives = token(1, issued_at=NOW, expires_at=NOW + 10 * HOUR)
    assert triggers.expires_soon_at(published(1, at=FAR, token=lives)) == NOW + 9 * HOUR
    unknown = token(1, expires_at=NOW + 10 * HOUR)
    assert triggers.expires_soon_at(published(1, at=FAR, token=unknown)) == NOW + 10 * HOUR


def test_what_is_asked_for_later_than_now_is_not_newer_than_what_has_failed() -> None:
    failing = record(Phase.SETTLED, failure=Failure("mint", "503", NOW - MINUTE), retry_at=NOW + HOUR)
    assert as_known(RotationRequest(FAR, "ada"), failing, NOW) == RotationRequest(NOW - MINUTE, "ada")
    assert next_step(credential(), failing, NOW, as_known(RotationRequest(FAR, "ada"), failing, NOW)) == Wait(
        NOW + HOUR, "making a new value failed: 503"
    )


def test_where_nothing_has_failed_it_was_asked_for_now() -> None:
    assert as_known(RotationRequest(FAR, "ada"), record(Phase.SETTLED), NOW) == RotationRequest(NOW, "ada")
    assert as_known(RotationRequest(NOW, "ada"), record(Phase.SETTLED), NOW) == RotationRequest(NOW, "ada")
    assert as_known(None, record(Phase.SETTLED), NOW) is None


def test_a_request_that_a_record_keeps_was_not_made_later_than_it_was_read() -> None:
    request = OperatorRequest("r1", RequestVerb.ROTATE, FAR, "ada")
    asking = record(Phase.SETTLED, asked=request)
    asked = as_watched(asking, NOW, MINUTE).asked
    assert asked
    assert asked.at == NOW - MINUTE
