"""The queues: names are due when either clock says so, once; each target has a line of its own, the emptiest first."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from rotator.engine.queues import TimerQueue, WorkQueue

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def due(timers: TimerQueue, wall: timedelta, steady: float) -> list[str]:
    """Who is due this long after NOW by the wall clock, and at this monotonic time (it was 1000 at NOW)."""
    return list(timers.due(NOW + wall, 1000 + steady))


def timers(**names: timedelta) -> TimerQueue:
    made = TimerQueue()
    for name, span in names.items():
        made.put(name, NOW + span, NOW, 1000.0)
    return made


def test_names_come_in_the_order_of_their_times_and_only_once() -> None:
    made = timers(late=2 * HOUR, early=HOUR, past=-HOUR)
    assert due(made, 2 * HOUR, 7200) == ["past", "early", "late"]
    assert due(made, 3 * HOUR, 9999) == []


def test_nobody_comes_before_the_time() -> None:
    made = timers(bot=HOUR)
    assert due(made, HOUR - timedelta(seconds=1), 3599) == []
    assert len(made) == 1


def test_a_wall_clock_set_forward_brings_a_name_early_which_is_harmless() -> None:
    assert due(timers(bot=HOUR), 25 * HOUR, 1.0) == ["bot"]


def test_a_wall_clock_set_back_does_not_put_a_name_off() -> None:
    made = timers(bot=HOUR)
    assert due(made, -24 * HOUR, 3599) == []
    assert due(made, -23 * HOUR, 3600) == ["bot"]


def test_a_later_put_replaces_an_earlier_one_both_ways() -> None:
    made = timers(sooner=HOUR, later=HOUR)
    made.put("sooner", NOW + HOUR / 2, NOW, 1000.0)
    made.put("later", NOW + 2 * HOUR, NOW, 1000.0)
    assert due(made, HOUR, 3600) == ["sooner"]
    assert due(made, 2 * HOUR, 7200) == ["later"]


def test_a_name_that_is_dropped_or_put_without_a_time_does_not_come() -> None:
    made = timers(dropped=HOUR, person=HOUR)
    made.drop("dropped")
    made.put("person", None, NOW, 1000.0)
    assert due(made, 24 * HOUR, 86400) == []
    assert "person" not in made


def test_a_name_due_in_ten_thousand_years_breaks_nothing() -> None:
    made = timers()
    made.put("bot", datetime.max.replace(tzinfo=UTC), NOW, 1000.0)
    assert due(made, HOUR, 3600) == []


def test_names_looked_at_a_thousand_times_before_they_are_due_do_not_fill_the_memory() -> None:
    made = TimerQueue()
    for look in range(1000):
        for name in ("a", "b", "c"):
            made.put(name, NOW + 30 * 24 * HOUR + timedelta(seconds=look), NOW, 1000.0)
    assert len(made) == 3
    assert len(made._wall) + len(made._mono) < 4000
    assert sorted(due(made, 31 * 24 * HOUR, 31 * 86400)) == ["a", "b", "c"]


def queue(**lines: str) -> WorkQueue:
    """Lines by target; each letter is a name."""
    made = WorkQueue()
    for target, names in lines.items():
        for name in names:
            made.join(name, target)
    return made


def taken(made: WorkQueue, load: Counter[str], limit: int) -> str:
    """Everybody who gets in, in order."""
    names = ""
    while name := made.take(load, lambda target: load[target] < limit):
        names += name
        load["x" if name in "abcdef" else "y"] += 1
    return names


def test_a_line_keeps_its_order_and_a_name_stands_in_it_once() -> None:
    made = queue(x="abca")
    assert len(made) == 3
    assert taken(made, Counter(), 9) == "abc"


def test_targets_take_turns_however_long_the_line_of_one_is() -> None:
    assert taken(queue(x="abcdef", y="uv"), Counter(), 9) == "aubvcdef"


def test_a_target_without_room_holds_nobody_else_up() -> None:
    made = queue(x="abc", y="uv")
    assert taken(made, Counter(x=2), 2) == "uv"
    assert len(made) == 3


def test_who_is_asked_for_goes_before_the_others_even_when_standing_there_already() -> None:
    made = queue(x="abc")
    made.join("c", "x", asked=True)
    made.join("d", "x", asked=True)
    made.join("c", "x")
    assert taken(made, Counter(), 9) == "cdab"


def test_an_emptied_queue_says_who_stood_there() -> None:
    made = queue(x="ab", y="u")
    assert made.empty() == ("a", "b", "u")
    assert len(made) == 0
