"""Writes whose answers get lost, standbys that lag, engines that are not what they seem: all on a real OpenBao."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import pytest

from rotator.host.cron import SystemClock
from rotator.ports import Conflict, Refused, Transient
from rotator.rotation.credential import VaultPath
from rotator.vault.kv import Kv
from rotator.vault.login import token
from rotator.vault.session import READ_PATIENCE, WRITE_PATIENCE, Session
from rotator.vault.transport import VaultConnection
from tests.kit.clock import QuickClock
from tests.sandbox.openbao import OpenBao, Storage
from tests.unit.vault.enterprise import Lagging, forbids_forwarding
from tests.unit.vault.hostile import Proxy, answer, raw_server
from tests.unit.vault.worlds import Operator, canary, kv_on, only_openbao

pytestmark = [pytest.mark.anyio, pytest.mark.system]
INDEX = "eyJjbHVzdGVyIjoiYyIsInZhbHVlIjoiMSJ9"


SERVERS: dict[str, Callable[[], dict[str, Any]]] = {
    "OpenBao": dict,
    "Vault Enterprise": lambda: {"indexed": True, "rules": [forbids_forwarding, Lagging(behind=1)]},
}
openbao_only = pytest.mark.parametrize("between", ["OpenBao"], indirect=True)  # about what Enterprise does otherwise


@pytest.fixture(params=SERVERS)
def between(openbao: OpenBao, request: pytest.FixtureRequest) -> Iterator[Proxy]:
    with Proxy(openbao.address, **SERVERS[request.param]()) as made:
        yield made


@pytest.fixture
async def kv(openbao: OpenBao, mount: str, between: Proxy) -> AsyncIterator[Kv]:
    """A store that reaches the real server through the proxy, in a hurry."""
    kv = kv_at(between.address, openbao, mount)
    await kv.barrier()
    between.writes.clear()
    yield kv
    await kv.session.close()


def kv_at(address: str, openbao: OpenBao, mount: str, clock: SystemClock | None = None) -> Kv:
    connection = VaultConnection(address, mount=mount, instance="test", read_timeout=2, total_timeout=3)
    return Kv(Session(connection, token(lambda: openbao.root), clock or QuickClock()))


def document_writes(between: Proxy) -> list[bytes]:
    return [body for path, body, _ in between.writes if "/node/" not in path]


@pytest.mark.parametrize(
    "plan",
    [
        ["lose request"],
        ["lose answer"],
        ["502 after"],
        ["lose request", "lose answer"],
        ["lose answer", "lose request", "502 after"],
        ["false conflict"],
        ["false conflict", "lose answer"],
        ["lose answer", "false conflict", "false conflict"],
        ["leaderless"],
        ["lose answer", "leaderless", "false conflict"],
    ],
    ids=" then ".join,
)
async def test_a_write_whose_answers_are_lost_ends_as_done_exactly_once(
    kv: Kv, mount: str, between: Proxy, plan: list[str]
) -> None:
    place = VaultPath(mount, "apps/blog/halo")
    between.matching, between.plan = "/data/apps", plan
    assert await kv.write(place, {"token": canary("kv")}, cas=0) == 1
    found = await kv.read(place, strong=True)
    assert (found.version, found.values) == (1, {"token": canary("kv").reveal()})
    assert len(set(document_writes(between))) == 1, "a repeated write must be the identical one"


async def test_a_late_write_that_lands_behind_our_back_is_recognised_as_ours(
    kv: Kv, mount: str, between: Proxy
) -> None:
    between.matching, between.plan = "/data/apps", ["late"]
    kv.session.clock = SystemClock()
    assert await kv.write(VaultPath(mount, "apps/blog/halo"), {"token": canary("kv")}, cas=0) == 1


async def test_our_write_is_recognised_even_when_somebody_wrote_after_it(
    kv: Kv, openbao: OpenBao, mount: str, between: Proxy
) -> None:
    place = VaultPath(mount, "apps/blog/halo")
    between.matching, between.plan = "/data/apps", ["lose answer"]
    sleep = kv.session.clock.sleep

    async def overtaken(seconds: float) -> None:
        if not between.plan:  # no sooner: a node that lags makes us wait, too
            Operator(openbao).overwrite(place, {"token": "foreign"})
        await sleep(seconds)

    kv.session.clock.sleep = overtaken
    assert await kv.write(place, {"token": canary("kv")}, cas=0) == 1
    assert (await kv.read(place)).values == {"token": "foreign"}


async def test_a_lost_request_overtaken_by_another_writer_is_a_conflict(
    kv: Kv, openbao: OpenBao, mount: str, between: Proxy
) -> None:
    place = VaultPath(mount, "apps/blog/halo")
    between.matching, between.plan = "/data/apps", ["lose request"]
    sleep = kv.session.clock.sleep

    async def overtaken(seconds: float) -> None:
        if not between.plan:  # no sooner: a node that lags makes us wait, too
            Operator(openbao).overwrite(place, {"token": "foreign"})
        await sleep(seconds)

    kv.session.clock.sleep = overtaken
    with pytest.raises(Conflict):
        await kv.write(place, {"token": canary("kv")}, cas=0)
    assert (await kv.read(place)).values == {"token": "foreign"}


async def test_our_write_deleted_by_an_operator_meanwhile_is_not_called_done(
    kv: Kv, openbao: OpenBao, mount: str, between: Proxy
) -> None:
    place = VaultPath(mount, "apps/blog/halo")
    between.matching, between.plan = "/data/apps", ["lose answer"]
    sleep = kv.session.clock.sleep

    async def deleted(seconds: float) -> None:
        if not between.plan:
            Operator(openbao).delete(place)
        await sleep(seconds)

    kv.session.clock.sleep = deleted
    with pytest.raises(Conflict):
        await kv.write(place, {"token": canary("kv")}, cas=0)


@openbao_only
async def test_a_write_that_never_gets_an_answer_stays_unknown_after_a_bounded_time(
    kv: Kv, mount: str, between: Proxy
) -> None:
    between.matching, between.plan = "/data/apps", ["lose request"] * 100
    with pytest.raises(Transient, match="unknown"):
        await kv.write(VaultPath(mount, "apps/blog/halo"), {"a": "1"}, cas=0)
    assert sum(kv.session.clock.slept) <= WRITE_PATIENCE
    assert kv.session.clock.slept[:3] == [0.05, 0.1, 0.2]


async def test_a_write_that_landed_with_every_answer_lost_is_found_by_the_last_look(
    kv: Kv, mount: str, between: Proxy
) -> None:
    between.matching, between.plan = "/data/apps", ["502 after"] + ["lose request"] * 100
    assert await kv.write(VaultPath(mount, "apps/blog/halo"), {"a": "1"}, cas=0) == 1


async def test_endless_false_conflicts_end_undecided_not_lost(kv: Kv, mount: str, between: Proxy) -> None:
    between.matching, between.plan = "/data/apps", ["false conflict"] * 100
    with pytest.raises(Transient, match="true version"):
        await kv.write(VaultPath(mount, "apps/blog/halo"), {"a": "1"}, cas=0)


@openbao_only
async def test_a_look_that_fails_while_a_refusal_is_looked_into_does_not_use_up_the_writes_patience(
    kv: Kv, mount: str, between: Proxy
) -> None:
    """Found by the raft campaign: the look of three seconds decided about a write that had twenty-five."""
    between.headers["X-Vault-Index"] = INDEX
    await kv.read(VaultPath(mount, "a"))
    between.plan = ["false conflict", *["lose request"] * 7]  # the look's own write, until its patience is over
    assert await kv.write(VaultPath(mount, "apps/blog/halo"), {"a": "1"}, cas=0) == 1
    assert not between.plan


@openbao_only
async def test_patience_ends_with_a_last_try_not_with_a_pause(kv: Kv, between: Proxy) -> None:
    """Found by the raft campaign: reads gave up after half of their patience, just before there was a leader again."""
    between.plan = ["lose request"] * 6
    await kv.beat()
    assert sum(kv.session.clock.slept) == pytest.approx(READ_PATIENCE, abs=0.5)


async def test_a_lost_destroy_is_repeated(kv: Kv, mount: str, between: Proxy) -> None:
    place = VaultPath(mount, "rotator/staged/blog")
    await kv.write(place, {"token": canary("kv")}, cas=0)
    between.matching, between.plan = "/destroy/", ["lose answer", "lose request"]
    await kv.destroy(place, (1,))
    assert (await kv.read(place)).deleted


async def test_the_nodes_clock_is_known_after_any_answer(kv: Kv, mount: str) -> None:
    told = kv.session.server_time
    assert told is not None
    assert abs((told - kv.session.clock.now()).total_seconds()) < 5


@openbao_only
async def test_a_server_without_indexes_is_asked_for_one_only_once(kv: Kv, mount: str, between: Proxy) -> None:
    for _ in range(3):
        await kv.read(VaultPath(mount, "apps/blog/halo"), strong=True)
    assert between.writes == []


@openbao_only
@only_openbao  # HashiCorp Vault forbids the header that the barrier carries
async def test_a_server_that_begins_to_send_indexes_gets_barriers_from_then_on(
    kv: Kv, mount: str, between: Proxy
) -> None:
    between.headers["X-Vault-Index"] = INDEX
    await kv.write(VaultPath(mount, "apps/blog/halo"), {"a": "1"}, cas=0)
    between.writes.clear()
    await kv.read(VaultPath(mount, "apps/blog/halo"), strong=True)
    assert [path.rsplit("/", 2)[1] for path, _, _ in between.writes] == ["node"]
    assert between.writes[0][2]["X-Vault-Inconsistent"] == "forward-active-node"


@openbao_only
async def test_strong_reads_at_the_same_time_share_barriers(kv: Kv, mount: str, between: Proxy) -> None:
    between.headers["X-Vault-Index"] = INDEX
    await kv.read(VaultPath(mount, "a"))
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(lambda: kv.read(VaultPath(mount, "a"), strong=True))
    assert len(between.writes) <= 3


@openbao_only
@only_openbao  # HashiCorp Vault ignores what it cannot read
async def test_an_index_that_the_server_cannot_read_is_forgotten(kv: Kv, mount: str) -> None:
    kv.session.index = "from another world"
    await kv.write(VaultPath(mount, "a"), {"a": "1"}, cas=0)
    assert kv.session.index is None


async def test_a_version_1_engine_is_refused_although_it_accepts_writes(openbao: OpenBao) -> None:
    mount = openbao.enable_kv("kv-one", version=1)
    kv = kv_on(openbao, mount)
    with pytest.raises(Refused, match="not a KV version 2"):
        await kv.write(VaultPath(mount, "a"), {"a": "1"}, cas=0)
    with pytest.raises(Refused, match="not a KV version 2"):
        await kv.read(VaultPath(mount, "a"))
    await kv.session.close()


async def test_a_mount_that_is_not_there_is_refused_not_taken_for_an_empty_one(openbao: OpenBao) -> None:
    kv = kv_on(openbao, "nowhere")
    with pytest.raises(Refused, match="no secrets engine at nowhere"):
        await kv.read(VaultPath("nowhere", "a"))
    with pytest.raises(Refused, match="no secrets engine at nowhere"):
        await kv.list(VaultPath("nowhere", "a"))
    await kv.session.close()


@pytest.mark.parametrize("reply", [answer(404, b"<html/>"), answer(404, {"errors": ["what?"]}), answer(404, {})])
async def test_a_404_from_anything_in_between_is_not_taken_for_no_such_document(openbao: OpenBao, reply: bytes) -> None:
    with raw_server(reply) as server:
        kv = kv_at(server.address, openbao, "secret")
        with pytest.raises(Refused):
            await kv.read(VaultPath("secret", "a"))
        await kv.session.close()


async def test_every_verb_works_where_check_and_set_is_demanded(openbao: OpenBao) -> None:
    mount = openbao.enable_kv("kv-strict", cas_required=True)
    kv, other, place = kv_on(openbao, mount), kv_on(openbao, mount), VaultPath(mount, "a/b")
    for each in (kv, other, kv):  # two processes that write one document
        await each.beat()
    assert await kv.write(place, {"a": "1"}, cas=0) == 1
    assert (await kv.read(place, strong=True)).values == {"a": "1"}
    assert await kv.list(VaultPath(mount, "a")) == ("b",)
    await kv.destroy(place, (1,))
    assert await kv.write(place, {"a": "2"}, cas=1) == 2
    await kv.forget(place)
    assert (await kv.read(place)).version == 0
    for each in (kv, other):
        await each.session.close()


async def test_a_sealed_server_refuses_and_works_again_when_unsealed() -> None:
    with OpenBao() as bao:
        bao.enable_kv()
        kv = kv_on(bao, "secret", clock=QuickClock())
        await kv.write(VaultPath("secret", "a"), {"a": "1"}, cas=0)
        bao.seal()
        with pytest.raises(Transient, match="sealed"):
            await kv.read(VaultPath("secret", "a"))
        with pytest.raises(Transient):
            await kv.write(VaultPath("secret", "a"), {"a": "2"}, cas=1)
        bao.unseal()
        assert await kv.write(VaultPath("secret", "a"), {"a": "2"}, cas=1) == 2
        await kv.session.close()


@only_openbao  # the standbys of HashiCorp Vault's free edition forward every read
async def test_through_a_lagging_standby_strong_reads_are_never_stale_and_no_write_is_lost() -> None:
    """Two raft nodes; the client speaks to the standby only, somebody else writes through the leader."""
    with OpenBao(Storage.RAFT) as leader, OpenBao(Storage.RAFT, leader=leader) as standby:
        leader.enable_kv()
        standby.await_kv()
        place, operator = VaultPath("secret", "apps/blog/halo"), Operator(leader)
        kv, plain, stale = kv_on(standby, "secret"), kv_on(standby, "secret"), 0
        await kv.write(place, {"n": "first"}, cas=0)
        for number in range(40):
            version = operator.overwrite(place, {"n": str(number)})
            plain.session.index = None  # reads like a client that knows of no indexes
            stale += (await plain.read(place)).version != version
            version = operator.overwrite(place, {"n": "foreign"})
            assert (await kv.read(place, strong=True)).version == version
            version = operator.overwrite(place, {"n": "foreign"})
            assert await kv.write(place, {"n": "ours"}, cas=version) == version + 1
        await kv.session.close()
        await plain.session.close()
        if not stale:
            pytest.skip("the standby never lagged on this machine: the barrier was not put to the test")
