"""The Requests port, held by the adapter in memory and on a real OpenBao."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from rotator.ports import Refused
from rotator.rotation.credential import VaultPath
from rotator.rotation.operator_request import OperatorRequest, RequestVerb
from rotator.vault.shared_documents import VaultRequests
from tests.kit.requests import FakeRequests
from tests.kit.store import FakeStore, FakeVault
from tests.unit.vault.worlds import Operator, kv_on

pytestmark = pytest.mark.anyio
AT = datetime(2026, 3, 1, 12, 0, 0, 250000, tzinfo=UTC)
LEAK = OperatorRequest("a1", RequestVerb.ROTATE, AT, "ada", emergency=True, patient=True, live=("t1", "t2"))
PAUSE = OperatorRequest("0b", RequestVerb.PAUSE, AT + timedelta(seconds=1), "bob", reason="frozen", until=AT)


@dataclass
class World:
    inbox: VaultRequests
    another: Callable[[], VaultRequests]
    operator: FakeVault | Operator
    mount: str


@pytest.fixture(params=["fake", pytest.param("openbao", marks=pytest.mark.system)])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "fake":
        store = FakeStore(FakeVault())
        yield World(FakeRequests(store), lambda: FakeRequests(FakeStore(store.vault)), store.vault, "secret")
        return
    bao, mount = request.getfixturevalue("openbao"), request.getfixturevalue("mount")
    kv = kv_on(bao, mount)
    yield World(VaultRequests(kv, mount, "rotator"), lambda: VaultRequests(kv, mount, "rotator"), Operator(bao), mount)
    await kv.session.close()


async def test_where_nobody_asked_for_anything_nothing_waits(world: World) -> None:
    assert await world.inbox.look() == frozenset()
    assert await world.inbox.waiting("blog") == ()


async def test_who_put_a_request_sees_it_at_once_and_others_with_their_next_look_in_the_order_of_asking(
    world: World,
) -> None:
    await world.inbox.put("blog/bot", PAUSE)
    await world.inbox.put("blog/bot", LEAK)
    await world.inbox.put("blog", LEAK)  # a folder of the other's documents has this name
    assert await world.inbox.waiting("blog/bot") == (LEAK, PAUSE)
    other = world.another()
    assert await other.waiting("blog/bot") == ()
    assert await other.look() == {"blog", "blog/bot"}
    assert await other.waiting("blog/bot") == (LEAK, PAUSE)
    assert await other.waiting("blog") == (LEAK,)


async def test_one_that_was_put_during_a_look_is_not_forgotten(world: World) -> None:
    listed = world.inbox._names

    async def names() -> AsyncIterator[str]:
        async for name in listed():
            yield name
        await world.inbox.put("blog", LEAK)

    world.inbox._names = names
    assert await world.inbox.look() == frozenset()
    assert await world.inbox.waiting("blog") == (LEAK,)


async def test_what_is_removed_waits_no_longer_and_removing_twice_is_no_fault(world: World) -> None:
    await world.inbox.put("blog", LEAK)
    await world.inbox.put("blog", PAUSE)
    for _ in range(2):
        await world.inbox.remove("blog", LEAK)
    assert await world.inbox.waiting("blog") == (PAUSE,)
    await world.inbox.remove("blog", PAUSE)
    assert await world.another().look() == frozenset()


async def test_what_nobody_can_read_is_refused_with_the_command_that_removes_it(world: World) -> None:
    await world.inbox.put("blog", replace(LEAK, id="by-hand"))
    place = VaultPath(world.mount, "rotator/wish/blog/by-hand")
    for values in ({"schema": "2"}, {}, {"schema": "1", "id": "by-hand"}, {"schema": "1", "id": "other", **_texts()}):
        _overwrite(world, place, values)
        with pytest.raises(Refused, match=r"metadata delete .*rotator/wish/blog/by-hand"):
            await world.inbox.waiting("blog")


def _texts() -> dict[str, str]:
    return {"verb": "rotate", "at": AT.isoformat(), "by": "ada"}


def _overwrite(world: World, place: VaultPath, values: dict[str, str]) -> None:
    if isinstance(world.operator, FakeVault):
        world.operator.put(place, values, None)
    else:
        world.operator.bao.call("POST", f"{place.mount}/data/{place.path}", {"data": values})
