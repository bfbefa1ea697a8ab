"""Calls about a file on a drive that hangs: given up after a time, they pile up nowhere, and go on when it answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from rotator.host.threads import BoundedCalls, within
from rotator.ports import Transient

pytestmark = pytest.mark.anyio


@pytest.fixture
def drive() -> Iterator[threading.Event]:
    """A drive that hangs until it is set."""
    event = threading.Event()
    yield event
    event.set()


async def test_what_answers_is_answered_and_faults_are_the_callers() -> None:
    calls = BoundedCalls("a file", 5)
    assert await calls.run(lambda: 7) == 7
    with pytest.raises(FileNotFoundError):
        await calls.run(Path("/nowhere/at/all").read_text)
    assert await calls.run(lambda: 8) == 8


async def test_many_at_once_wait_for_each_other_and_none_is_lost() -> None:
    calls, found = BoundedCalls("a file", 5), list[int]()

    async def one(number: int) -> None:
        found.append(await calls.run(lambda: number))

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(one, number)
    assert sorted(found) == list(range(20))


async def test_a_drive_that_hangs_costs_one_thread_one_wait_and_no_more_until_it_answers(drive) -> None:
    calls, before = BoundedCalls("file /net/secret", 0.2), threading.active_count()
    with pytest.raises(Transient, match=r"file /net/secret: no answer within 0\.2 s; is it on a drive that hangs"):
        await calls.run(lambda: drive.wait(30))
    began = time.monotonic()
    for _ in range(50):
        with pytest.raises(Transient, match="no answer"):
            await calls.run(lambda: 1)
    assert time.monotonic() - began < 5, "fifty waits of 0.2 s would be ten seconds"
    assert threading.active_count() <= before + 1
    drive.set()
    with anyio.fail_after(10):
        while True:
            try:
                assert await calls.run(lambda: 9) == 9
            except Transient:
                await anyio.sleep(0.01)
                continue
            break


def test_without_a_loop_it_is_given_up_as_well(drive) -> None:
    assert within(5, lambda: 3) == 3
    with pytest.raises(TimeoutError, match=r"no answer within 0\.1 s"):
        within(0.1, lambda: drive.wait(30))
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 // 0)
