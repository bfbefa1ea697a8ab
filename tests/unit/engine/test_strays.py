"""The sweep: strays are revoked, needed tokens stay; an unreadable record protects only its own tokens."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rotator.engine import strays
from rotator.engine.strays import SweepResult, sweep
from rotator.ports import Duplicate, Lease, MinterRefused, Refused, Transient
from rotator.rotation import events as ev
from rotator.rotation.credential import Credential
from rotator.rotation.record import Phase, Record, Token
from rotator.rotation.token_names import mint_name
from tests.unit.engine.world import World
from tests.unit.rotation.builders import credential, record, token

pytestmark = pytest.mark.anyio

LIFE = timedelta(days=30)


class Fleet:
    """Credentials `a` and `b` with records, and tokens of theirs on one target."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.actor = world.actor()
        self.journal = self.actor.journal
        self.credentials = {name: credential(name=name) for name in ("a", "b")}
        self.remembered: dict[str, Record] = {}

    async def knows(self, name: str, rotation: int, phase: Phase = Phase.SETTLED, **changes: Any) -> Record:
        """Write the record of a credential whose last rotation this is, and mint its published token."""
        now = token(rotation, name=mint_name(f"stem-{name}", rotation, 1), id=mint_name(f"stem-{name}", rotation, 1))
        made = record(phase, stem=f"stem-{name}", rotation=rotation, **changes)
        assert made.current
        made = replace(made, current=replace(made.current, token=now))
        self.minted(name, rotation)
        await self.journal.save(await self.journal.load(name), made, Lease())
        return made

    def minted(self, name: str, rotation: int) -> str:
        """A token under the name of a rotation."""
        return self.world.target.mint(mint_name(f"stem-{name}", rotation, 1), None).token.id

    async def sweep(self, *, reap: bool = True) -> SweepResult:
        tokens, end = self.world.target.find("stem-"), self.reap if reap else None
        return await sweep(tokens, self.credentials, self.journal, remembered=self.remembered, reap=end)

    async def reap(self, credential: Credential, token: Token) -> bool:
        return await strays.reap(self.actor.reconciler, credential, self.actor.dependencies, token)

    async def disown(self, name: str, *, journalled: bool, token: str = "x") -> None:
        owner = credential(name=name)
        end = strays.disown(
            self.actor.reconciler, owner, self.actor.dependencies, Token(token), "ada", journalled=journalled
        )
        await end

    @property
    def living(self) -> set[str]:
        return {each.id for each in self.world.target.living()}


@pytest.fixture
def fleet(world: World) -> Fleet:
    return Fleet(world)


async def test_an_older_token_that_no_record_knows_is_revoked_and_the_published_one_is_not(fleet: Fleet) -> None:
    kept = (await fleet.knows("a", 3)).current
    stray = fleet.minted("a", 2)
    swept = await fleet.sweep()
    assert swept.reaped == (stray,)
    assert kept
    assert fleet.living == {kept.token.id}


async def test_a_look_revokes_nothing(fleet: Fleet) -> None:
    await fleet.knows("a", 3)
    stray = fleet.minted("a", 2)
    swept = await fleet.sweep(reap=False)
    assert [each.id for each in swept.strays] == [stray]
    assert swept.reaped == ()
    assert stray in fleet.living


async def test_a_token_newer_than_the_record_is_left_alone(fleet: Fleet) -> None:
    await fleet.knows("a", 3)
    coming = fleet.minted("a", 4)
    assert (await fleet.sweep()).strays == ()
    assert coming in fleet.living


async def test_what_is_remembered_may_clear_a_token_and_never_condemns_one(fleet: Fleet) -> None:
    await fleet.knows("a", 3)
    fleet.remembered["a"] = replace(record(Phase.SETTLED, stem="stem-a", rotation=9), current=None)
    assert (await fleet.sweep()).strays == ()
    fleet.remembered["a"] = record(Phase.SETTLED, stem="stem-a", rotation=1)
    fleet.minted("a", 2)
    assert (await fleet.sweep()).strays == ()  # until the memory is refreshed by the next look


