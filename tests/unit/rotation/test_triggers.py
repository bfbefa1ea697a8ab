"""Why a settled credential is due: one table row per check, and their order."""

from __future__ import annotations

import gc
import weakref
from datetime import UTC, datetime

import pytest

from rotator.rotation.credential import VaultPath
from rotator.rotation.record import HoldReason, LostValue, Phase, Trigger
from rotator.rotation.schedule import FractionOfLife
from rotator.rotation.triggers import CHECKS, due, expires_soon_at, next_due, scheduled_at
from tests.kit.records import replace
from tests.unit.rotation.builders import DAY, HOUR, NOW, SECOND, ask, credential, published, record, token


def settled(**changes):
    return record(Phase.SETTLED, **changes)


def living(life):
    return settled(current=published(1, token=token(1, expires_at=NOW + life)))


TABLE = {
    "what is published, accepted and young is not due": (settled(), 0 * DAY, None, None),
    "an ask older than the published value is answered by it": (settled(), DAY, ask(NOW - SECOND), None),
    "an ask after publication makes it due": (settled(), DAY, ask(NOW + SECOND), (Trigger.ASKED, "asked for by ada")),
    "what was never published is due": (
        settled(current=None),
        0 * DAY,
        None,
        (Trigger.MISSING, "nothing published yet"),
    ),
    "a moved consumer path makes it due": (
        settled(current=published(1, place=VaultPath("kv", "old"))),
        0 * DAY,
        None,
        (Trigger.MOVED, "published at kv/old, wanted at kv/blog/bot"),
    ),
    "another key of the document makes it due": (
        settled(current=published(1, key="password")),
        0 * DAY,
        None,
        (Trigger.MOVED, "published under the key password, wanted under token"),
    ),
    "the key that is wanted does not": (settled(current=published(1, key="token")), 0 * DAY, None, None),
    "a value the target refuses is due": (
        settled(refused_at=NOW),
        0 * DAY,
        None,
        (Trigger.REFUSED, "refused by the target at 2026-03-01 12:00:00Z"),
    ),
    "a value that consumers do not find is due": (
        settled(lost=LostValue(HoldReason.DELETED, VaultPath("kv", "blog/bot"), NOW)),
        0 * DAY,
        None,
        (Trigger.LOST, "kv/blog/bot was deleted: consumers do not find the published value"),
    ),
    "in the last tenth of its life it is due": (
        living(5 * DAY),
        4.5 * DAY,
        None,
        (Trigger.EXPIRING, "expires at 2026-03-06 12:00:00Z"),
    ),
    "just before the last tenth of its life it is not due": (living(5 * DAY), 4.5 * DAY - SECOND, None, None),
    "of a long life only the last day counts as expiring": (living(20 * DAY), 19 * DAY - SECOND, None, None),
    "within the last day of a long life it is due": (
        living(20 * DAY),
        19 * DAY,
        None,
        (Trigger.EXPIRING, "expires at 2026-03-21 12:00:00Z"),
    ),
    "a changed policy makes it due": (
        settled(current=published(1, policy="1:other")),
        0 * DAY,
        None,
        (Trigger.POLICY, "roles or target changed in settings"),
    ),
    "a policy digest of another making is not compared": (
        settled(current=published(1, policy="2:other")),
        0 * DAY,
        None,
        None,
    ),
    "an adopted value without a policy digest is not compared": (
        settled(current=published(1, policy="")),
        0 * DAY,
        None,
        None,
    ),
    "its interval makes it due": (settled(), 30 * DAY, None, (Trigger.AGED, "due since 2026-03-31 12:00:00Z")),
    "just before its interval is over it is not due": (settled(), 30 * DAY - SECOND, None, None),
}


@pytest.mark.parametrize(("known", "later", "wish", "hit"), TABLE.values(), ids=TABLE)
def test_due(known, later, wish, hit) -> None:
    assert due(credential(), known, NOW + later, wish) == hit


def test_every_reason_but_an_operators_undo_has_exactly_one_check() -> None:
    assert [reason for reason, _ in CHECKS] == [reason for reason in Trigger if reason is not Trigger.UNDO]


def test_the_first_check_that_hits_gives_the_reason() -> None:
    everything = settled(current=published(1, place=VaultPath("kv", "old"), policy="1:other"), refused_at=NOW)
    assert due(credential(), everything, NOW + 60 * DAY)[0] is Trigger.MOVED
    assert due(credential(), everything, NOW + 60 * DAY, ask(NOW + DAY))[0] is Trigger.ASKED


def test_the_next_due_time_is_the_earlier_of_schedule_and_expiry() -> None:
    assert next_due(credential(), settled()) == NOW + 30 * DAY
    assert next_due(credential(), living(10 * HOUR)) == NOW + 9 * HOUR
    assert next_due(credential(), living(90 * DAY)) == NOW + 30 * DAY


def test_what_was_never_published_has_no_due_time() -> None:
    nothing = settled(current=None)
    assert scheduled_at(credential(), nothing) is None
    assert expires_soon_at(None) is None
    assert next_due(credential(), nothing) is None


@pytest.mark.parametrize("schedule", [FractionOfLife(0.5, jitter=0), credential().schedule])
def test_at_its_next_due_time_and_not_a_second_earlier_it_is_due(schedule) -> None:
    wanted, known = credential(schedule=schedule), living(50 * DAY)
    at = next_due(wanted, known)
    assert due(wanted, known, at) is not None
    assert due(wanted, known, at - SECOND) is None


def test_a_schedule_is_asked_once_of_a_value_and_nothing_is_kept_of_the_values_before() -> None:
    class Moment(datetime):
        """One that can be seen to be gone."""

    class Counting:
        asked = 0

        def due(self, name: str, published_at: datetime, expires_at: datetime | None) -> datetime:
            Counting.asked += 1
            return published_at + HOUR

    counted, moments = replace(credential(), schedule=Counting()), []
    for day in range(1, 4):
        at = Moment(2031, 1, day, tzinfo=UTC)
        old = record(Phase.SETTLED, current=published(1, at=at))
        assert [scheduled_at(counted, old) for _ in range(5)] == [at + HOUR] * 5
        moments.append(weakref.ref(at))
    assert Counting.asked == 3
    del at, old
    gc.collect()
    assert [moment() is None for moment in moments] == [True, True, False]
