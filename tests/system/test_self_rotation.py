"""A token that mints its own successor: no minter is kept anywhere, on a real Vault and a Halo."""

from __future__ import annotations

import pytest

from rotator.rotation.secret import Secret
from tests.sandbox.environment import World
from tests.system.daemon import rotate
from tests.system.quick import quick
from tests.system.truth import journal, living

pytestmark = pytest.mark.system

ROLES = ["super-role"]


@pytest.fixture
def adopted(world: World) -> World:
    """A token that was made and published by hand, and taken over."""
    world.minter = {"self": True}
    world.add("bot", roles=ROLES)
    by_hand = world.halo.mint("by-hand", ROLES)
    world.bao.call("POST", f"{world.mount}/data/{world.credentials['bot']['path']}", {"data": {"token": by_hand}})
    ended = rotate(quick(world), "adopt", "bot")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return world


def rotated(world: World, old: Secret, key: str = "token") -> Secret:
    """Rotate as settings are now; the new value is accepted, the old one is dead and nothing is left over."""
    ended = rotate(quick(world), "now", "bot", "--wait")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    new = world.published("bot", key)
    assert world.halo.accepts(new)
    assert not world.halo.accepts(old)
    assert len(living(world, journal(world, "bot")["stem"])) == 1
    return new


def test_it_mints_its_own_successor_and_finds_itself_where_it_was_published_when_settings_have_moved_it(
    adopted: World,
) -> None:
    first = adopted.published("bot")
    second = rotated(adopted, first)
    adopted.credentials["bot"]["key"] = "pat"
    third = rotated(adopted, second, "pat")
    adopted.credentials["bot"]["path"] = "apps/elsewhere/halo"
    rotated(adopted, third, "pat")
