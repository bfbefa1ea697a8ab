"""One soak: virtual time moves from due look to due look, the engine works, the process is weighed each hour."""

from __future__ import annotations

import math
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import anyio
import anyio.lowlevel

from rotator.engine import strays
from rotator.engine.reconciler import Transition
from rotator.engine.strays import sweep
from rotator.ports import Transient
from rotator.rotation.credential import Credential
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret
from tests.kit import promises
from tests.model.soak.meter import MIB, Meter, Trend, weight
from tests.model.soak.scenarios import House, house

HOUR = 3600.0
KEEP = timedelta(hours=24)  # for which revoked tokens are kept, as Halo CMS does
HICCUP = 600.0  # seconds between two reads that Vault does not answer
ALLOWED = 5 * MIB  # of growth in 24 hours, or in the whole of a shorter run
NOISE = MIB // 2  # that an allocator may settle by, in the whole of a run
FEWEST = 32  # weighings of a run, at least
MOST = 200


@dataclass(frozen=True)
class Outcome:
    """A finished soak. `rss` and `objects` are growth per 24 virtual hours; bytes and numbers."""

    hours: float
    seconds: float
    credentials: int
    published: int
    worst: timedelta
    shortest: timedelta
    rss: Trend
    objects: Trend
    weight: int  # bytes at the end
    descriptors: int  # the largest less the smallest number of them
    tasks: int
    violations: tuple[str, ...]

    def __str__(self) -> str:
        left = "" if self.shortest == timedelta.max else f", a value had at least {self.shortest} left to live"
        return (
            f"{self.hours:g} h of {self.credentials} credentials in {self.seconds:.0f} s:"
            f" {self.published} publications, the latest {self.worst} after its due time{left};"
            f" RSS {self.weight / MIB:.0f} MiB, {_trend(self.rss, MIB, 'MiB')}; {_trend(self.objects, 1, 'objects')};"
            f" descriptors ±{self.descriptors}, tasks ±{self.tasks}; {len(self.violations)} violations"
        )


def _trend(trend: Trend, unit: float, name: str) -> str:
    return f"{trend.slope / unit:+.2f} {name} a day (95 %: {trend.low / unit:+.2f} to {trend.high / unit:+.2f})"


Plant = Callable[[House], Callable[[], None]]  # spoils a house; what it returns is called at every weighing


