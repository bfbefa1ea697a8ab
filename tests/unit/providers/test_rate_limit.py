"""The tests of the request budget: its promise over any history of calls, and the turnstile's waiting."""

from __future__ import annotations

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.host.cron import SystemClock
from rotator.ports import Transient
from rotator.ports.purpose import Purpose, calls_for, current_purpose
from rotator.providers.http.rate_limit import RateLimit, RateLimiter
from tests.kit.clock import HandClock


@given(
    calls=st.integers(1, 40),
    period=st.sampled_from([1.0, 60.0, 300.0]),
    gaps=st.lists(st.floats(0, 2), min_size=1, max_size=150),
)
def test_no_period_ever_holds_more_calls_than_the_budget(calls: int, period: float, gaps: list[float]) -> None:
    budget, now, gone = RateLimit(calls, period), 0.0, []
    for gap in gaps:
        now += gap * period / calls
        now += budget.delay(now)
        if budget.delay(now) == 0:
            budget.spend(now)
            gone.append(now)
    for start in gone:
        assert sum(start <= at < start + period * (1 - 1e-9) for at in gone) <= calls


@given(calls=st.integers(1, 40), asked=st.integers(1, 200))
def test_whoever_waits_as_long_as_told_gets_through(calls: int, asked: int) -> None:
    budget, now = RateLimit(calls, 60.0), 0.0
    for _ in range(asked):
        now += budget.delay(now) + 1e-9
        assert budget.delay(now) == 0
        budget.spend(now)
    assert now <= asked * 60.0 / max(1, calls - calls // 10)


def test_a_tenth_goes_at_once_and_the_rest_evenly() -> None:
    budget = RateLimit(100, 91.0)
    for _ in range(10):
        assert budget.delay(0.0) == 0
        budget.spend(0.0)
    assert budget.delay(0.0) == pytest.approx(1.0)


def test_a_pause_asked_for_holds_and_is_never_shortened() -> None:
    budget = RateLimit(100, 1.0)
    budget.hush(50.0)
    budget.hush(20.0)
    assert budget.delay(10.0) == 40.0
    assert budget.delay(50.0) == 0


@pytest.mark.parametrize(("calls", "period"), [(0, 1.0), (1, 0.0), (-1, 5.0)])
def test_a_budget_that_allows_nothing_is_refused(calls: int, period: float) -> None:
    with pytest.raises(ValueError, match="budget"):
        RateLimit(calls, period)


@pytest.mark.anyio
async def test_the_turnstile_waits_by_the_clock(clock: HandClock) -> None:
    turnstile = RateLimiter(RateLimit(1, 5.0), 8, clock)
    for _ in range(3):
        async with turnstile.turn():
            pass
    assert sum(clock.slept) == pytest.approx(10.0)


@pytest.mark.anyio
async def test_a_long_wait_is_refused_before_anything_is_sent(clock: HandClock) -> None:
    turnstile = RateLimiter(RateLimit(10, 1.0), 8, clock)
    turnstile.hush(600)
    with pytest.raises(Transient) as caught:
        async with turnstile.turn():
            raise AssertionError("let through")
    assert caught.value.retry_after == pytest.approx(600)
    assert clock.slept == []


@pytest.mark.anyio
@pytest.mark.parametrize(("purpose", "places"), [(Purpose.IN_FLIGHT, 3), (Purpose.REST, 2)])
async def test_no_more_go_at_once_than_there_are_places(clock: HandClock, purpose: Purpose, places: int) -> None:
    """The rest leaves a place to others, so that a probe that hangs delays no emergency."""
    turnstile, inside, most = RateLimiter(RateLimit(1000, 1.0), 3, clock), 0, 0

    async def one() -> None:
        nonlocal inside, most
        async with turnstile.turn():
            inside += 1
            most = max(most, inside)
            await anyio.lowlevel.checkpoint()
            inside -= 1

    with calls_for(purpose):
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(one)
    assert most == places


@pytest.mark.anyio
async def test_an_emergency_goes_first_and_the_rest_last() -> None:
    clock, order = SystemClock(), list[Purpose]()
    budget = RateLimit(1, 0.05)
    budget.spend(clock.monotonic())
    turnstile = RateLimiter(budget, 8, clock)

    async def one(purpose: Purpose) -> None:
        with calls_for(purpose):
            async with turnstile.turn():
                order.append(purpose)

    came = [Purpose.REST, Purpose.DUE, Purpose.IN_FLIGHT, Purpose.EMERGENCY]
    async with anyio.create_task_group() as group:
        for purpose in came:
            group.start_soon(one, purpose)
    assert order == sorted(came)


@pytest.mark.anyio
async def test_the_rest_leaves_half_of_what_may_go_at_once(clock: HandClock) -> None:
    budget = RateLimit(100, 91.0)
    turnstile = RateLimiter(budget, 8, clock)
    for slept in [[]] * 5 + [[1.0]]:
        async with turnstile.turn():
            pass
        assert clock.slept == pytest.approx(slept)
    assert budget.delay(clock.monotonic(), ahead=4) == 0


def test_whoever_asks_nothing_is_the_rest() -> None:
    assert current_purpose() is Purpose.REST
    with calls_for(Purpose.DUE):
        assert current_purpose() is Purpose.DUE
    assert current_purpose() is Purpose.REST


def test_a_target_that_has_had_enough_and_names_no_time_is_left_alone_for_longer_each_time(clock: HandClock) -> None:
    turnstile = RateLimiter(RateLimit(300, 300.0), 8, clock)
    assert turnstile.weary() == 30
    assert turnstile.weary() == 30  # of the same moment: a call that was under way
    rests = []
    for _ in range(5):
        clock.move(turnstile.weary() + 1)
        rests.append(turnstile.weary())
    assert rests == [60, 120, 240, 300, 300]
    clock.move(601)
    assert turnstile.weary() == 30
