"""Virtual time: what is reckoned in true seconds comes to the same as with the dates that the engine sees."""

from __future__ import annotations

from datetime import timedelta
from random import Random

from tests.model.simulation.actors import SimClock
from tests.model.simulation.history import History
from tests.model.simulation.swarm import Swarm
from tests.model.simulation.target import Live
from tests.model.simulation.world import World

SOME = 2000
NEAR = (-1e-6, -4e-7, 0.0, 4e-7, 1e-6)  # seconds: around what a date can tell


def test_time_passes_at_once_only_when_nothing_else_is_due():
    world, done = World(0, Swarm()), []

    def step() -> None:
        done.extend((world.idles(1.0), world.now, world.idles(4.0), world.now))

    world.later(1.0, step)
    world.later(6.0, done.append, "due")
    world.run(9.0)
    assert done == [True, 2.0, False, 2.0, "due"]


def test_nothing_idles_beyond_the_time_that_was_granted():
    world = World(0, Swarm())
    world.run(3.0)
    assert not world.idles(0.001)
    assert world.now == 3.0


def test_a_clock_shows_each_moment_and_each_skew():
    world = World(0, Swarm())
    clock = SimClock(world, 0.0, 0.0)
    shown = [clock.now()]
    world.now = 1.0
    shown.append(clock.now())
    clock.skew = 5.0
    shown.append(clock.now())
    assert [(x - shown[0]).total_seconds() for x in shown] == [0.0, 1.0, 6.0]


def test_vault_tells_the_whole_second_of_its_date():
    history, rng = History(0, Swarm()), Random(1)
    for _ in range(SOME):
        world, history.vault.skew = history.world, rng.choice((-3600.0, -30.0, 0.0, 30.0))
        world.now = round(rng.uniform(0, 5000), rng.choice((0, 3, 9))) + rng.choice(NEAR)
        assert history.journal._date() == world.date(history.vault.skew).replace(microsecond=0)


def test_a_token_is_over_exactly_when_its_date_has_come():
    world, rng = World(0, Swarm()), Random(1)
    target = History(0, Swarm()).target
    target.world = world
    for _ in range(SOME):
        world.now = rng.uniform(0, 5000)
        live = Live("t", "t", "v", 0.0, world.date() + timedelta(seconds=rng.choice((0, 600))), "A1")
        world.now = live.ends + 5e-7 + rng.choice(NEAR)
        assert target.expired(live) == (live.expires <= world.date())


def test_the_trace_is_written_when_it_is_read():
    world = World(0, Swarm())
    world.now = 12.0
    world.tell("A1", "minted t1", "c0")
    world.now = 13.0
    assert world.lines == ["    12.000 A1     c0   minted t1"]
