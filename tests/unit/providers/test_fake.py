"""The tests of what the fake provider offers beyond the contract: settling, late effects, stepping by hand."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rotator.ports import Accepted, MinterRefused, Rejected, Transient
from tests.kit.clock import HandClock
from tests.kit.provider import FakeProvider, Target, When

NAME = "rotator-lab1-blog-c0ffee-r1-a1"


@pytest.mark.anyio
async def test_a_new_token_is_refused_until_it_has_settled(clock: HandClock) -> None:
    target = Target(clock.now, settle=timedelta(seconds=5))
    provider = FakeProvider(target)
    minted = await provider.mint(NAME, None)
    assert await provider.verify(minted.token, minted.secret) == Rejected("the token is refused")
    assert not target.accepts(minted.secret)
    clock.move(5)
    assert await provider.verify(minted.token, minted.secret) == Accepted()


@pytest.mark.anyio
async def test_a_late_effect_happens_when_it_lands_and_not_before(clock: HandClock) -> None:
    target = Target(clock.now)
    provider = FakeProvider(target)
    target.fail("mint", when=When.LATE)
    with pytest.raises(Transient):
        await provider.mint(NAME, None)
    assert target.living() == ()
    target.land()
    target.land()
    assert [token.name for token in target.living()] == [NAME]


@pytest.mark.anyio
async def test_a_late_mint_finds_its_name_taken(clock: HandClock) -> None:
    target = Target(clock.now)
    provider = FakeProvider(target)
    target.fail("mint", when=When.LATE)
    with pytest.raises(Transient):
        await provider.mint(NAME, None)
    await provider.mint(NAME, None)
    target.land()
    assert len(target.living()) == 1


@pytest.mark.anyio
async def test_a_fault_is_the_one_that_was_armed_and_strikes_once(clock: HandClock) -> None:
    target = Target(clock.now)
    provider = FakeProvider(target)
    target.fail("mint", MinterRefused("the minter is refused"))
    with pytest.raises(MinterRefused):
        await provider.mint(NAME, None)
    await provider.mint(NAME, None)
    assert target.calls == ["mint", "mint"]


def test_its_coroutines_can_be_stepped_by_hand_without_an_event_loop(clock: HandClock) -> None:
    labels: list[str] = []

    class Stop:
        def __await__(self):
            yield

    async def pause(label: str) -> None:
        labels.append(label)
        await Stop()

    target = Target(clock.now)
    step = FakeProvider(target, pause).mint(NAME, None)
    step.send(None)
    assert (labels, target.living()) == (["mint: sent"], ())
    step.send(None)
    assert labels == ["mint: sent", "mint: done"]
    assert len(target.living()) == 1
    with pytest.raises(StopIteration):
        step.send(None)


def test_two_targets_never_share_a_value(clock: HandClock) -> None:
    one, other = Target(clock.now, seed="a"), Target(clock.now, seed="b")
    minted = one.mint(NAME, None)
    other.mint(NAME, None)
    assert one.accepts(minted.secret)
    assert not other.accepts(minted.secret)
