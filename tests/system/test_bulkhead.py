"""One target that hangs costs the credentials of another nothing but a tick."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable

import pytest

from tests.sandbox.environment import World
from tests.system.daemon import Daemon, until
from tests.system.proxy import Call, Proxy
from tests.system.quick import quick
from tests.system.truth import settled

pytestmark = pytest.mark.system

WELL = ("well-1", "well-2", "well-3")
WELL_TOO = ("well-4", "well-5", "well-6")
TICK = 1.0  # seconds


def test_a_target_that_hangs_delays_the_credentials_of_another_by_less_than_two_ticks(
    world: World, figures: Callable[[str], None]
) -> None:
    stuck, hung = threading.Event(), threading.Event()

    def judge(call: Call) -> None:
        if stuck.is_set():
            hung.set()
            released.wait(60)

    released = threading.Event()
    for name in (*WELL, *WELL_TOO):
        world.add(name)
    for number in range(12):  # more than there are workers
        world.add(f"ill-{number}", target="ill")
    with Proxy("ill", world.halo.url, judge) as ill:
        path = quick(world, daemon={"lease": "30s"})
        path.write_text(path.read_text() + _second_target(path.read_text(), ill.url))
        with Daemon(path).ready() as daemon:
            until("all published", lambda: all(settled(world, name) for name in world.credentials), 40)
            before = [_seconds(daemon, name) for name in WELL]
            stuck.set()
            caller = threading.Thread(target=daemon.ask, args=[f"ill-{n}" for n in range(12)], kwargs={"within": 20.0})
            caller.start()
            assert hung.wait(10)
            during = [_seconds(daemon, name) for name in WELL_TOO]
            released.set()
            caller.join(40)
    figures(f"a rotation takes {statistics.median(before):.2f} s, beside a hung target {max(during):.2f} s")
    assert max(during) < statistics.median(before) + 2 * TICK


def _seconds(daemon: Daemon, name: str) -> float:
    began = time.monotonic()
    assert daemon.ask(name)[-1]["exit"] == 0
    return time.monotonic() - began


def _second_target(text: str, url: str) -> str:
    """The section of the first target once more, under another name and address, patient enough to hang for long."""
    section = text[text.index('[targets."halo"]') : text.index("[defaults]")]
    lines = [line for line in section.splitlines() if not line.startswith(("url", "timeout", "deadline"))]
    lines += [f'url = "{url}"', 'timeout = "12s"', 'deadline = "12s"']
    return "\n".join(lines).replace('"halo"]', '"ill"]') + "\n"
