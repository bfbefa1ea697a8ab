"""What a hook leaves behind is reaped when it becomes our child; nobody's exit code is taken from who waits for it."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator

import anyio
import pytest

from rotator.host.process import children
from rotator.observe.hooks import senders
from rotator.observe.hooks.facts import Facts
from rotator.ports import Transient
from rotator.settings import HookMoment

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform != "linux", reason="subreapers are Linux's")]
FACTS = Facts("evt_1", "blog", HookMoment.PUBLISHED, b"{}")
SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER: orphans below us become our children, as they do of process 1


@pytest.fixture
def reaped(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The children that were waited for in passing."""
    found: list[int] = []
    right = os.waitpid

    def waitpid(number: int, options: int) -> tuple[int, int]:
        if options == os.WNOHANG and number > 0 and number not in children.own:
            found.append(number)
        return right(number, options)

    libc = ctypes.CDLL(None)
    assert libc.prctl(SUBREAPER, 1, 0, 0, 0) == 0
    monkeypatch.setattr(os, "waitpid", waitpid)
    yield found
    assert libc.prctl(SUBREAPER, 0, 0, 0, 0) == 0


def leaving(code: int) -> tuple[str, ...]:
    """A command that leaves a child behind, which ends a moment later."""
    return ("/bin/sh", "-c", f"setsid sleep 0.1 & exit {code}")


async def test_orphans_are_reaped_and_the_commands_keep_their_exit_codes(reaped: list[int]) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(children.reap_forever)
        for _ in range(3):
            await senders.run(leaving(0), 10, FACTS)
            with pytest.raises(Transient, match="exit status 7"):
                await senders.run(leaving(7), 10, FACTS)
        with anyio.fail_after(20):
            while len(set(reaped)) < 6:  # noqa: ASYNC110 (the kernel says when)
                await anyio.sleep(0.02)
        group.cancel_scope.cancel()
    assert children.own == set()
