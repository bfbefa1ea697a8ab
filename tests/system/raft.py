"""The raft campaign: our own client on every node of a real cluster that is killed, sealed, stopped and cut up.

python -m tests.system.raft --kills 50 --writes 20000 --seed 1

Every write is a check-and-set on a counter that others raise, too; every version of every counter is read back at the
end and held against what each writer was told. `--plant NAME` gives the writers a client with a mistake in it.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import anyio
from anyio import to_thread

from rotator.vault.kv import Kv
from tests.sandbox.openbao import OpenBaoError
from tests.system.campaign import parser, verdict
from tests.system.outcome import quantile
from tests.system.raft_cluster import NODES, Cluster, cluster, reader
from tests.system.raft_ledger import History, Kept, Ledger, Told, judge, landed
from tests.system.raft_writers import IMPATIENT, LENGTH, MISTAKES, Counters, Writer

PER_NODE = 2  # writers: a patient one and an impatient one
LINES = 4  # documents at a time: few enough that writers meet
CALM = 2.0  # seconds of writing after the last trouble
ENDS = 120.0  # seconds in which every write that was begun must have ended


@dataclass
class Campaign:
    """One run on one cluster. `strikes`: how the leader was taken away, from when to when."""

    cluster: Cluster
    chance: random.Random
    kind: type[Kv] = Kv
    ledger: Ledger = field(default_factory=Ledger)
    counts: Counter[str] = field(default_factory=Counter)
    strikes: list[tuple[str, float, float]] = field(default_factory=list)
    writers: list[Writer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.counters = Counters(LINES, self.kind.__name__.lower())

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Writers at work; afterwards all of them have ended."""
        for number in range(NODES * PER_NODE):
            node = self.cluster.nodes[number % NODES]
            timeouts = IMPATIENT if number >= NODES else {}
            chance = random.Random(self.chance.random())
            name = f"w{number}@{number % NODES}"
            self.writers.append(
                Writer(name, node, self.cluster.role, self.counters, self.ledger, chance, self.kind, timeouts)
            )
        async with anyio.create_task_group() as group:
            for writer in self.writers:
                group.start_soon(writer.run)
            yield
            for writer in self.writers:
                writer.over = True
            group.cancel_scope.deadline = anyio.current_time() + ENDS
        if group.cancel_scope.cancelled_caught:
            self.ledger.wrong.append(f"endless: a write or a login did not end within {ENDS:.0f} s")

    async def strike(self, kills: int) -> None:
        """So many leader kills, and after each of them another trouble, one kind after the other."""
        others: list[str] = []
        for _ in range(kills):
            await self.trouble("kill the leader")
            others = others or self.chance.sample(list(TROUBLES)[1:], len(TROUBLES) - 1)
            await self.trouble(others.pop())

    async def trouble(self, kind: str) -> None:
        """One trouble, from a healthy cluster to a healthy cluster."""
        leader = await self.cluster.leader()
        self.counts[kind] += 1
        began = time.time()
        await TROUBLES[kind](self, leader)
        await self.cluster.leader()
        await anyio.sleep(self.chance.uniform(0.5, 2))
        if kind.endswith("leader"):
            self.strikes.append((kind, began, time.time()))

    def standby(self, leader: int) -> int:
        """Any of the others."""
        return self.chance.choice([node for node in range(NODES) if node != leader])

    async def reach(self, writes: int) -> None:
        """Let so many writes be acknowledged."""
        while self.ledger.count(Told.WRITTEN) < writes:  # noqa: ASYNC110 (nobody rings for each of 20,000 writes)
            await anyio.sleep(0.2)

    def history(self) -> History:
        """Every version of every document, read from the leader by nothing of ours."""
        with reader(self.cluster.nodes[0]) as get:
            return {name: _versions(get, name) for name in self.counters.names()}


def _versions(get: Callable[[str], dict[str, dict[str, dict[str, str]]]], name: str) -> dict[int, Kept]:
    stamps = get(f"metadata/{name}").get("versions", {})
    return {
        int(number): Kept(
            get(f"data/{name}?version={number}")["data"]["nonce"],
            datetime.fromisoformat(about["created_time"]).timestamp(),
        )
        for number, about in stamps.items()
    }


async def _roll(work: Campaign, leader: int) -> None:
    """As an upgrade goes: one node after the other, waiting for the cluster in between."""
    for node in range(NODES):
        await work.cluster.restart(node)
        await work.cluster.leader()


