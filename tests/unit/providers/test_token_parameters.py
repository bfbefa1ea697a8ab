"""Further parameters of token requests: audience, resource, and names that are not theirs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from rotator.ports import Accepted, Refused, Rejected
from rotator.providers.oauth.config import ClientOptions
from rotator.providers.oauth.token_endpoint import may_not_ask
from tests.kit.clock import HandClock
from tests.unit.providers import desk

pytestmark = pytest.mark.anyio

RESOURCES = ("https://crm.example", "urn:example:mail")


@pytest.fixture
async def world(clock: HandClock) -> AsyncIterator[desk.Desk]:
    async with desk.running("keycloak", clock, issuer="URL") as running:
        running.itsm.model.discovery = True
        yield running


@pytest.mark.parametrize(
    ("parameters", "given"),
    [
        ({"audience": RESOURCES[0]}, RESOURCES[:1]),
        ({"resource": RESOURCES[0]}, RESOURCES[:1]),
        ({"resource": RESOURCES}, RESOURCES),
    ],
)
@pytest.mark.parametrize("grant", [{}, {"grant": "password", "username": "ada", "password": desk.SECRET}])
async def test_each_token_request_names_them(
    world: desk.Desk, parameters: Any, given: tuple[str, ...], grant: dict[str, Any]
) -> None:
    model = world.itsm.model
    model.change(resources=RESOURCES)
    model.add_user("ada", world.keys.held[desk.SECRET])
    bound = world.bound("oauth-token", parameters=parameters, **grant)
    minted = await bound.mint("r1", None)
    granted = model.grants.find(minted.secret.reveal())
    assert granted
    assert granted.resources == set(given)
    assert await bound.verify(minted.token, minted.secret) == Accepted()


async def test_a_resource_that_the_server_does_not_give_is_refused_for_good(world: desk.Desk) -> None:
    world.itsm.model.change(resources=())
    with pytest.raises(Refused, match="invalid_target, an audience or resource"):
        await world.bound("oauth-token", parameters={"audience": "x"}).mint("r1", None)
    bound = world.bound(parameters={"audience": "x"})
    minted = await bound.mint("r1", world.clock.now() + timedelta(minutes=1))
    verdict = await bound.verify(minted.token, minted.secret)
    assert isinstance(verdict, Rejected)
    assert verdict.final


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        *(({name: "x"}, f"parameters hold no {name}: ") for name in ("grant_type", "client_secret", "scope", "tenant")),
        *(({name: "x"}, f"parameters hold no {name}: ") for name in ("assertion", "refresh_token", "password")),
        ({"a b": "x"}, "parameters name 'a b': no parameter"),
        ({"audience": ""}, "give audience no value"),
        ({"audience": "a\nb"}, "give audience no value"),
        ({"audience": ()}, "give audience no value"),
        ({"audience": ("x", "y")}, "give audience several values"),
        ({"resource": ("https://a.example", "b")}, "name 'b': a resource is"),
        ({"resource": "https://a.example/#x"}, "without a fragment"),
    ],
)
def test_parameters_that_are_not_theirs_to_say_are_refused_by_name(parameters: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ClientOptions(client_id="c", parameters=parameters)


def test_a_refused_request_is_told_that_parameters_may_be_the_reason() -> None:
    """As Ory Hydra 2.3.0 refuses an audience that is not registered for the client."""
    for parameters, told in (({"audience": "x", "resource": "urn:x"}, True), ({}, False)):
        client = ClientOptions(client_id="c", parameters=parameters)
        assert ("`parameters` name (audience, resource)" in may_not_ask(client)) is told
