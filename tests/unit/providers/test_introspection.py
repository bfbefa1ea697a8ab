"""Introspection of access tokens (RFC 7662), where the probe does not tell whether one is dead."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from rotator.ports import Accepted
from tests.kit.clock import HandClock
from tests.unit.providers import desk

pytestmark = pytest.mark.anyio

AT = "/auth/revoke"
SILENT = {"revocation_url": AT, "introspection_url": "/auth/introspect"}


@pytest.fixture
async def silent(clock: HandClock) -> AsyncIterator[desk.Desk]:
    """A server whose resource server is in trouble, so that the probe tells nothing from now on."""
    async with desk.running("keycloak", clock, **SILENT) as running:
        yield running


async def in_trouble(world: desk.Desk) -> tuple[Any, Any]:
    """The provider and a revoked token, once the published one was seen to be accepted and the probe tells nothing."""
    provider = world.bound("oauth-token")
    old, new = await provider.mint("r1", None), await provider.mint("r2", None)
    assert (await provider.verify(new.token, new.secret)) == Accepted()
    await provider.revoke(old.token, old.secret)
    world.itsm.faults.add("status", path="/api/", status=502, times=None)
    return provider, old


async def test_where_the_probe_does_not_tell_the_server_is_asked(silent: desk.Desk) -> None:
    provider, old = await in_trouble(silent)
    assert await provider.is_dead(old.token, old.secret) is True


async def test_what_the_server_calls_active_is_alive(silent: desk.Desk) -> None:
    silent.itsm.model.change(revocation="nothing")
    provider, old = await in_trouble(silent)
    assert await provider.is_dead(old.token, old.secret) is False


@pytest.mark.parametrize("word", ["everything", "nothing"])
async def test_a_server_that_says_the_same_of_every_token_is_not_believed(silent: desk.Desk, word: str) -> None:
    provider, old = await in_trouble(silent)
    silent.itsm.model.change(introspection=word)
    assert await provider.is_dead(old.token, old.secret) is None


async def test_without_a_living_one_to_compare_with_nothing_is_believed(silent: desk.Desk) -> None:
    provider = silent.bound("oauth-token")
    old = await provider.mint("r1", None)
    await provider.revoke(old.token, old.secret)
    silent.itsm.faults.add("status", path="/api/", status=502, times=None)
    assert await provider.is_dead(old.token, old.secret) is None


async def test_the_published_one_is_not_compared_with_itself(silent: desk.Desk) -> None:
    provider = silent.bound("oauth-token")
    made = await provider.mint("r1", None)
    assert (await provider.verify(made.token, made.secret)) == Accepted()
    silent.itsm.faults.add("status", path="/api/", status=502, times=None)
    assert await provider.is_dead(made.token, made.secret) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, []),
        ({"introspection": "everything"}, ["calls a token active that nobody has"]),
        ({"revocation_refused": "unauthorized_client"}, ["end by their date: the revocation endpoint answers 400"]),
    ],
)
async def test_check_tries_both_endpoints_with_an_invented_token(
    silent: desk.Desk, change: dict[str, Any], said: list[str]
) -> None:
    silent.itsm.model.change(**change)
    made = await silent.bound("oauth-token").mint("r1", None)
    found = await silent.server.audit((silent.credential("oauth-token"),))
    assert len(found) == len(said)
    assert all(word in text for word, text in zip(said, found, strict=True))
    assert silent.itsm.model.accepts_token(made.secret)


async def test_an_answer_that_tells_nothing_is_told(silent: desk.Desk) -> None:
    silent.itsm.model.change(introspection="silence")
    [text] = await silent.server.audit((silent.credential("oauth-token"),))
    assert text == "the introspection endpoint's answer has no `active`: is introspection_url right?"
