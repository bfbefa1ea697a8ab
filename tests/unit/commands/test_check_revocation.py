"""`rotate check` on a server that revokes: what becomes of the published value when a disposable one ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from rotator.commands.remedies import CLIENT
from rotator.commands.verify import Trial, show_published
from rotator.ports import Document, Installation, Minted, Transient
from rotator.rotation.phases import Phase
from rotator.vault.fitness import FindingLevel
from tests.kit.clock import HandClock
from tests.unit.providers import desk
from tests.unit.rotation.builders import published, record

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(clock: HandClock) -> AsyncIterator[desk.Desk]:
    async with desk.running("keycloak", clock, revocation_url="/auth/revoke") as running:
        yield running


def actor_of(world: desk.Desk, held: Minted, *, away: bool = False) -> Any:
    """Reads this published value."""
    provider = world.bound("oauth-token")

    async def load(name: str) -> Any:
        if away:
            raise Transient("sealed")
        return SimpleNamespace(record=record(Phase.SETTLED, rotation=1, current=published(1, token=held.token)))

    async def read(place: Any, *, version: int | None) -> Document:
        return Document(1, {"token": held.secret.reveal()})

    return SimpleNamespace(
        dependencies=lambda each: SimpleNamespace(provider=provider),
        server=lambda each: world.server,
        installation=Installation("home", b"key"),
        clock=world.clock,
        journal=SimpleNamespace(load=load),
        kv=SimpleNamespace(read=read),
        settings=SimpleNamespace(
            daemon=SimpleNamespace(read_only=False), targets={"desk": SimpleNamespace(minter=None)}
        ),
    )


async def found(world: desk.Desk, held: Minted, *, away: bool = False) -> dict[str, tuple[FindingLevel, str]]:
    """The findings of a trial beside this published value, by verb."""
    rows = [row async for row in Trial(actor_of(world, held, away=away), world.credential("oauth-token")).run()]
    return {row.subject.removeprefix("target desk: ").removesuffix(" (crm)"): (row.level, row.text) for row in rows}


async def test_what_is_published_lives_on(world: desk.Desk) -> None:
    rows = await found(world, await world.bound("oauth-token").mint("r1", None))
    assert rows["revoke"] == (FindingLevel.OK, "revocation: done")
    assert rows["prove dead"][0] is FindingLevel.OK
    assert rows["others"] == (FindingLevel.OK, "what is published lives on")
    assert rows["clean up"] == (FindingLevel.OK, "nothing is left")


async def test_a_server_that_ends_it_as_well_is_told(world: desk.Desk) -> None:
    held = await world.bound("oauth-token").mint("r1", None)
    world.itsm.model.change(revocation="family")
    level, text = (await found(world, held))["others"]
    assert level is FindingLevel.REFUSAL
    assert text.startswith("the end of the disposable token has ended what is published as well")


async def test_a_server_that_ends_nothing_is_told(world: desk.Desk) -> None:
    held = await world.bound("oauth-token").mint("r1", None)
    world.itsm.model.change(revocation="nothing")
    rows = await found(world, held)
    assert rows["revoke"][0] is FindingLevel.OK
    assert rows["prove dead"] == (FindingLevel.REFUSAL, "the revoked token is not proven dead")
    assert rows["others"][0] is FindingLevel.OK


async def test_a_vault_that_does_not_answer_is_no_fault_of_the_mint(world: desk.Desk) -> None:
    held = await world.bound("oauth-token").mint("r1", None)
    rows = await found(world, held, away=True)
    assert rows["others"][1].startswith("sealed")
    assert rows["mint"][0] is FindingLevel.OK


@pytest.mark.parametrize("expired", [True, False])
async def test_of_a_published_value_that_has_expired_the_rotation_is_the_remedy(
    world: desk.Desk, expired: bool
) -> None:
    world.itsm.model.token_life = timedelta(hours=2)
    held = await world.bound("oauth-token").mint("r1", None)
    world.clock.move(7200 if expired else 0)
    world.itsm.model.grants.end(held.secret.reveal())
    row = (await show_published(actor_of(world, held), world.credential("oauth-token")))[0]
    assert row.level is FindingLevel.REFUSAL
    assert row.remedy == ("`rotate now crm`; does the daemon run?" if expired else CLIENT)
