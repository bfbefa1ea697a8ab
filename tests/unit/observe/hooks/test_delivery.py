"""A hook's deliveries: in order, tried again with the same number, given up loudly, never in anybody's way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from structlog.testing import capture_logs

from rotator.observe.hooks import _WAITING, HookDelivery, Hooks
from rotator.observe.hooks.facts import Facts
from rotator.ports import Fault, Refused, Transient
from rotator.settings import Hook, HookMoment
from tests.kit.clock import QuickClock
from tests.unit.observe.hooks import transitions as they

pytestmark = pytest.mark.anyio
HOOK = Hook("page", (HookMoment.PUBLISHED, HookMoment.FAILED), ("/bin/true",))


class Receiver:
    """Takes what it is sent, after as many refusals as it is told."""

    def __init__(self, *refusals: Exception) -> None:
        self.refusals = list(refusals)
        self.tried: list[Facts] = []
        self.taken: list[Facts] = []

    async def __call__(self, facts: Facts) -> None:
        await anyio.lowlevel.checkpoint()
        self.tried.append(facts)
        if self.refusals:
            raise self.refusals.pop(0)
        self.taken.append(facts)


class Desk:
    """A courier, its clock and its counter."""

    def __init__(self, hook: Hook = HOOK) -> None:
        self.clock, self.counted = QuickClock(), they.Counted()
        self.courier = HookDelivery(hook, self.clock, self.counted)

    @asynccontextmanager
    async def serving(self, receiver: Receiver) -> AsyncIterator[None]:
        with capture_logs() as self.log:
            async with anyio.create_task_group() as group:
                group.start_soon(self.courier.run, receiver)
                yield
                with anyio.fail_after(60):  # a guard against hanging: nobody judges speed here
                    while self.courier.left:
                        await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()

    def events(self) -> list[str]:
        return [line["event"] for line in self.log]


async def test_what_was_asked_for_is_delivered_in_order_and_nothing_else() -> None:
    desk, receiver = Desk(), Receiver()
    async with desk.serving(receiver):
        for transition in (they.requested(), they.publication(version=7), they.surrender(), they.settling()):
            desk.courier.offer(transition)
    assert [facts.moment for facts in receiver.taken] == [HookMoment.PUBLISHED, HookMoment.FAILED]
    assert desk.counted.calls == {("page", "delivered"): 2}


@pytest.mark.parametrize(
    ("chosen", "taken"),
    [
        ({"credentials": ("blog",)}, 1),
        ({"credentials": ("shop",)}, 0),
        ({"labels": {"team": "web"}}, 1),
        ({"labels": {"team": "web", "tier": "1"}}, 0),
    ],
    ids=str,
)
async def test_a_hook_hears_of_the_credentials_it_is_for(chosen, taken: int) -> None:
    desk, receiver = Desk(Hook("page", (HookMoment.PUBLISHED,), ("/bin/true",), **chosen)), Receiver()
    async with desk.serving(receiver):
        desk.courier.offer(they.publication())
    assert len(receiver.taken) == taken


async def test_a_delivery_that_fails_is_tried_again_with_the_same_number_and_growing_pauses() -> None:
    desk, receiver = Desk(), Receiver(Transient("503"), Transient("503"))
    async with desk.serving(receiver):
        desk.courier.offer(they.publication())
    assert [facts.id for facts in receiver.tried] == [receiver.taken[0].id] * 3
    assert desk.clock.slept == [1.0, 2.0]
    assert desk.counted.calls == {("page", "delivered"): 1}


async def test_a_receiver_that_asks_for_a_pause_gets_it_up_to_a_minute() -> None:
    desk = Desk()
    async with desk.serving(Receiver(Transient("429", retry_after=30.0), Transient("429", retry_after=9000.0))):
        desk.courier.offer(they.publication())
    assert desk.clock.slept == [30.0, 60.0]


@pytest.mark.parametrize(
    "refusal", [Transient("503"), Refused("no"), RuntimeError("a bug")], ids=lambda x: type(x).__name__
)
async def test_a_delivery_that_fails_for_good_is_counted_told_once_and_followed_by_the_next(refusal) -> None:
    desk, receiver = Desk(), Receiver(refusal, refusal, refusal)
    async with desk.serving(receiver):
        desk.courier.offer(they.publication(version=7))
        desk.courier.offer(they.publication(version=8))
    assert len(receiver.taken) == 1
    assert desk.counted.calls == {("page", "failed"): 1, ("page", "delivered"): 1}
    [failed] = [line for line in desk.log if line["event"] == "hook.failed"]
    assert failed["log_level"] == "error"
    assert (failed["hook"], failed["credential"], failed["attempts"]) == ("page", "blog", 3)


async def test_when_too_many_wait_the_new_one_is_dropped_counted_and_told_once() -> None:
    desk, receiver = Desk(), Receiver()
    with capture_logs() as log:
        for _ in range(_WAITING + 3):
            desk.courier.offer(they.publication())
    assert [line["event"] for line in log] == ["hook.overflown"]
    async with desk.serving(receiver):
        pass
    assert desk.counted.calls == {("page", "dropped"): 3, ("page", "delivered"): _WAITING}


async def test_offering_never_waits_while_a_delivery_hangs() -> None:
    hanging = anyio.Event()

    async def hang(facts: Facts) -> None:
        await hanging.wait()

    desk = Desk()
    async with anyio.create_task_group() as group:
        group.start_soon(desk.courier.run, hang)
        desk.courier.offer(they.publication())
        await anyio.wait_all_tasks_blocked()
        desk.courier.offer(they.publication())
        assert desk.courier.left == 2
        group.cancel_scope.cancel()


async def test_the_end_waits_for_deliveries_under_way_but_not_for_long() -> None:
    counted, clock = they.Counted(), QuickClock(naps=4)
    hook = Hook("page", (HookMoment.PUBLISHED,), url="https://hooks.test", secret=None)
    hooks = Hooks({"page": hook}, clock, counted)
    hooks(they.publication())
    hooks(they.publication())
    with capture_logs() as log:
        await hooks.drain(0.05)
    assert counted.calls == {("page", "dropped"): 2}
    assert [(line["event"], line["deliveries"]) for line in log] == [("hook.abandoned", 2)]


async def test_hooks_of_settings_deliver_until_they_are_done() -> None:
    counted = they.Counted()
    hooks = Hooks({"page": HOOK}, QuickClock(), counted)

    async def nobody(ref) -> None:
        raise Fault("no secret is needed")

    async with anyio.create_task_group() as group:
        group.start_soon(hooks.run, nobody)
        hooks(they.publication())
        await hooks.drain(10)
        group.cancel_scope.cancel()
    assert counted.calls == {("page", "delivered"): 1}
