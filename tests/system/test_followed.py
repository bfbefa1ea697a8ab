"""A daemon that is killed again and again: each next one goes on at once with what the one before had in flight."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.sandbox.environment import World
from tests.system.daemon import Daemon, rotate, until
from tests.system.quick import quick
from tests.system.restarts import Restarts
from tests.system.truth import PATS, faults_of, journal, settled

pytestmark = pytest.mark.system
LEASE = 30.0  # seconds, as shipped: nobody lives long enough here to see it run out
RECOVERY = 60.0  # seconds: what is promised, of which a whole lease would be more than half


@pytest.mark.timeout(180)
def test_what_was_in_flight_at_two_kills_in_a_row_is_done_before_a_lease_would_have_run_out(
    world: World, figures: Callable[[str], None]
) -> None:
    world.add("bot")
    path = quick(world, daemon={"lease": f"{LEASE:g}s"})
    held = world.halo.fault(kind="slow", method="POST", path=f"{PATS}$", delay=1.5, times=None)
    for _ in range(2):
        with Daemon(path) as daemon:
            daemon.says("daemon.started")
            until("a mint is authorised", lambda: journal(world, "bot").get("phase") == "requested")
            until("and its lease is held", lambda: holder(world))
            daemon.kill()
            daemon.process.wait(10)
    said = rotate(path, "explain", "bot").stdout
    assert "Left by daemon/" in said
    assert "which has ended; whoever looks at it next goes on at once" in said
    world.halo.call("DELETE", f"/_sandbox/faults/{held}")
    began = time.monotonic()
    with Daemon(path):
        until("settled", lambda: settled(world, "bot"), seconds=RECOVERY)
        took = time.monotonic() - began
    figures(f"followed at once: two kills, settled {took:.1f} s after the last start, a lease being {LEASE:g} s")
    assert took < LEASE
    assert not faults_of(world, "bot")


@pytest.mark.timeout(180)
def test_daemons_that_are_killed_every_few_seconds_finish_what_was_in_flight(
    world: World, figures: Callable[[str], None]
) -> None:
    """The same on a clock: half a minute between two kills is measured by hand, see tests/README.md."""
    names = ("bot", "ci")
    for name in names:
        world.add(name)
    world.halo.fault(kind="slow", method="POST", path=f"{PATS}$", delay=0.8, times=None)
    path = quick(world, daemon={"lease": f"{LEASE:g}s"}, target={"timeout": "3s", "deadline": "5s"})
    made = Restarts(world, path, names)
    made.run(kills=2, every=8.0, last=RECOVERY)
    figures(f"killed every 8 s: {made.said()}")
    assert all(seconds <= RECOVERY for seconds in made.recovered)
    assert not [fault for name in names for fault in faults_of(world, name)]


def holder(world: World) -> str:
    """Who holds the credential's lease, by the journal."""
    document = world.bao.call("GET", f"{world.mount}/data/rotator/journal/bot")
    return str(document["data"]["data"]["lease"]["holder"])
