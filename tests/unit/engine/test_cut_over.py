"""Whole rotations of values that are made here: over the old one, beside it, or by the hands of a person."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rotator.engine.context import SuppliedValue
from rotator.ports import Transient
from rotator.rotation.credential import Limits, Retirement
from rotator.rotation.record import HoldReason, Phase, Trigger
from rotator.rotation.rotation_request import RotationRequest
from rotator.rotation.secret import Secret
from tests.kit.slots import END, PASTE, PRESS, SlotProvider, Slots
from tests.unit.engine.world import PLACE, SLOT, Actor, Crash, World, crash_at

pytestmark = pytest.mark.anyio

ROTATED = ["Requested", "Staged", "Installed", "Verified", "Published", "Condemned", "Retired", "Swept"]
SETTLE, HOURS = timedelta(seconds=10), timedelta(hours=1)


class Cut:
    """A world whose target keeps `number` values; actors share it."""

    def __init__(self, world: World, number: int = 1, person: str = "") -> None:
        self.world = world
        self.person = person
        self.target = Slots(world.clock.now, number)

    def actor(self, holder: str = "host-a", **changes: Any) -> Actor:
        made = self.world.actor(holder, retire=Retirement(after=timedelta(0)), lifetime=None, **changes)

        async def pause(label: str) -> None:
            made.hook(label)

        made.dependencies = replace(made.dependencies, provider=SlotProvider(self.target, pause, self.person))
        return made

    @property
    def agreed(self) -> bool:
        """Whether consumers hold a value that the target accepts."""
        secret = self.world.consumer.secret("token")
        return secret is not None and self.target.accepts(secret)

    async def rotated(self, actor: Actor) -> None:
        """One more rotation, with the waits it asks for."""
        self.world.clock.move(1)
        wish = RotationRequest(self.world.clock.now(), "ada")
        for _ in range(4):
            await actor.reconcile(wish)
            self.world.clock.move(11)


async def test_the_only_value_is_replaced_published_and_the_old_one_proven_dead(world: World) -> None:
    cut = Cut(world)
    one = cut.actor()
    await cut.rotated(one)
    one.told.clear()
    await cut.rotated(one)
    assert one.events == ROTATED
    assert "its value is refused" in one.told[-2].event.proof  # type: ignore[union-attr]  # it is a Retired
    assert cut.agreed
    assert not world.vault.get(SLOT).values


async def test_what_the_target_does_not_accept_is_taken_back_and_the_old_value_serves_again(world: World) -> None:
    cut = Cut(world)
    one = cut.actor(limits=Limits(settle=timedelta(0)))
    await cut.rotated(one)
    before = world.consumer.secret("token")
    cut.target.refuses = True
    one.told.clear()
    world.clock.move(1)
    await one.reconcile(RotationRequest(world.clock.now(), "ada"))
    assert one.events[:5] == ["Requested", "Staged", "Installed", "CandidateRejected", "Burned"]
    assert one.events[5:] == ROTATED[1:]  # the next attempt went through
    assert cut.agreed
    assert not cut.target.accepts(before)


async def test_the_old_value_is_back_before_anything_else_is_tried(world: World) -> None:
    cut = Cut(world)
    one = cut.actor(limits=Limits(mints_per_rotation=1, settle=timedelta(0)))
    await cut.rotated(one)
    cut.target.refuses = True
    world.clock.move(1)
    await one.reconcile(RotationRequest(world.clock.now(), "ada"))
    record = await world.record()
    assert record.phase is Phase.SETTLED
    assert record.failure
    assert record.cut_over_at is None
    assert cut.agreed


async def test_a_target_that_takes_no_value_twice_gets_a_new_one(world: World) -> None:
    cut = Cut(world)
    one = cut.actor(limits=Limits(settle=timedelta(0)))
    await cut.rotated(one)
    cut.target.refuses = cut.target.remembers = True
    one.told.clear()
    world.clock.move(1)
    for _ in range(5):
        await one.reconcile(RotationRequest(world.clock.now(), "ada"))
        world.clock.move(31)
    assert one.events[:8] == ["Requested", "Staged", "Installed", "CandidateRejected", *["Faulted"] * 4]
    assert one.events[8:] == ["Burned", *ROTATED[1:]]
    assert "used before" in one.told[8].event.lost  # type: ignore[union-attr]  # it is a Burned
    assert cut.agreed


async def test_when_no_attempt_is_left_the_next_rotation_is_due_although_nobody_asks(world: World) -> None:
    cut = Cut(world)
    one = cut.actor(limits=Limits(mints_per_rotation=1, settle=timedelta(0)))
    await cut.rotated(one)
    cut.target.refuses = cut.target.remembers = True
    world.clock.move(1)
    for wish in (RotationRequest(world.clock.now(), "ada"), *[None] * 6):
        await one.reconcile(wish)
        world.clock.move(60)
    record = await world.record()
    assert (record.rotation, record.why, record.phase) == (3, Trigger.REFUSED, Phase.SETTLED)
    assert cut.agreed


async def test_a_cut_over_does_not_wait_for_clocks_that_disagree_about_when_the_target_was_told(world: World) -> None:
    cut = Cut(world)
    one = cut.actor()
    await cut.rotated(one)
    cut.target.refuses = True
    world.skew = timedelta(hours=1)
    world.clock.move(1)
    one.told.clear()
    await one.reconcile(RotationRequest(world.clock.now(), "ada"))
    world.clock.move(11)
    await one.reconcile()
    assert one.events[:6] == ["Requested", "Staged", "Installed", "Faulted", "CandidateRejected", "Burned"]


async def test_an_install_that_was_refused_outright_leaves_the_old_value_alone(world: World) -> None:
    cut = Cut(world)
    one = cut.actor(limits=Limits(mints_per_rotation=1))
    await cut.rotated(one)
    provider = one.dependencies.provider
    assert isinstance(provider, SlotProvider)
    provider.person = "install"
    world.clock.move(1)
    await one.reconcile(RotationRequest(world.clock.now(), "ada"))
    assert (await world.record()).phase is Phase.AWAITING
    assert cut.target.installs == 1
    assert cut.agreed


async def test_a_foreign_value_on_the_consumer_path_stops_it_before_consumers_are_cut_off(world: World) -> None:
    cut = Cut(world)
    one = cut.actor()
    await cut.rotated(one)

    def meddle(label: str) -> None:
        if label == f"after write {SLOT}":
            world.vault.put(PLACE, {"token": "a person's"}, cas=world.consumer.version)

    one.hook = meddle
    world.clock.move(1)
    await one.reconcile(RotationRequest(world.clock.now(), "ada"))
    record = await world.record()
    assert record.held
    assert record.held.reason is HoldReason.FOREIGN_WRITE
    assert cut.target.installs == 1


@pytest.mark.parametrize("label", ["install: sent", "install: done", "verify: sent", f"before write {PLACE}"])
async def test_a_process_that_dies_in_the_cut_over_is_followed_by_one_that_ends_it(world: World, label: str) -> None:
    cut = Cut(world)
    one, two = cut.actor(), cut.actor("host-b")
    await cut.rotated(one)
    crash = crash_at(label)
    one.hook = lambda here: crash(here) if cut.target.made == 2 else None  # not in the look at what is renewed
    world.clock.move(1)
    with pytest.raises(Crash):
        await one.reconcile(RotationRequest(world.clock.now(), "ada"))
    await two.reconcile()
    world.clock.move(40)
    for _ in range(3):
        await two.reconcile()
        world.clock.move(11)
    assert two.events[-len(ROTATED) + 4 :] == ROTATED[4:]
    assert (await world.record()).phase is Phase.SETTLED
    assert cut.agreed
    assert cut.target.made == 2


async def test_slots_take_turns_and_the_published_one_is_never_written_over(world: World) -> None:
    cut = Cut(world, number=2)
    one = cut.actor()
    seen = set()
    for _ in range(4):
        await cut.rotated(one)
        assert cut.agreed
        record = await world.record()
        assert record.current
        seen.add(record.current.token.serial)
        assert record.phase is Phase.SETTLED
    assert seen == {"1", "2"}
    assert sum(value.reveal().startswith("discarded") for value in cut.target.kept.values()) == 1


async def test_beside_the_old_value_nobody_is_cut_off_and_caches_get_their_time(world: World) -> None:
    cut = Cut(world, number=2)
    one = cut.actor(limits=Limits(settle=SETTLE))
    await cut.rotated(one)
    world.clock.move(1)
    seen = await one.reconcile(RotationRequest(world.clock.now(), "ada"))
    assert one.events[-1] == "Installed"
    assert seen.wait.until == world.clock.now() + SETTLE
    assert cut.agreed
    assert (await world.record()).cut_over_at is None


async def test_a_person_enters_the_value_and_it_goes_on_by_itself(world: World) -> None:
    cut = Cut(world, person="install")
    one = cut.actor()
    seen = await one.reconcile()
    assert seen.wait.reason == f"waits for a person: {PASTE}"
    record = await world.record()
    assert record.candidate
    world.clock.move(61)
    await one.reconcile()
    assert one.events[-1] == "Polled"
    cut.target.kept["1"] = Secret(f"slot-canary-{record.mint_name}")
    world.clock.move(61)
    await one.reconcile()
    assert one.events[-3:] == ["Verified", "Published", "Swept"]
    assert cut.agreed
    assert record.mints == (await world.record()).mints


async def test_a_person_is_reminded_once_a_day_whether_they_have_to_enter_a_value_or_to_bring_one(world: World) -> None:
    for person, text in (("install", PASTE), ("value", PRESS)):
        other = World()
        one = Cut(other, person=person).actor()
        seen = await one.reconcile()
        for _ in range(3000):
            other.clock.move(timedelta(minutes=1))
            if seen.wait.until and seen.wait.until <= other.clock.now():
                seen = await one.reconcile()
        assert one.events.count("Reminded") == 2
        assert one.told[-1].after.awaiting == text
        assert len((await other.record()).mints) <= 1


async def test_what_settings_allow_by_now_is_done_without_the_person(world: World) -> None:
    for person in ("install", "value"):
        other = World()
        cut = Cut(other, person=person)
        one = cut.actor(limits=Limits(settle=timedelta(0)))
        await one.reconcile()
        provider = one.dependencies.provider
        assert isinstance(provider, SlotProvider)
        provider.person = ""
        for _ in range(3):
            other.clock.move(timedelta(hours=25))
            await one.reconcile()
        assert (await other.record()).phase is Phase.SETTLED
        assert cut.agreed


async def test_the_old_value_is_put_back_by_a_person_when_only_they_can(world: World) -> None:
    cut = Cut(world)
    one = cut.actor(limits=Limits(mints_per_rotation=1, settle=timedelta(0)))
    await cut.rotated(one)
    provider = one.dependencies.provider
    assert isinstance(provider, SlotProvider)
    cut.target.refuses = True
    one.hook = lambda label: setattr(provider, "person", "install") if label == "install: done" else None
    world.clock.move(1)
    await one.reconcile(RotationRequest(world.clock.now(), "ada"))
    record = await world.record()
    assert record.held
    assert (record.held.reason, record.held.text) == (HoldReason.PERSON, f"{PASTE}; then `rotate release blog/bot`")


async def test_nothing_is_given_up_while_the_old_value_cannot_be_proven(world: World) -> None:
    cut = Cut(world)
    one = cut.actor(limits=Limits(mints_per_rotation=1, settle=timedelta(0)))
    await cut.rotated(one)
    cut.target.refuses = True
    silent: list[str] = []

    def hook(label: str) -> None:
        if label == "install: done":
            silent.append(label)
        elif label == "install: sent" and silent:
            raise Transient("no answer")

    one.hook = hook
    world.clock.move(1)
    await one.reconcile(RotationRequest(world.clock.now(), "ada"))
    record = await world.record()
    assert record.phase is Phase.REJECTED
    assert record.failure
    assert record.failure.step == "burn"
    one.hook = lambda label: None
    world.clock.move(HOURS)
    await one.reconcile()
    assert (await world.record()).phase is Phase.SETTLED
    assert cut.agreed


async def test_when_vault_has_lost_the_old_value_a_person_is_called(world: World) -> None:
    cut = Cut(world)
    one = cut.actor(limits=Limits(mints_per_rotation=1, settle=timedelta(0)))
    await cut.rotated(one)
    version = world.consumer.version
    cut.target.refuses = True

    def hook(label: str) -> None:
        if label == "install: done":
            world.vault.destroy(PLACE, (version,))

    one.hook = hook
    world.clock.move(1)
    await one.reconcile(RotationRequest(world.clock.now(), "ada"))
    record = await world.record()
    assert record.held
    assert "cannot be put back" in record.held.text


async def supplied(actor: Actor, text: str) -> SuppliedValue:
    """A person hands a value over."""
    value = SuppliedValue(Secret(text))
    await actor.reconciler.reconcile(actor.credential, actor.dependencies, None, value)
    return value


async def test_a_value_that_a_person_brings_ends_when_they_say(world: World) -> None:
    """What it was thought to live for were the settings' `lifetime`, whatever the person saw at the target."""
    cut, ends = Cut(world, person="value"), world.clock.now() + timedelta(days=90)
    one = cut.actor()
    await one.reconcile()
    cut.target.kept["1"] = Secret("slot-canary-of-ada")
    value = SuppliedValue(Secret("slot-canary-of-ada"), expires_at=ends)
    await one.reconciler.reconcile(one.credential, one.dependencies, None, value)
    current = (await world.record()).current
    assert current
    assert current.token.expires_at == ends


