"""Predecessors that nobody can revoke: they end by their own date, the record says when, and nobody waits for them."""

from __future__ import annotations

from typing import Any

import pytest

from rotator.rotation import events as ev
from rotator.rotation.credential import Limits
from rotator.rotation.decide import next_step
from rotator.rotation.messages import describe
from rotator.rotation.record import HoldReason, Phase, Record, Trigger
from rotator.rotation.schedule import Every
from rotator.rotation.steps import Hold, Request, Revoke, Step, Sweep, Wait
from tests.kit.records import replace
from tests.unit.rotation.builders import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    candidate,
    changes,
    credential,
    published,
    record,
    token,
)

ENDS = NOW + HOUR
ENDING = "the predecessor is expected to end then, by its own date"
FADING = record(Phase.SETTLED, rotation=2, current=published(2), predecessor=published(1), ends_at=ENDS)
SHORT = credential(schedule=Every(30 * MINUTE, jitter=0))


@pytest.mark.parametrize(
    ("before", "wanted", "after", "step"),
    [
        pytest.param(FADING, credential(), SECOND, Wait(ENDS, ENDING), id="not yet: wait"),
        pytest.param(FADING, credential(), HOUR, Revoke(), id="over: make sure of it"),
        pytest.param(
            FADING,
            SHORT,
            30 * MINUTE,
            Request(Trigger.AGED, "due since 2026-03-01 12:30:00Z"),
            id="a successor that is due does not wait for the end",
        ),
        pytest.param(
            FADING, SHORT, SECOND, Wait(NOW + 30 * MINUTE, "due at 2026-03-01 12:30:00Z"), id="due before the end"
        ),
        pytest.param(
            replace(FADING, slot_full=True), credential(), SECOND, Sweep(False), id="the slot is emptied first"
        ),
    ],
)
def test_what_is_next(before: Record, wanted: Any, after: Any, step: Step) -> None:
    assert next_step(wanted, before, NOW + after) == step


def test_being_left_to_expire_settles_the_rotation_and_keeps_the_predecessor() -> None:
    before = record(Phase.PUBLISHED, emergency=True)
    assert changes(before, ev.LeftToExpire(NOW, ENDS)) == {
        "phase": Phase.SETTLED,
        "ends_at": ENDS,
        "emergency": False,
        "evidence": "the predecessor ends by expiry, expected at 2026-03-01 13:00:00Z",
    }


def test_its_end_is_written_down() -> None:
    told = {"predecessor": None, "retired": FADING.predecessor, "ends_at": None, "evidence": "expired"}
    assert changes(FADING, ev.Retired(ENDS, "expired")) == told


@pytest.mark.parametrize(("older", "newer", "left"), [(HOUR, DAY, 2), (DAY, HOUR, 1)])
def test_of_two_that_end_by_their_dates_the_later_is_awaited(older: Any, newer: Any, left: int) -> None:
    one = published(1, token=token(1, expires_at=NOW + older))
    two = published(2, token=token(2, expires_at=NOW + newer))
    before = record(
        Phase.VERIFIED, rotation=3, candidate=candidate(3), current=two, predecessor=one, ends_at=NOW + older
    )
    after = changes(before, ev.Published(NOW, 3))
    assert after.get("predecessor", one) == (one if left == 1 else two)
    assert after["ends_at"] is None


def test_one_that_must_be_revoked_is_never_exchanged_for_a_later_one() -> None:
    before = record(
        Phase.VERIFIED, rotation=3, candidate=candidate(3), current=published(2), predecessor=published(1, NOW - DAY)
    )
    assert "predecessor" not in changes(before, ev.Published(NOW, 3))


def test_it_is_told_in_words() -> None:
    before = record(Phase.PUBLISHED)
    told = describe(before, ev.LeftToExpire(NOW, ENDS), before)
    assert told.said == "predecessor t1.1 ends by expiry, expected at 2026-03-01 13:00:00Z"
    assert told.name == "predecessor.left"


def test_the_mint_budgets_day_may_be_shorter_and_older_mints_are_forgotten() -> None:
    mints = tuple(NOW - n * MINUTE for n in range(6))
    before = record(Phase.SETTLED, current=None, mints=mints)
    limited = credential(limits=Limits(day=3 * MINUTE))
    assert isinstance(next_step(credential(), before, NOW), Hold)
    assert isinstance(next_step(limited, before, NOW), Request)
    held = next_step(credential(limits=Limits(mints_per_day=3, day=3 * MINUTE)), before, NOW)
    assert held == Hold(HoldReason.MINT_BUDGET, "3 mints in 0.05 h, 3 allowed")


def test_what_no_longer_counts_leaves_the_record() -> None:
    mints = tuple(NOW - n * MINUTE for n in reversed(range(6)))
    before = record(Phase.SETTLED, mints=mints)
    event = ev.Requested(NOW, Trigger.AGED, "", "", False, "s", before.place, "blog", "p", since=NOW - 2 * MINUTE)
    assert changes(before, event)["mints"] == (*mints[4:], NOW)
