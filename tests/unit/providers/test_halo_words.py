"""A refusal of Halo CMS is told by its cause, with what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

import pytest

from rotator.ports import MinterRefused, Refused
from rotator.providers.halo_cms.config import HaloPatOptions
from rotator.providers.halo_cms.provider import HaloPat
from rotator.providers.http.auth import Auth, Bearer
from rotator.rotation.secret import Secret
from tests.kit.clock import HandClock
from tests.unit.providers import halo
from tests.unit.providers.halo import ROLE, World

pytestmark = pytest.mark.anyio
NAME = "rotator-lab1-blog-c0ffee-r1-a1"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with halo.running("2.26.0", HandClock()) as running:
        yield running


async def test_halos_400_is_told_by_its_cause(world: World) -> None:
    said = r"would expire at 2020-01-01 00:00:00Z, and it is 2\d{3}-.*: compare the clocks, and see"
    with pytest.raises(Refused, match=said) as late:
        await world.pat().mint(NAME, datetime(2020, 1, 1, tzinfo=UTC))
    assert late.value.remedy == "compare the clocks, and see `lifetime`"
    modest = world.halo.model.mint("minter", name="modest", roles=[ROLE, "role-template-manage-users"])
    site = world.server.minted_by(_bearer(modest))
    with pytest.raises(Refused, match="the minter does not hold role-template-view-plugins: give the minter's user"):
        await HaloPat(site, HaloPatOptions(roles=(ROLE, "role-template-view-plugins"))).mint(NAME, None)


async def test_a_token_that_mints_its_own_successor_and_is_refused_has_a_remedy_of_its_own(world: World) -> None:
    site = world.server.minted_by(_bearer(Secret("pat_no.such.token")))
    with pytest.raises(MinterRefused, match="which mints its own successor, is refused: make one by hand"):
        await site.list_tokens()


def _bearer(secret: Secret) -> Callable[[], Awaitable[Auth]]:
    async def minter() -> Auth:
        return Bearer(secret)

    return minter