async def test_a_value_that_a_person_brings_is_proven_and_published(world: World) -> None:
    cut = Cut(world, person="value")
    one = cut.actor()
    await one.reconcile()
    assert (await world.record()).awaiting == PRESS
    cut.target.kept["1"] = Secret("slot-canary-of-ada")
    value = await supplied(one, "slot-canary-of-ada")
    assert value.taken
    assert one.events[2:] == ["NotMinted", "Staged", "Verified", "Published", "Swept"]
    assert cut.agreed


async def test_a_value_that_the_target_refuses_is_asked_for_again_and_the_old_one_stays(world: World) -> None:
    cut = Cut(world, person="value")
    one = cut.actor(limits=Limits(settle=timedelta(0)))
    cut.target.kept["1"] = Secret("slot-canary-of-ada")
    await one.reconcile()
    await supplied(one, "slot-canary-of-ada")
    world.clock.move(1)
    await one.reconcile(RotationRequest(world.clock.now(), "ada"))
    one.told.clear()
    world.clock.move(1)
    for _ in range(5):  # as often as it takes: what a person brings is no mint of ours
        await supplied(one, "slot-canary-mistyped")
        assert one.events == ["NotMinted", "Staged", "CandidateRejected", "Burned", "Awaited"]
        one.told.clear()
    record = await world.record()
    assert record.failure
    assert record.failure.reason == "invalid_client"
    assert cut.agreed
    assert cut.target.installs == 0


