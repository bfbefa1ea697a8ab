"""How long to wait after failures: doubling, capped, spread, and never before the other side wants us back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.rotation.schedule import ROTATION_CAP, STEP_CAP, rotation_pause, step_pause
from tests.unit.rotation.builders import HOUR, SECOND, steady

COUNTS = st.integers(1, 10**6)
NAMES = st.text(max_size=20)


@pytest.mark.parametrize(("failures", "seconds"), [(1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (1000, 30)])
def test_a_step_waits_one_second_doubling_to_thirty_less_at_most_a_third(failures: int, seconds: int) -> None:
    waited = step_pause(failures, "blog/bot", None)
    assert seconds * SECOND * 2 / 3 <= waited <= seconds * SECOND


@pytest.mark.parametrize(("failures", "seconds"), [(1, 30), (2, 60), (3, 120), (7, 1920), (8, 3600), (1000, 3600)])
def test_a_rotation_waits_half_a_minute_doubling_to_an_hour_less_at_most_a_third(failures: int, seconds: int) -> None:
    waited = rotation_pause(failures, "blog/bot")
    assert seconds * SECOND * 2 / 3 <= waited <= seconds * SECOND


@pytest.mark.parametrize(("asked", "waited"), [(90, 90 * SECOND), (3600, HOUR), (86400, HOUR)])
def test_the_other_side_is_left_alone_as_long_as_it_asked_up_to_an_hour(asked: float, waited) -> None:
    assert step_pause(1, "blog/bot", asked) == waited


def test_a_shorter_wish_of_the_other_side_does_not_shorten_our_pause() -> None:
    assert step_pause(6, "blog/bot", 0.1) == step_pause(6, "blog/bot", None)


def test_neighbours_do_not_come_back_together() -> None:
    assert len({step_pause(3, f"blog/bot-{n}", None) for n in range(20)}) == 20


@steady
@given(COUNTS, NAMES, st.none() | st.floats(0, 10**6))
def test_every_pause_is_longer_than_nothing_and_capped(failures, name, asked) -> None:
    assert timedelta() < step_pause(failures, name, asked) <= max(STEP_CAP, HOUR)
    assert timedelta() < rotation_pause(failures, name) <= ROTATION_CAP
