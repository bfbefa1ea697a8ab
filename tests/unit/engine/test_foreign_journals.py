"""A restored Vault, or a copy beside the original: all of the target is held until a claim, and nothing ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.engine.circuit_breakers import Guard
from rotator.engine.reconciler import ReconcileResult
from rotator.ports import Accepted, Refused
from rotator.rotation.procedures import operators
from rotator.rotation.record import HoldReason, Phase
from rotator.rotation.rotation_request import RotationRequest
from rotator.rotation.token_names import mint_name
from tests.kit.provider import When
from tests.unit.engine.world import JOURNAL, PLACE, Actor, World

pytestmark = pytest.mark.anyio


def rounds_of(actor: Actor, world: World) -> Guard:
    async def control(wanted: object) -> None:
        pass

    async def listing(wanted: object):
        return world.target.find("rotator-")

    return Guard(
        reconciler=actor.reconciler,
        dependencies=lambda wanted: actor.dependencies,
        clock=world.clock,
        unforeseen=lambda name, bug: None,
        troubled=lambda wanted, reason: None,
        control=control,
        minter=lambda wanted: wanted.target,
        listing=listing,
    )


async def attended(actor: Actor, guard: Guard, ask: RotationRequest | None = None) -> ReconcileResult:
    """Two looks: the first lists the target."""
    await guard.attend(actor.credential, ask)
    return await guard.attend(actor.credential, ask)


async def restored(world: World) -> None:
    """Vault goes back to the first rotation, and the target knows the second."""
    actor = world.actor()
    world.skew = timedelta()
    await actor.reconcile()
    before = world.vault.get(JOURNAL).values, world.vault.get(PLACE).values
    world.clock.move(3600)
    await actor.reconcile(RotationRequest(world.clock.now(), "ada"))
    world.clock.move(7200)
    await actor.reconcile()
    for place, values in zip((JOURNAL, PLACE), before, strict=True):
        world.vault.overwrite(place, values or {})
    world.clock.move(3600)


async def test_a_later_number_holds_and_nothing_is_minted_or_ended(world: World) -> None:
    await restored(world)
    actor = world.actor("host-b")
    alive = world.target.living()
    seen = await attended(actor, rounds_of(actor, world), RotationRequest(world.clock.now(), "ada"))
    assert seen.record
    assert seen.record.held
    assert seen.record.held.reason is HoldReason.TWO_VAULTS
    assert "restored" in seen.record.held.text
    assert "`rotate claim`" in seen.record.held.text
    assert world.target.living() == alive


async def test_a_lower_number_made_long_after_ours_holds_and_is_not_ended_as_a_stray(world: World) -> None:
    """The other side of a copy rotates more slowly, and its consumers read that token."""
    actor = world.actor()
    world.skew = timedelta()
    await actor.reconcile()
    for _ in range(2):
        world.clock.move(3600)
        await actor.reconcile(RotationRequest(world.clock.now(), "ada"))
        world.clock.move(7200)
        await actor.reconcile()
    theirs = world.target.mint(f"{(await world.record()).stem}-r2-a7", None)
    seen = await attended(actor, rounds_of(actor, world), RotationRequest(world.clock.now(), "ada"))
    assert seen.record
    assert seen.record.held
    assert seen.record.held.reason is HoldReason.TWO_VAULTS
    assert "with an earlier number than what we published" in seen.record.held.text
    assert world.target.accepts(theirs.secret)


async def test_everything_else_at_that_target_is_held_too_and_a_release_does_not_help(world: World) -> None:
    await restored(world)
    actor = world.actor("host-b")
    guard = rounds_of(actor, world)
    await attended(actor, guard)
    other = replace(actor.credential, name="blog/other", place=PLACE._replace(path="blog/other"))
    seen = await guard.attend(other, None)
    assert seen.record
    assert seen.record.held
    assert seen.record.held.reason is HoldReason.TWO_VAULTS
    await actor.reconciler.obey(actor.credential, actor.dependencies, operators.release("ada"))
    seen = await guard.attend(actor.credential, None)
    assert seen.record
    assert seen.record.held


async def test_a_claim_begins_new_names_and_what_lives_under_the_old_ones_is_left(world: World) -> None:
    await restored(world)
    actor, second = world.actor("host-b"), world.actor("host-c")
    guard, elsewhere = rounds_of(actor, world), rounds_of(second, world)
    await attended(actor, guard)
    await attended(second, elsewhere)
    await actor.reconciler.obey(actor.credential, actor.dependencies, operators.claim("ada", "l2"))
    world.clock.move(60)
    await attended(actor, guard, RotationRequest(world.clock.now(), "ada"))
    record = await world.record()
    assert record.current
    assert record.current.token.name == mint_name(record.stem, record.rotation, 1)
    assert record.stem.endswith("-l2")
    assert world.healthy
    assert any(token.name.endswith("-l1-r2-a1") for token in world.target.living())
    seen = await elsewhere.attend(second.credential, None)  # a process that was not asked knows by the record
    assert seen.record
    assert seen.record.phase is not Phase.HELD


async def test_a_name_taken_before_we_asked_is_anothers_and_is_not_burned(world: World) -> None:
    actor = world.actor()
    world.skew = timedelta()
    await actor.reconcile()
    stem = (await world.record()).stem
    world.clock.move(3600)
    theirs = world.target.mint(mint_name(stem, 2, 1), None).token
    world.clock.move(3600)
    await actor.reconcile(RotationRequest(world.clock.now(), "ada"))
    record = await world.record()
    assert record.held
    assert (record.held.reason, record.held.state.phase) == (HoldReason.TWO_VAULTS, Phase.REQUESTED)
    assert theirs in world.target.living()


async def test_a_name_whose_token_was_used_is_anothers_however_new_it_is(world: World) -> None:
    """A mint of ours whose answer was lost lost its value, too: nobody can have used it."""
    actor = world.actor()
    await actor.reconcile()
    world.clock.move(60)
    world.target.fail("mint")
    await actor.reconcile(RotationRequest(world.clock.now(), "ada"))
    theirs = world.target.mint(mint_name((await world.record()).stem, 2, 1), None)
    assert isinstance(await actor.dependencies.provider.verify(theirs.token, theirs.secret), Accepted)
    for _ in range(4):
        world.clock.move(3600)
        await actor.reconcile()
    record = await world.record()
    assert record.held
    assert record.held.reason is HoldReason.TWO_VAULTS
    assert "was used before we had its value" in record.held.text
    assert theirs.token in world.target.living()


async def test_a_late_mint_of_our_own_is_burned_as_ever(world: World) -> None:
    actor = world.actor()
    world.skew = timedelta()
    await actor.reconcile()
    world.clock.move(3600)
    world.target.fail("mint", when=When.LATE)
    await actor.reconcile(RotationRequest(world.clock.now(), "ada"))
    world.target.land()
    for _ in range(4):
        world.clock.move(3600)
        await actor.reconcile()
    record = await world.record()
    assert record.held is None
    assert world.healthy
    assert len(world.target.living()) == 1


async def test_another_replica_that_was_faster_than_our_listing_is_no_evidence(world: World) -> None:
    one, two = world.actor(), world.actor("host-b")
    await one.reconcile()
    guard = rounds_of(one, world)
    await attended(one, guard)
    old = await world.record()
    world.clock.move(60)
    await two.reconcile(RotationRequest(world.clock.now(), "ada"))
    read_at = world.clock.monotonic()
    world.clock.move(1)
    guard.others.take("blog", world.target.find("rotator-"))
    assert guard.others.objection(one.credential, old, read_at) is None
    assert (await attended(one, guard)).record == await world.record()


async def test_who_only_looks_never_acts(world: World) -> None:
    await world.actor().reconcile()
    copy = world.actor("host-b")
    copy.reconciler.only_looks = "this is a copy"
    written = list(world.vault.history)
    world.clock.move(timedelta(days=40))
    seen = await copy.reconcile(RotationRequest(world.clock.now(), "ada"))
    assert seen.wait.reason == "this is a copy"
    with pytest.raises(Refused, match="this is a copy"):
        await copy.reconciler.obey(copy.credential, copy.dependencies, operators.release("ada"))
    assert world.vault.history == written
