"""A raft cluster loses its leaders under our own client: what was acknowledged stays, and no conflict is imagined."""

from __future__ import annotations

import secrets
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from rotator.engine.context import Dependencies
from rotator.engine.lease import Leases
from rotator.engine.reconciler import Reconciler, Transition
from rotator.host.cron import SystemClock
from rotator.ports import Installation
from rotator.rotation.credential import Credential, Retirement, VaultPath
from rotator.rotation.record import Phase, Record
from rotator.rotation.rotation_request import RotationRequest
from rotator.rotation.schedule import Every
from rotator.vault.journal import VaultJournal
from rotator.vault.kv import Kv
from rotator.vault.login import token
from rotator.vault.session import Session
from rotator.vault.transport import VaultConnection
from tests.kit.http_server import Heard
from tests.kit.provider import FakeProvider, Target
from tests.system.raft import on
from tests.system.raft_cluster import Cluster, cluster, reader
from tests.system.raft_ledger import Attempt, Kept, Ledger, Told, judge
from tests.system.raft_writers import MISTAKES
from tests.unit.vault.hostile import Proxy
from tests.unit.vault.worlds import Operator

UNHEARD = 1.5  # seconds for which a standby is cut off

HISTORY = {"d": {1: Kept("a", 10.0), 2: Kept("b", 20.0)}}


def told(what: Told, cas: int, nonce: str, ended: float = 30.0, version: int | None = None) -> Attempt:
    """An attempt on the document of the history."""
    return Attempt("d", cas, nonce, "w", 0.0, ended, what, cas + 1 if version is None else version)


HONEST = [told(Told.WRITTEN, 0, "a"), told(Told.UNKNOWN, 1, "b")]
BROKEN = {
    "acknowledged, then lost: at a place where another stands": [told(Told.WRITTEN, 1, "c")],
    "acknowledged, then lost: beyond the newest": [told(Told.WRITTEN, 2, "c")],
    "acknowledged, then lost: under a version that it has not": [told(Told.WRITTEN, 1, "b", version=3)],
    "double winner": [told(Told.WRITTEN, 0, "c")],
    "false conflict: it had landed": [told(Told.LOST, 1, "b")],
    "false conflict: nobody ever wrote that version": [told(Told.LOST, 2, "c")],
    "false conflict: somebody wrote it, but only later": [told(Told.LOST, 1, "c", ended=19.0)],
    "false refusal": [told(Told.REFUSED, 1, "c")],
    "misplaced": [told(Told.UNKNOWN, 5, "b")],
}


@pytest.mark.parametrize("promise", BROKEN)
def test_the_judge_names_each_broken_promise(promise: str) -> None:
    attempts = {each.nonce: each for each in HONEST + BROKEN[promise]}  # of two with one nonce, the broken one
    found = judge(Ledger([*attempts.values()]), HISTORY)
    assert promise.partition(":")[0] in {text.partition(":")[0] for text in found}


def test_the_judge_sees_versions_that_nobody_wrote_and_versions_that_are_missing() -> None:
    found = judge(Ledger(list(HONEST)), {"d": {**HISTORY["d"], 4: Kept("z", 40.0)}})
    assert sorted(text.partition(":")[0] for text in found) == ["gap", "stranger"]


def test_the_judge_is_content_with_honest_clients() -> None:
    honest = [*HONEST, told(Told.LOST, 1, "c", ended=20.5), told(Told.UNKNOWN, 2, "e")]
    assert judge(Ledger(honest), HISTORY) == ()


def test_a_strong_read_behind_an_acknowledged_write_is_noted() -> None:
    ledger = Ledger()
    ledger.read("d", 3, known=3)
    assert not ledger.wrong
    ledger.read("d", 2, known=3)
    assert ledger.wrong[0].startswith("stale")


@pytest.fixture(scope="module")
async def made() -> AsyncIterator[Cluster]:
    async with cluster(220) as made:
        yield made


@pytest.mark.system
@pytest.mark.anyio
async def test_clients_on_all_nodes_lose_nothing_and_imagine_no_conflict_while_leaders_are_killed(
    made: Cluster, figures: Callable[[str], None]
) -> None:
    outcome = await on(made, kills=3, writes=300)
    figures(f"raft: {outcome}")
    assert not outcome.violations
    assert outcome.told[Told.WRITTEN] >= 300
    assert outcome.told[Told.LOST] >= 50  # these floors only say that it was no empty campaign
    assert len(outcome.outages_after_kills) == 3


@pytest.mark.system
@pytest.mark.anyio
async def test_clients_with_a_mistake_in_them_are_found_out_in_fair_weather(made: Cluster) -> None:
    for name, words in {
        "TrustsTheRefusal": "false conflict",
        "ReadsPlainly": "stale",
        "WritesOverAnything": "double winner",
    }.items():
        outcome = await on(made, 0, 50, kind=MISTAKES[name])
        assert words in {text.partition(":")[0] for text in outcome.violations}, name


# --- directed: at the one moment when it could do harm ----------------------------------------------------------------


