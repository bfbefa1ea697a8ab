"""Who may work on a record: judged by versions seen on one's own monotonic clock, never by anybody's wall clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rotator.engine.lease import Leases, standing
from rotator.ports import Entry, Lease
from rotator.rotation.record import Record
from tests.kit.clock import StillClock


def entry(holder: str, version: int = 7, ttl: float = 30.0, lineage: str = "l1") -> Entry:
    return Entry("blog/bot", version, Record(lineage), Lease(holder, seq=3, ttl=ttl))


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def leases(clock: StillClock) -> Leases:
    return Leases("host-a", 30.0, clock.monotonic)


@pytest.mark.parametrize("holder", ["", "host-a"])
def test_a_free_record_and_our_own_are_ours_to_work_on(leases: Leases, holder: str) -> None:
    assert leases.blocked(entry(holder)) is None


def test_anothers_record_is_taken_over_after_five_quarters_of_its_ttl_without_a_new_version(leases, clock) -> None:
    assert leases.blocked(entry("host-b")) == 37.5
    clock.move(37.4)
    assert leases.blocked(entry("host-b")) == pytest.approx(0.1)
    clock.move(0.2)
    assert leases.blocked(entry("host-b")) is None


def test_a_new_version_starts_the_waiting_anew(leases, clock) -> None:
    leases.blocked(entry("host-b", version=7))
    clock.move(37.0)
    assert leases.blocked(entry("host-b", version=8)) == 37.5


def test_the_holders_ttl_counts_not_ours(leases, clock) -> None:
    assert leases.blocked(entry("host-b", ttl=60.0)) == 75.0


def test_what_was_seen_before_a_release_is_forgotten(leases, clock) -> None:
    leases.blocked(entry("host-b", version=7))
    clock.move(60)
    leases.blocked(entry("", version=8))
    assert leases.blocked(entry("host-b", version=7)) == 37.5


@pytest.mark.parametrize("holder", ["", "host-b"])
def test_a_lease_that_is_not_ours_has_to_be_claimed_before_an_effect(leases, holder) -> None:
    leases.acknowledged(entry(holder))
    assert leases.needs_write(entry(holder))


def test_our_own_from_before_a_restart_has_to_be_claimed_again(leases) -> None:
    assert leases.needs_write(entry("host-a"))


def test_our_lease_is_renewed_when_the_last_acknowledged_write_is_older_than_six_tenths_of_the_ttl(leases, clock):
    leases.acknowledged(entry("host-a"))
    clock.move(18.0)
    assert not leases.needs_write(entry("host-a"))
    clock.move(0.1)
    assert leases.needs_write(entry("host-a"))


def test_every_stamp_counts_on_and_carries_holder_and_ttl(clock) -> None:
    leases = Leases("host-a", 45.0, clock.monotonic)
    assert leases.stamp(entry("host-b")) == Lease("host-a", seq=4, ttl=45.0)
    assert leases.stamp(entry("host-a"), release=True) == Lease("", seq=4, ttl=45.0)


def test_what_is_forgotten_is_waited_for_and_claimed_anew(leases, clock) -> None:
    leases.blocked(entry("host-b"))
    leases.acknowledged(entry("host-a"))
    clock.move(10)
    leases.forget("blog/bot")
    leases.forget("never seen")
    assert leases.blocked(entry("host-b")) == 37.5
    assert leases.needs_write(entry("host-a"))


def test_how_long_a_record_is_known_counts_from_the_first_look_at_it_as_it_is(leases, clock) -> None:
    assert leases.known(entry("", version=7)) == 0.0
    clock.move(10)
    assert leases.known(entry("", version=7)) == 10.0
    assert leases.known(entry("", version=8)) == 0.0


def test_another_lineage_of_the_same_version_is_not_known(leases, clock) -> None:
    leases.known(entry("", version=7, lineage="l1"))
    clock.move(100)
    assert leases.known(entry("host-b", version=7, lineage="l2")) == 0.0
    assert leases.blocked(entry("host-b", version=7, lineage="l2")) == 37.5


def test_what_left_the_settings_is_not_known_any_more(leases, clock) -> None:
    leases.known(entry(""))
    clock.move(100)
    leases.forget("blog/bot")
    assert leases.known(entry("")) == 0.0


def test_a_lease_carries_the_lock_of_its_holder_and_a_released_one_none(clock) -> None:
    leases = Leases("host-a", 30.0, clock.monotonic, lock="place/name")
    assert leases.stamp(entry("host-b")).lock == "place/name"
    assert leases.stamp(entry("host-b"), release=True).lock == ""


GONE = "left by host-b, which has ended; whoever looks at it next goes on at once"
FOLLOWED = "should it have ended, others go on once they have seen no sign of it for 38 s"


@pytest.mark.parametrize(
    ("holder", "since", "ended", "said"),
    [
        ("", 12.0, True, ""),
        ("host-b", 12.0, True, GONE),
        ("host-b", None, False, f"worked on by host-b; {FOLLOWED}"),
        ("host-b", 12.0, False, f"worked on by host-b, last sign 12 s ago; {FOLLOWED}, from 2026-03-01 12:00:37Z on"),
        ("host-b", -3.0, False, f"worked on by host-b, last sign 0 s ago; {FOLLOWED}, from 2026-03-01 12:00:37Z on"),
    ],
)
def test_people_are_told_whom_a_record_waits_for_and_until_when(holder, since, ended, said) -> None:
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    held = replace(entry(holder), written_at=None if since is None else at)
    assert standing(held, at + timedelta(seconds=since or 0), lambda lock: ended) == said
