"""When a value is due: the same for every replica, and jitter only ever makes it earlier."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rotator.rotation.schedule import Every, FractionOfLife, share
from tests.unit.rotation.builders import DAY, NOW, SECOND, steady

NAMES = st.text(max_size=40)
SPANS = st.integers(1, 400 * 86400).map(lambda seconds: seconds * SECOND)
SHARES = st.floats(0, 0.5)


@steady
@given(NAMES)
def test_a_share_is_at_least_zero_and_less_than_one(name: str) -> None:
    assert 0 <= share(name) < 1


def test_a_share_is_the_same_in_every_process() -> None:
    assert share("blog/bot") == 0.16662996831961002


def test_a_thousand_neighbours_are_spread_over_the_whole_span() -> None:
    tenths = [int(share(f"blog/bot-{n}") * 10) for n in range(1000)]
    assert all(60 < tenths.count(tenth) < 140 for tenth in range(10))


def test_without_jitter_an_interval_is_exact() -> None:
    assert Every(30 * DAY, jitter=0).due("blog/bot", NOW, None) == NOW + 30 * DAY


def test_without_jitter_a_fraction_of_life_is_exact() -> None:
    assert FractionOfLife(0.75, jitter=0).due("blog/bot", NOW, NOW + 4 * DAY) == NOW + 3 * DAY


def test_a_value_without_an_end_is_never_due_by_a_fraction_of_its_life() -> None:
    assert FractionOfLife(0.5).due("blog/bot", NOW, None) is None


@steady
@given(NAMES, SPANS, SHARES)
def test_jitter_takes_at_most_its_share_of_an_interval_and_never_adds(name, interval, jitter) -> None:
    due = Every(interval, jitter).due(name, NOW, None)
    assert NOW + interval * (1 - jitter) - SECOND / 1000 <= due <= NOW + interval


@steady
@given(NAMES, SPANS, st.floats(0.1, 1), SHARES)
def test_jitter_takes_at_most_its_share_of_the_used_part_of_a_life(name, life, fraction, jitter) -> None:
    due = FractionOfLife(fraction, jitter).due(name, NOW, NOW + life)
    assert NOW + life * fraction * (1 - jitter) - SECOND / 1000 <= due <= NOW + life * fraction + SECOND / 1000