async def test_a_value_is_used_once_and_one_that_cannot_be_used_is_refused_in_words(world: World) -> None:
    one = Cut(world, person="value").actor()
    await one.reconcile()
    await supplied(one, "canary-unusable")
    record = await world.record()
    assert record.failure
    assert record.failure.reason == "not a key"


async def test_a_kind_that_mints_for_itself_takes_no_value(world: World) -> None:
    one = world.actor()
    value = SuppliedValue(Secret("canary-brought-in-vain"))
    await one.reconciler.reconcile(one.credential, one.dependencies, None, value)
    record = await world.record()
    assert record.failure
    assert record.failure.reason == "this kind takes no value from a person"
    assert not world.target.issued


async def test_what_only_a_person_can_end_is_left_to_them_and_proven_dead(world: World) -> None:
    cut = Cut(world, number=2)
    one = cut.actor(limits=Limits(settle=timedelta(0)))
    await cut.rotated(one)
    first = world.consumer.secret("token")
    assert first
    provider = one.dependencies.provider
    assert isinstance(provider, SlotProvider)
    provider.person = "end"
    world.clock.move(1)
    seen = await one.reconcile(RotationRequest(world.clock.now(), "ada"))
    record = await world.record()
    assert record.phase is Phase.SETTLED
    assert [END in each.to_do for each in record.unended] == [True]
    assert seen.wait.until
    world.clock.move(seen.wait.until - world.clock.now())
    cut.target.kept = {slot: value for slot, value in cut.target.kept.items() if not value.matches(first)}
    await one.reconcile()
    record = await world.record()
    assert record.unended == ()
    assert "ended by a person" in record.evidence


async def test_an_old_value_that_caches_still_know_is_waited_for_without_a_fault(world: World) -> None:
    cut = Cut(world, number=2)
    one = cut.actor(limits=Limits(settle=SETTLE))
    await cut.rotated(one)
    provider = one.dependencies.provider
    assert isinstance(provider, SlotProvider)
    provider.lazy = True
    one.told.clear()
    world.clock.move(1)
    await one.reconcile(RotationRequest(world.clock.now(), "ada"))
    world.clock.move(11)
    seen = await one.reconcile()
    assert one.events[-2:] == ["Condemned", "Deferred"]
    assert seen.wait.until == world.clock.now() + SETTLE
    provider.lazy = False
    world.clock.move(SETTLE)
    await one.reconcile()
    assert "Faulted" not in one.events
    assert (await world.record()).phase is Phase.SETTLED