Trouble = Callable[[Campaign, int], Awaitable[None]]
TROUBLES: dict[str, Trouble] = {
    "kill the leader": lambda work, leader: work.cluster.kill(leader, work.chance.uniform(0, 2)),
    "cut off the leader": lambda work, leader: work.cluster.cut(leader, work.chance.uniform(2, 6)),
    "step down the leader": lambda work, leader: work.cluster.step_down(leader),
    "seal the leader": lambda work, leader: work.cluster.seal(leader, work.chance.uniform(0.5, 2)),
    "stop the leader": lambda work, leader: work.cluster.stop(leader, work.chance.uniform(2, 6)),
    "kill a standby": lambda work, leader: work.cluster.kill(work.standby(leader), work.chance.uniform(0, 2)),
    "cut off a standby": lambda work, leader: work.cluster.cut(work.standby(leader), work.chance.uniform(2, 6)),
    "stop a standby": lambda work, leader: work.cluster.stop(work.standby(leader), work.chance.uniform(1, 4)),
    "rolling restart": _roll,
}


@dataclass(frozen=True)
class Outcome:
    """A finished campaign. Times in seconds."""

    seconds: float
    counts: Counter[str]
    told: Counter[Told]
    late: int  # writes of unknown outcome that had landed
    reads: int
    outages: tuple[float, ...]
    outages_after_kills: tuple[float, ...]
    violations: tuple[str, ...]

    def __str__(self) -> str:
        told = self.told
        kinds = Counter(text.partition(":")[0] for text in self.violations)
        return (
            f"{self.counts['kill the leader']} leader kills, other troubles"
            f" { ({kind: number for kind, number in self.counts.items() if kind != 'kill the leader'}) };"
            f" {told[Told.WRITTEN]} writes acknowledged, {told[Told.LOST]} lost to another writer,"
            f" {told[Told.UNKNOWN]} unknown ({self.late} of them had landed), {self.reads} strong reads;"
            f" no write for p50 {quantile(self.outages, 0.5):.1f} s, p95 {quantile(self.outages, 0.95):.1f} s,"
            f" max {quantile(self.outages, 1):.1f} s after a leader was lost"
            f" (p95 {quantile(self.outages_after_kills, 0.95):.1f} s after a kill);"
            f" {len(self.violations)} violations {dict(kinds) or ''} in {self.seconds:.0f} s"
        )


async def campaign(kills: int, writes: int, seed: int = 1, kind: type[Kv] = Kv) -> Outcome:
    """A cluster of its own, the troubles, and the judgement."""
    async with cluster(LENGTH + 2 * NODES * PER_NODE) as made:
        return await on(made, kills, writes, seed, kind)


async def on(made: Cluster, kills: int, writes: int, seed: int = 1, kind: type[Kv] = Kv) -> Outcome:
    """The same on a cluster that is there: once with each kind."""
    began, work = time.monotonic(), Campaign(made, random.Random(seed), kind)
    async with work.writing():
        try:
            await work.strike(kills)
            await anyio.sleep(CALM)
            await work.reach(writes)
        except (TimeoutError, OpenBaoError) as surprise:
            work.ledger.wrong.append(f"cluster: {type(surprise).__name__}: {surprise}")
            work.counts["given up"] += 1
    await made.leader()
    history = await to_thread.run_sync(work.history)
    ledger = work.ledger
    outages = [(how, ledger.outage(since, until)) for how, since, until in work.strikes]
    return Outcome(
        time.monotonic() - began,
        work.counts,
        Counter(each.told for each in ledger.attempts),
        sum(each.told is Told.UNKNOWN and landed(each, history) for each in ledger.attempts),
        ledger.reads,
        tuple(seconds for _, seconds in outages),
        tuple(seconds for how, seconds in outages if how.startswith("kill")),
        judge(ledger, history),
    )


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--kills", type=int, default=3, choices=range(501), metavar="0..500")
    options.add_argument("--writes", type=int, default=300, help="acknowledged, at least")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--plant", choices=MISTAKES, help="a client with this mistake: the campaign must fail")
    wishes = options.parse_args()
    kind = MISTAKES[wishes.plant] if wishes.plant else Kv
    outcome = anyio.run(partial(campaign, wishes.kills, wishes.writes, wishes.seed, kind))
    return verdict(outcome, outcome.violations[:50])


if __name__ == "__main__":
    sys.exit(main())
