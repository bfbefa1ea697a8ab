"""How finely a target tells when a value was last used: the provider and the settings must say the same."""

from __future__ import annotations

import pytest

from rotator.providers import KINDS
from tests.kit.clock import HandClock
from tests.sandbox.cms.records import LAST_USED_STEP
from tests.unit.providers import back_office, halo
from tests.unit.providers.back_office import KINDS_HERE

pytestmark = pytest.mark.anyio


async def test_halo_cms_notes_one_use_a_minute(clock: HandClock) -> None:
    async with halo.running("2.26.0", clock) as world:
        can = world.pat().capabilities
    assert can.reports_last_use
    assert can.last_use_resolution == KINDS["halo-pat"].last_use_resolution == LAST_USED_STEP


@pytest.mark.parametrize("kind", KINDS_HERE)
@pytest.mark.parametrize("managed", [True, False])
async def test_the_application_api_tells_the_day_of_an_api_key(clock: HandClock, kind: str, managed: bool) -> None:
    async with back_office.running(clock, kind, manage_applications=managed) as office:
        can = office.bound(kind).capabilities
    assert can.reports_last_use is (managed and kind == "halo-api-key")
    assert not can.reports_last_use or can.last_use_resolution == KINDS[kind].last_use_resolution


def test_who_tells_no_last_use_says_so_to_the_settings() -> None:
    assert {name for name, kind in KINDS.items() if kind.last_use_resolution is not None} == {
        "halo-pat",
        "halo-api-key",
    }