async def test_tokens_of_credentials_that_left_the_settings_are_named_and_stay(fleet: Fleet) -> None:
    await fleet.knows("a", 1)
    orphan = fleet.minted("gone", 1)
    swept = await fleet.sweep()
    assert [each.id for each in swept.unclaimed] == [orphan]
    assert orphan in fleet.living


async def test_a_record_that_cannot_be_read_is_skipped_and_the_next_one_is_swept(fleet: Fleet) -> None:
    await fleet.knows("a", 3)
    await fleet.knows("b", 3)
    stray = fleet.minted("b", 2)
    fleet.world.vault.delete(fleet.journal.place("a"))
    swept = await fleet.sweep()
    assert swept.reaped == (stray,)
    assert "was deleted" in swept.skipped["a"]


async def test_a_stray_that_will_not_go_does_not_shield_the_next_credentials(fleet: Fleet) -> None:
    for name in ("a", "b"):
        await fleet.knows(name, 3)
    stubborn, stray = fleet.minted("a", 2), fleet.minted("b", 2)
    fleet.world.target.fail("revoke", Refused("403"))
    swept = await fleet.sweep()
    assert swept.reaped == (stray,)
    assert swept.skipped == {"a": "403"}
    assert {each.id for each in swept.strays} == {stubborn, stray}


@pytest.mark.parametrize("fault", [Transient("no answer"), MinterRefused("refused")])
async def test_a_target_that_does_not_answer_or_refuses_our_minter_ends_the_sweep(fleet: Fleet, fault) -> None:
    for name in ("a", "b"):
        await fleet.knows(name, 3)
        fleet.minted(name, 2)
    fleet.world.target.fail("revoke", fault)
    with pytest.raises(type(fault)):
        await fleet.sweep()
    assert fleet.world.target.calls.count("revoke") == 1


async def test_a_credential_that_was_never_rotated_claims_nothing(fleet: Fleet) -> None:
    await fleet.knows("a", 1)
    swept = await fleet.sweep()
    assert len(swept.records) == 1
    with pytest.raises(Duplicate):
        fleet.minted("a", 1)


async def test_the_end_of_a_stray_is_journalled_first_and_told(fleet: Fleet) -> None:
    before = await fleet.knows("a", 3)
    stray, place, versions = fleet.minted("a", 2), fleet.journal.place("a"), []
    fleet.actor.hook = lambda label: versions.append((label, fleet.world.vault.get(place).version))
    await fleet.sweep()
    [transition] = fleet.actor.told
    assert (transition.credential.name, transition.event) == ("a", ev.Reaped(transition.event.at, stray))
    assert transition.after == before
    assert ("revoke: sent", 2) in versions, "the lease was claimed by a write before"
    assert (await fleet.journal.load("a")).lease.holder == ""


async def test_strays_of_what_another_actor_works_on_are_left_for_later(fleet: Fleet) -> None:
    made = await fleet.knows("a", 3)
    stray = fleet.minted("a", 2)
    await fleet.journal.save(await fleet.journal.load("a"), made, Lease("host-b", 1))
    swept = await fleet.sweep()
    assert swept.reaped == ()
    assert "host-b" in swept.skipped["a"]
    assert stray in fleet.living


async def test_what_is_barred_ends_nothing(fleet: Fleet) -> None:
    await fleet.knows("a", 3)
    stray = fleet.minted("a", 2)
    fleet.actor.reconciler.barred = lambda: "receipts: the disk is full"
    swept = await fleet.sweep()
    assert "the disk is full; [audit] required = true" in swept.skipped["a"]
    with pytest.raises(Refused, match="the disk is full"):
        await fleet.disown("gone", journalled=False)
    assert stray in fleet.living


@pytest.mark.parametrize("journalled", [True, False])
async def test_what_no_settings_claim_is_ended_and_told(fleet: Fleet, *, journalled: bool) -> None:
    if journalled:
        await fleet.knows("gone", 1)
    token = fleet.minted("gone", 2)
    await fleet.disown("gone", journalled=journalled, token=token)
    [transition] = fleet.actor.told
    assert transition.credential.name == "gone"
    assert "asked by ada" in transition.told.said
    assert token not in fleet.living
    assert ("gone" in await fleet.journal.names()) is journalled
