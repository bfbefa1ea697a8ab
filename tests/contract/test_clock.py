"""What everybody may expect of a clock, on the fake and on the system's."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rotator.host.cron import SystemClock
from rotator.ports import Clock
from tests.kit.clock import HandClock

pytestmark = pytest.mark.anyio
SHORT = 0.01  # seconds


@pytest.fixture(params=[HandClock, SystemClock], ids=["fake", "system"])
def clock(request: pytest.FixtureRequest) -> Clock:
    return request.param()


def test_the_wall_clock_tells_utc_and_knows_it(clock: Clock) -> None:
    assert clock.now().utcoffset() == timedelta(0)


async def test_sleeping_lets_at_least_that_much_time_pass_on_the_monotonic_clock(clock: Clock) -> None:
    before = clock.monotonic()
    await clock.sleep(SHORT)
    assert clock.monotonic() - before >= SHORT * 0.99


async def test_the_monotonic_clock_never_goes_back(clock: Clock) -> None:
    seen = [clock.monotonic()]
    for _ in range(20):
        await clock.sleep(0)
        seen.append(clock.monotonic())
    assert seen == sorted(seen)


async def test_sleeping_no_time_at_all_is_allowed(clock: Clock) -> None:
    await clock.sleep(0)
