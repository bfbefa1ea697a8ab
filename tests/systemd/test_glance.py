"""The fleet in one line: who needs a person comes first, long lists are cut, the next one is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from rotator.engine.visit import Seen
from rotator.glance import glance
from rotator.rotation.record import Failure, Held, HoldReason, Phase, Record
from rotator.rotation.steps import Wait
from tests.rotation.builders import DAY, HOUR, MINUTE, NOW

SETTLED = Record("home")
HELD = replace(SETTLED, phase=Phase.HELD, held=Held(next(iter(HoldReason)), "look", Phase.SETTLED, NOW))
FAILING = replace(SETTLED, failure=Failure("mint", "503", NOW))


def seen(record: Record | None, left: timedelta | None = None) -> Seen:
    return Seen(record, Wait(NOW + left if left is not None else None, "due"))


def test_a_quiet_fleet_says_how_large_it_is_and_what_comes_next() -> None:
    fleet = {"blog": seen(SETTLED, 50 * HOUR), "shop": seen(SETTLED, 90 * MINUTE)}
    assert glance(fleet, fleet, NOW) == "2 credentials; next: shop in 90m"


def test_who_needs_a_person_is_named_before_what_is_under_way() -> None:
    fleet = {"a": seen(HELD), "b": seen(FAILING, 3 * DAY), "c": seen(replace(SETTLED, phase=Phase.STAGED), MINUTE / 2)}
    said = "3 credentials, 1 HELD (a), 1 failing (b), 1 under way; next: c within a minute"
    assert glance(fleet, fleet, NOW) == said


def test_many_names_are_counted_instead() -> None:
    fleet = {name: seen(HELD) for name in "abcde"}
    assert glance(fleet, fleet, NOW) == "5 credentials, 5 HELD (a, b, c and 2 more)"


def test_what_was_not_looked_at_yet_is_said() -> None:
    assert glance(["a", "b"], {"a": seen(None)}, NOW) == "2 credentials, 1 not looked at yet"


def test_a_name_that_left_the_settings_is_no_longer_counted() -> None:
    assert glance(["a"], {"a": seen(SETTLED, 3 * DAY), "gone": seen(HELD)}, NOW) == "1 credential; next: a in 3d"