@dataclass
class Way(Proxy):
    """The way to Vault. `after(path, body)` is called when a write was carried out, before its answer is given."""

    after: Callable[[str, bytes], None] = lambda path, body: None

    def forward(self, heard: Heard) -> tuple[int, bytes, dict[str, str]]:
        answer = super().forward(heard)
        if heard.method == "POST" and answer[0] < 300:
            self.after(heard.target, heard.raw)
        return answer


@dataclass
class Host:
    """A process that visits one credential of a target in memory, all of its Vault over one way."""

    name: str
    way: Way
    kv: Kv
    target: Target
    told: list[Transition] = field(default_factory=list)

    def __post_init__(self) -> None:
        clock, self.place = SystemClock(), VaultPath("kv", f"apps/{self.name}")
        retire, schedule = Retirement(after=timedelta(0)), Every(timedelta(days=30), jitter=0)
        self.credential = Credential(self.name, "halo-pat", "blog", self.place, retire=retire, schedule=schedule)
        provider, slot = FakeProvider(self.target), VaultPath("kv", f"rotator/staged/{self.name}")
        home = Installation("home", b"key of the fingerprints")
        self.dependencies = Dependencies(self.kv, provider, clock, home, slot, nonce=lambda: secrets.token_hex(8))
        journal, leases = VaultJournal(self.kv, "kv", "rotator"), Leases("host-a", 30.0, clock.monotonic)
        self.reconciler = Reconciler(journal, leases, lambda: "l1", self.told.append)

    async def reconcile(self) -> Record:
        """A visit on request, as far as it goes."""
        seen = await self.reconciler.reconcile(
            self.credential, self.dependencies, RotationRequest(self.dependencies.clock.now(), "person")
        )
        assert seen.record
        return seen.record

    @property
    def events(self) -> list[str]:
        """What happened, by the names of the events."""
        return [type(each.event).__name__ for each in self.told]


@asynccontextmanager
async def host(made: Cluster, node: int, name: str) -> AsyncIterator[Host]:
    """A host at work on the credential of this name, through this node."""
    way = Way(made.nodes[node].address)
    connection = VaultConnection(way.address, mount="kv", instance="test", read_timeout=2, total_timeout=3)
    kv = Kv(Session(connection, token(lambda: made.nodes[0].root), SystemClock()))
    try:
        yield Host(name, way, kv, Target(SystemClock().now, seed=f"canary-{name}"))
    finally:
        await kv.session.close()
        way.close()


def kept(made: Cluster, node: int, place: VaultPath) -> Any:
    """A document's newest version, and its values, as this node says without asking anybody."""
    with reader(made.nodes[node]) as get:
        found = get(f"data/{place.path}")
    return found["metadata"]["version"], found["data"]


@pytest.mark.system
@pytest.mark.anyio
async def test_a_leader_kill_between_cas_and_response_leaves_a_publication_neither_lost_nor_doubled(
    made: Cluster,
) -> None:
    leader = await made.leader()
    survivor = (leader + 1) % len(made.nodes)
    struck: list[str] = []
    async with host(made, leader, "killed") as actor:
        assert (await actor.reconcile()).phase is Phase.SETTLED

        def kill(path: str, body: bytes) -> None:
            if path.endswith(actor.place.path) and not struck:
                made.nodes[leader].kill()
                actor.way.upstream = made.nodes[survivor].address
                struck.append(path)
                raise ConnectionResetError

        actor.way.after = kill
        actor.way.writes.clear()
        record = await actor.reconcile()
        tries = [body for path, body, _ in actor.way.writes if [path] == struck]
        assert len(tries) > len(set(tries)) == 1, "it is written again, and nothing else is"
        assert (record.phase, record.rotation, record.attempt) == (Phase.SETTLED, 2, 1)
        assert actor.events.count("Published") == 2
        assert "Faulted" not in actor.events
        await made.restart(leader)
        await made.leader()
        version, values = kept(made, survivor, actor.place)
        assert (version, values["rotation"]) == (2, "2")
        assert [each.id for each in actor.target.living()] == [values["provider_id"]]
        assert len(actor.target.issued) == 2


@pytest.mark.system
@pytest.mark.anyio
async def test_a_standby_read_in_retiring_revokes_nothing_that_is_published_again(made: Cluster) -> None:
    await made.whole()
    leader = await made.leader()
    standby = (leader + 1) % len(made.nodes)
    looked: list[int] = []
    async with host(made, standby, "behind") as actor:
        assert (await actor.reconcile()).phase is Phase.SETTLED
        _, before = kept(made, leader, actor.place)

        def overtake(path: str, body: bytes) -> None:
            if b'"phase": "condemned"' in body and not looked:
                made.wires.cut.add(standby)
                Operator(made.nodes[leader]).overwrite(actor.place, before)
                looked.append(kept(made, standby, actor.place)[0])
                threading.Timer(UNHEARD, made.wires.cut.discard, (standby,)).start()

        actor.way.after = overtake
        record = await actor.reconcile()
        assert looked == [2], "this standby answers with the version before"
        assert record.phase is Phase.HELD
        assert len(actor.target.living()) == 2
        assert "revoke" not in actor.target.calls
