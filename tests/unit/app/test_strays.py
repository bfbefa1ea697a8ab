"""The end of what nothing accounts for is asked of a kind that knows such tokens."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from rotator.app import strays
from rotator.app.strays import Leftover
from rotator.ports import Refused
from rotator.rotation.credential import Credential, VaultPath
from rotator.rotation.ownership import Owner, TokenState
from rotator.rotation.record import Token
from tests.kit.provider import FakeProvider, Target

pytestmark = pytest.mark.anyio


def _app(**kinds: FakeProvider) -> Any:
    """An actor whose only target has a credential of each of these kinds."""
    named = {name: Credential(name, name, "desk", VaultPath("secret", name)) for name in kinds}
    return SimpleNamespace(
        settings=SimpleNamespace(credentials=named),
        dependencies=lambda credential: SimpleNamespace(provider=kinds[credential.name]),
    )


async def test_a_kind_that_does_not_know_the_token_is_not_asked_to_end_it() -> None:
    def now() -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    other, own = FakeProvider(Target(now)), FakeProvider(Target(now))
    minted = await own.mint("rotator-gone-c0ffee-r1-a1", None)
    left = Leftover("desk", minted.token, Owner(TokenState.STRAY))
    found = await strays._finding(_app(asserts=other, tokens=own), left)
    assert found.name == "tokens"
    with pytest.raises(Refused, match="by hand"):
        await strays._finding(_app(asserts=other), Leftover("desk", Token("x", "x"), Owner(TokenState.STRAY)))