async def soak(
    scenario: str, count: int, warm_up: float, hours: float, reconcile: timedelta, plant: Plant | None = None
) -> Outcome:
    """Let `warm_up` virtual hours pass, and then so many `hours` in which the process is weighed."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        made = house(scenario, count, Path(folder), reconcile)
    spoil = plant(made) if plant else lambda: None
    meter = Meter()
    every = min(max(hours / MOST, min(1.0, hours / FEWEST)), 24.0)
    async with anyio.create_task_group() as group:
        group.start_soon(made.worker_pool.run)
        made.worker_pool.look_at(*made.worker_pool.credentials)
        for number in range(1, math.ceil((warm_up + hours) / every) + 1):
            await _pass(made, number * every * HOUR)
            await _chores(made)
            spoil()
            if number * every > warm_up:
                meter.weigh(made.clock.moved / HOUR)
            if int(number * every) > int((number - 1) * every):
                _follow(made, warm_up + hours, time.monotonic() - began)
        made.worker_pool.stop()
        group.cancel_scope.cancel()
    made.consumers.close()
    return _judged(made, meter, time.monotonic() - began)


def _follow(made: House, hours: float, seconds: float) -> None:
    """A line for whoever watches a long run, each virtual hour at most."""
    consumers = made.consumers
    wrong = len(consumers.missed) + len(consumers.expired) + len(made.bugs)
    sys.stderr.write(
        f"{made.clock.moved / HOUR:.1f} of {hours:g} h after {seconds:.0f} s: {consumers.published} publications,"
        f" {weight() / MIB:.1f} MiB, {wrong} violations\n"
    )
    sys.stderr.flush()


async def _pass(made: House, until: float) -> None:
    """Move time to each look that is due, rounded up to the tick at which a daemon would notice."""
    clock, worker_pool = made.clock, made.worker_pool
    tick = made.settings.daemon.tick.total_seconds()
    hiccup = math.ceil((clock.moved + 1) / HICCUP) * HICCUP
    while True:
        await _rest(made)
        due = worker_pool.timers._mono[0][0] - 1000.0 if worker_pool.timers._mono else until
        following = math.ceil(max(due, clock.moved + tick) / tick) * tick
        if following > until:
            break
        clock.move(following - clock.moved)
        if following >= hiccup:
            made.store.fail("read", Transient("Vault did not answer"))
            hiccup = following + HICCUP  # one that nobody met is not owed: a row of them is an outage
        worker_pool.tick()
    clock.move(until - clock.moved)


async def _rest(made: House) -> None:
    """Until nobody has anything to do at this moment."""
    await anyio.lowlevel.checkpoint()
    while not made.worker_pool.idle or made.worker_pool._wake.is_set():
        await anyio.lowlevel.checkpoint()


async def _chores(made: House) -> None:
    """What a daemon does beside its visits: a sweep, a scrape, a look at the status page."""
    ours = {name: each for name, each in made.worker_pool.credentials.items() if each.target == "blog"}
    made.store._planned.clear()
    reconciler = made.worker_pool.guard.reconciler

    async def reap(credential: Credential, token: Token) -> bool:
        return await strays.reap(reconciler, credential, made.dependencies(credential), token)

    swept = await sweep(made.halo.living(), ours, made.journal, remembered={}, reap=reap)
    made.bugs += [f"a stray: {name}" for name in swept.reaped]
    made.halo.prune(made.clock.now() - KEEP)
    made.metrics.scrape()
    made.fleet.states()
    for place, credential in made.consumers.credentials.items():
        value = made.vault.get(place).values
        if credential.target == "blog" and value:
            accepted = made.halo.accepts(Secret(str(value[credential.key])))
            made.bugs += [text for _, text in promises.reads(f"consumers of {place}", "a value", accepted=accepted)]


def _judged(made: House, meter: Meter, seconds: float) -> Outcome:
    rss, objects = meter.trend("rss"), meter.trend("objects")
    descriptors, tasks = meter.spread("descriptors"), meter.spread("tasks")
    wrong = [*made.consumers.missed, *made.consumers.expired, *made.bugs]
    days = (meter.samples[-1].hour - meter.samples[0].hour) / 24
    if grows(rss, days):
        wrong.append(f"memory grows: {_trend(rss, MIB, 'MiB')}")
    if objects.low > 0:
        wrong.append(f"objects pile up: {_trend(objects, 1, 'objects')}")
    wrong += [
        f"{name} come and stay: ±{spread}"
        for name, spread in (("descriptors", descriptors), ("tasks", tasks))
        if spread > 2
    ]
    consumers = made.consumers
    return Outcome(
        made.clock.moved / HOUR, seconds, len(made.worker_pool.credentials), consumers.published, consumers.worst,
        consumers.shortest, rss, objects, meter.samples[-1].rss, descriptors, tasks, tuple(wrong),
    )  # fmt: skip


def grows(rss: Trend, days: float) -> bool:
    """By too much in a day, or steadily: a page of 4 KiB now and then is steady, too, and no leak in any month."""
    return rss.slope * min(1.0, days) > ALLOWED or (rss.low > 0 and rss.slope * days > NOISE)


# --- mistakes that somebody could make ------------------------------------------------------------------------------


def leaks(made: House) -> Callable[[], None]:
    """An observer that remembers everything."""
    kept: list[Transition] = []
    made.observers.append(kept.append)
    return lambda: None


def opens(made: House) -> Callable[[], None]:
    """A file that nobody closes, each hour."""
    kept: list[object] = []
    return lambda: kept.append(Path("/dev/null").open())


def forgets(made: House) -> Callable[[], None]:
    """A name that is put off for ever."""
    put = made.worker_pool.timers.put

    def careless(name: str, *when: object) -> None:
        if not (made.clock.moved > HOUR / 2 and name.endswith("7")):
            put(name, *when)

    object.__setattr__(made.worker_pool, "timers", _Careless(made.worker_pool.timers, careless))
    return lambda: None


class _Careless:
    """An agenda with another `put`."""

    def __init__(self, timers: object, put: Callable[..., None]) -> None:
        self._timers = timers
        self.put = put

    def __getattr__(self, name: str) -> object:
        return getattr(self._timers, name)


PLANTS: dict[str, Plant] = {"leaks": leaks, "opens": opens, "forgets": forgets}
