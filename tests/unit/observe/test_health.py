"""The fleet as its records show it: marks, words, times; alive and ready heal by themselves."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.observe.health import Severity
from rotator.rotation.credential import Retirement
from rotator.rotation.record import Failure, HoldReason, Pause, Phase, Record
from tests.kit.fleet import FakeNeighbour, fleet, named, settled, troubled
from tests.kit.records import OnHold
from tests.unit.rotation.builders import DAY, HOUR, MINUTE, NOW, PLACE, published, record, token

BLOG = named("blog")
PAUSE = Pause("ada", NOW - 2 * DAY, "a freeze")
HOLD = OnHold(HoldReason.DELETED, "deleted by somebody", Phase.SETTLED, NOW)
FAILURE = Failure("mint", "HTTP 503", NOW)
EXPIRED = published(1, NOW - 91 * DAY, token=token(1, expires_at=NOW - DAY))
WHAT_IS_SHOWN = {
    "a value at rest is settled": (settled(), Severity.FINE, "settled"),
    "a predecessor in grace is calm": (record(Phase.PUBLISHED), Severity.FINE, "in grace"),
    "what an operator paused is to be watched, though it is due": (
        record(Phase.SETTLED, current=published(1, NOW - 40 * DAY), paused=PAUSE),
        Severity.WATCH,
        "paused by hand",
    ),
    "so is a predecessor that is kept by a pause": (
        record(Phase.PUBLISHED, current=published(2, NOW - 2 * DAY), paused=PAUSE),
        Severity.WATCH,
        "paused by hand",
    ),
    "a paused value that expired needs a person": (
        record(Phase.SETTLED, current=published(1, NOW - DAY, token=token(1, expires_at=NOW)), paused=PAUSE),
        Severity.ACT,
        "expired",
    ),
    "an undo is a rotation": (record(Phase.UNDOING, requested_at=NOW), Severity.FINE, "rotating"),
    "a predecessor being revoked is calm": (record(Phase.CONDEMNED), Severity.FINE, "retiring"),
    "a rotation begun a minute ago is calm": (
        record(Phase.STAGED, requested_at=NOW - MINUTE),
        Severity.FINE,
        "rotating",
    ),
    "due for four minutes is under way": (settled(NOW - 30 * DAY - 4 * MINUTE), Severity.FINE, "settled"),
    "due for six minutes is overdue": (settled(NOW - 30 * DAY - 6 * MINUTE), Severity.ACT, "overdue"),
    "a rotation begun six minutes ago is overdue": (
        record(Phase.STAGED, requested_at=NOW - 6 * MINUTE, current=published(1, NOW - DAY)),
        Severity.ACT,
        "overdue",
    ),
    "a hold needs a person": (record(Phase.HELD, held=HOLD), Severity.ACT, "held"),
    "a refused value needs a person": (settled(refused_at=NOW), Severity.ACT, "value refused"),
    "a dead value needs a person": (settled(current=EXPIRED, requested_at=EXPIRED.at), Severity.ACT, "expired"),
    "a predecessor six minutes late needs a person": (
        record(Phase.PUBLISHED, current=published(2, NOW - HOUR - 6 * MINUTE)),
        Severity.ACT,
        "predecessor alive",
    ),
    "a failure that is tried again is to watch": (settled(failure=FAILURE, failures=1), Severity.WATCH, "failing"),
    "nothing published yet is to watch": (Record("l1"), Severity.WATCH, "first rotation"),
    "a record not read yet is to watch": (None, Severity.WATCH, "not seen yet"),
}


@pytest.mark.parametrize(("found", "mark", "word"), WHAT_IS_SHOWN.values(), ids=WHAT_IS_SHOWN)
def test_a_credential_is_shown_as_it_is(found: Record | None, mark: Severity, word: str) -> None:
    looked, _, _ = fleet((BLOG, found))
    [row] = looked.states()
    assert (row.mark, row.word) == (mark, word)
    assert bool(row.said) is (mark is not Severity.FINE)


def test_the_worst_come_first() -> None:
    looked, _, _ = troubled()
    marks = [row.mark for row in looked.states()]
    assert marks == sorted(marks, key=list(Severity).index)
    assert set(marks) == set(Severity)


def test_a_fault_or_a_bug_needs_a_person_whatever_the_record_says() -> None:
    looked, view, _ = fleet((BLOG, settled()))
    view.broken = {"blog": "a bug: KeyError"}
    assert (looked.states()[0].word, looked.unhealthy()) == ("broken", ["blog: broken: a bug: KeyError"])


@pytest.mark.parametrize(
    ("retire", "changes", "until"),
    [
        (Retirement(HOUR), {}, NOW + HOUR),
        (Retirement(HOUR, 15 * MINUTE, DAY), {}, NOW + DAY),
        (Retirement(HOUR), {"grace_ends": NOW + 2 * HOUR}, NOW + 2 * HOUR),
        (Retirement(HOUR, 15 * MINUTE, DAY), {"emergency": True}, NOW),
    ],
    ids=["after", "the deadline", "what was promised", "an emergency"],
)
def test_a_predecessor_is_dead_by(retire: Retirement, changes: dict, until: object) -> None:
    looked, _, _ = fleet((replace(BLOG, retire=retire), record(Phase.PUBLISHED, **changes)))
    [row] = looked.states()
    assert (row.revoke_by, row.predecessors) == (until, 1)


def test_a_predecessor_that_nobody_can_revoke_is_dead_by_its_own_date() -> None:
    left = settled(predecessor=published(0, NOW - 9 * DAY), ends_at=NOW + HOUR)
    looked, _, _ = fleet((BLOG, left))
    [row] = looked.states()
    assert (row.mark, row.revoke_by, row.predecessors) == (Severity.FINE, NOW + HOUR, 1)


def test_steps_and_whole_rotations_count_as_failures() -> None:
    looked, _, _ = fleet((BLOG, settled(failures=1, given_up=2)))
    assert looked.states()[0].failures == 3


def test_a_request_that_was_answered_makes_nothing_due() -> None:
    answered = record(Phase.PUBLISHED, requested_at=NOW - 40 * MINUTE, current=published(2, NOW - 30 * MINUTE))
    looked, _, _ = fleet((BLOG, answered))
    assert looked.states()[0].due_since is None


def test_healthy_means_nothing_overdue_or_held_and_vault_reachable_and_heals_by_itself() -> None:
    looked, view, clock = fleet((BLOG, settled()))
    assert looked.unhealthy() == []
    view.health.vault = FakeNeighbour(1, "HTTP 503: sealed")
    assert looked.unhealthy() == ["vault: HTTP 503: sealed"]
    view.health.vault = FakeNeighbour()
    view.put(BLOG, record(Phase.HELD, held=HOLD))
    assert looked.unhealthy() == ["blog: held: deleted by somebody (deleted_by_operator)"]
    view.put(BLOG, settled())
    assert looked.unhealthy() == []
    clock.move(timedelta(days=28).total_seconds())
    assert [each.split(":")[1].strip() for each in looked.unhealthy()] == ["no visit ended for 2419200 s", "overdue"]


def test_ready_is_who_can_work_whatever_becomes_of_targets_and_credentials() -> None:
    looked, view, clock = fleet((BLOG, record(Phase.HELD, held=HOLD)), (named("web"), None))
    view.broken = {"web": "the journal of web was deleted"}
    view.health.targets = {"blog": FakeNeighbour(1, "no answer")}
    clock.move(timedelta(days=28).total_seconds())
    assert looked.unready() == []


def test_nothing_is_ready_before_every_record_was_read() -> None:
    looked, view, _ = fleet((BLOG, settled()), (named("web"), None))
    assert looked.unready() == ["1 records were not read yet"]
    looked.hide("HTTP 503: sealed")
    assert looked.unready() == ["vault: HTTP 503: sealed"]
    looked.show(view)
    looked.barred = lambda: "the disk is full"
    assert looked.unready()[0] == "no rotation may begin: the disk is full"


def test_alive_means_that_a_visit_ended_not_long_ago() -> None:
    looked, view, clock = fleet((BLOG, settled()))
    clock.move(599)
    assert looked.alive() == ""
    clock.move(2)
    assert looked.alive() == "no visit ended for 601 s"
    view.moved = clock.monotonic()
    assert looked.alive() == ""
    looked.missing = lambda: "a worker"
    assert looked.alive() == "a worker"


def test_a_daemon_without_work_or_without_vault_is_alive() -> None:
    looked, view, clock = fleet()
    clock.move(10_000)
    assert looked.alive() == ""
    view.put(BLOG, settled())
    looked.hide("sealed")
    assert looked.alive() == ""


def test_the_end_of_a_minter_that_is_itself_kept_fresh_is_known() -> None:
    looked, _, _ = fleet((BLOG, settled(NOW)))
    looked.minted_from = {"desk": BLOG.place, "elsewhere": PLACE}
    assert looked.minter_ends() == {"desk": NOW + 90 * DAY}


def test_the_order_of_troubles_is_fixed() -> None:
    every = record(Phase.HELD, held=HOLD, refused_at=NOW, failure=FAILURE)
    looked, _, _ = fleet((BLOG, every))
    assert looked.states()[0].word == "held"


def test_a_pause_silences_what_is_due_and_what_is_late_but_says_since_when() -> None:
    due = record(Phase.SETTLED, current=published(1, NOW - 40 * DAY), paused=PAUSE)
    late = record(Phase.CONDEMNED, current=published(2, NOW - 2 * DAY), paused=PAUSE)
    looked, view, _ = fleet((named("due"), due), (named("late"), late), (named("free"), settled()))
    rows = {each.name: each for each in looked.states()}
    assert (rows["due"].due_since, rows["late"].revoke_by) == (None, None)
    assert rows["due"].paused_at == rows["late"].paused_at == PAUSE.at
    assert rows["free"].paused_at is None
    assert not looked.unhealthy()
    view.accepted = {"free": NOW}
    assert looked.state("free").accepted_at == NOW


def test_whether_records_were_read_is_told_without_a_look_at_each_credential() -> None:
    looked, view, _ = fleet(*((named(f"c{number}"), settled()) for number in range(3)))

    class Uncounted(dict):
        def __iter__(self):
            raise AssertionError("every credential was looked at")

        keys = values = items = __iter__

    view.credentials = Uncounted(view.credentials)
    view.seen = Uncounted(view.seen)
    type(view).unread, before = {"c1", "c2"}, type(view).unread
    view.broken = {"c2": "a bug"}
    try:
        assert looked.unready() == ["1 records were not read yet"]
        assert looked.alive() == ""
    finally:
        type(view).unread = before
