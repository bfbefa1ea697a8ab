"""Alarms ring on the event loop, survive a wall clock that is set back, and are silent once stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from rotator.host import cron as clockwork
from rotator.host.cron import Alarms, SystemClock

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)


@pytest.fixture
async def alarms() -> AsyncIterator[Alarms]:
    made = Alarms()
    yield made
    made.stop()


async def test_an_alarm_rings_on_the_loop_again_and_again(alarms: Alarms) -> None:
    rung, enough = [], anyio.Event()

    def ring() -> None:
        rung.append(threading.current_thread())
        if len(rung) == 3:
            enough.set()

    alarms.every(timedelta(milliseconds=20), "tick", ring)
    alarms.start()
    with anyio.fail_after(10):
        await enough.wait()
    assert set(rung) == {threading.main_thread()}


async def test_an_alarm_that_fails_rings_again(alarms: Alarms, caplog: pytest.LogCaptureFixture) -> None:
    rung, enough = [], anyio.Event()

    def ring() -> None:
        rung.append(1)
        if len(rung) == 2:
            enough.set()
        raise RuntimeError("on purpose")

    alarms.every(timedelta(milliseconds=20), "tick", ring)
    alarms.start()
    with anyio.fail_after(10):
        await enough.wait()
    assert "on purpose" in caplog.text


async def test_ring_all_does_not_wait_for_the_interval(alarms: Alarms) -> None:
    rung = {name: anyio.Event() for name in ("tick", "sweep")}
    for name, event in rung.items():
        alarms.every(HOUR, name, event.set)
    alarms.start()
    alarms.ring_all()
    with anyio.fail_after(10):
        for event in rung.values():
            await event.wait()


async def test_a_wall_clock_set_back_rings_everything(alarms: Alarms, monkeypatch: pytest.MonkeyPatch) -> None:
    rung = anyio.Event()
    alarms.every(HOUR, "sweep", rung.set)
    alarms.start()
    assert not rung.is_set()
    lead = clockwork._lead()
    monkeypatch.setattr(clockwork, "_lead", lambda: lead - 3600)
    alarms._watch()
    with anyio.fail_after(10):
        await rung.wait()


async def test_a_small_step_back_or_any_step_forward_rings_nothing(
    alarms: Alarms, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung = anyio.Event()
    alarms.every(HOUR, "sweep", rung.set)
    alarms.start()
    lead = clockwork._lead()
    for step in (-0.5, 3600):
        monkeypatch.setattr(clockwork, "_lead", lambda step=step: lead + step)
        alarms._watch()
        await anyio.wait_all_tasks_blocked()
    assert not rung.is_set()


async def test_nothing_rings_after_the_stop(alarms: Alarms) -> None:
    rung: list[int] = []
    alarms.every(HOUR, "tick", lambda: rung.append(1))
    alarms.start()
    alarms.ring_all()
    alarms.stop()
    alarms.stop()
    await anyio.wait_all_tasks_blocked()
    assert rung == []


async def test_alarms_that_never_started_can_be_stopped() -> None:
    Alarms().stop()


async def test_the_system_clock_tells_utc_and_never_goes_back() -> None:
    clock = SystemClock()
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
    assert clock.now().tzinfo is UTC
    first = clock.monotonic()
    await clock.sleep(0)
    assert clock.monotonic() >= first
    assert clock.monotonic() >= time.monotonic() - 1
