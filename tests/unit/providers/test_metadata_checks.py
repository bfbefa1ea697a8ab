"""What `rotate check` says of settings that a server's own document does not confirm."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from rotator.ports import Refused
from rotator.providers.base import Remark
from tests.kit.clock import HandClock
from tests.unit.providers import desk

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(clock: HandClock) -> AsyncIterator[desk.Desk]:
    async with desk.running("keycloak", clock, issuer="URL") as running:
        running.itsm.model.discovery = True
        yield running


async def audited(world: desk.Desk, kind: str = "oauth-token", **options: Any) -> list[Any]:
    return list(await world.server.audit((world.credential(kind, **options),)))


async def test_check_has_nothing_to_say_of_settings_that_agree(world: desk.Desk) -> None:
    world.itsm.model.says = {"token_endpoint_auth_methods_supported": None}
    assert "key set holds no keys" not in str(await audited(world))
    assert await audited(world) == []


COMPARED = [  # what the document says, settings, words
    pytest.param(
        {"token_endpoint_auth_methods_supported": ["client_secret_basic"]},
        {"signing_key": None},
        "crm: the server does not list client_secret_post among the ways in which a client may prove itself:"
        " client_secret_basic",
        id="method",
    ),
    pytest.param(
        {"token_endpoint_auth_methods_supported": ["tls_client_auth"]},
        {},
        "crm: the server does not list private_key_jwt among the ways",
        id="assertions",
    ),
    pytest.param(
        {"token_endpoint_auth_signing_alg_values_supported": ["ES512", "EdDSA"]},
        {},
        "crm: the server does not list PS256 among the algorithms of assertions: ES512, EdDSA",
        id="algorithm",
    ),
    pytest.param(
        {"token_endpoint_auth_signing_alg_values_supported": ["Ed25519", "PS256"]},
        {"algorithm": "EdDSA"},
        "does not list EdDSA among the algorithms of assertions: Ed25519, PS256; it has the same under another"
        ' name: set algorithm = "Ed25519"',
        id="algorithm by its older name",
    ),
    pytest.param(
        {"token_endpoint_auth_signing_alg_values_supported": ["EdDSA"]},
        {"algorithm": "Ed25519"},
        'under another name: set algorithm = "EdDSA"',
        id="algorithm by its newer name",
    ),
    pytest.param(
        {"grant_types_supported": ["authorization_code"]},
        {},
        "crm: the server does not list the grant client_credentials: authorization_code",
        id="grant",
    ),
    pytest.param(
        {"scopes_supported": ["openid", "read:sales"]},
        {},
        "crm: the server does not list the scope all; a server may know more scopes than it lists",
        id="scope",
    ),
    pytest.param({"scopes_supported": ["openid"]}, {}, "", id="a list of OpenID's scopes alone"),
    pytest.param({"jwks_uri": None}, {}, "", id="no key set"),
]


@pytest.mark.parametrize(("says", "options", "words"), COMPARED)
async def test_check_compares_clients_with_the_document(
    world: desk.Desk, says: dict[str, Any], options: dict[str, Any], words: str
) -> None:
    world.itsm.model.says = says
    found = await audited(world, **options)
    assert len(found) == bool(words)
    assert words in "".join(found)


async def test_check_names_an_address_that_differs_or_is_not_believed(clock: HandClock) -> None:
    named = {"issuer": "URL", "token_url": "URL/auth/token", "introspection_url": "URL/look"}
    async with desk.running("keycloak", clock, **named) as world:
        url = world.itsm.url
        world.itsm.model.discovery = True
        world.itsm.model.says = {
            "token_endpoint": f"{url}/v2/token",
            "introspection_endpoint": f"{url}/look",
            "revocation_endpoint": "https://evil.example/revoke",
            "jwks_uri": f"{url}/nowhere",
            "mtls_endpoint_aliases": {"token_endpoint": "https://mtls.example/token"},
        }
        token, revocation, alias, keys = await audited(world)
    assert token == f"token_url is {url}/auth/token, and the server itself names {url}/v2/token: compare them"
    assert "its revocation_endpoint is at https://evil.example:443, which" in revocation
    assert revocation.endswith("nothing is sent there; if it is right, set revocation_url")
    assert "its token_endpoint is at https://mtls.example:443" in alias
    assert keys.startswith("the server's own key set holds no keys (it answers 404)")


@pytest.mark.parametrize("registers", [True, False])
async def test_a_secret_that_no_registration_changes_is_noted_and_no_warning(world: desk.Desk, registers: bool) -> None:
    world.itsm.model.says = {"registration_endpoint": f"{world.itsm.url}/register" if registers else None}
    found = await world.server.audit(
        tuple(world.credential("oauth-token", signing_key=None, **each) for each in ({}, {"probe": "/api/Status"}))
    )
    notes = [each for each in found if isinstance(each, Remark)]
    assert found == notes
    assert [each.note for each in notes] == [True] * registers
    assert all(each.text.startswith("the client secret of crm, crm is used, and not rotated. A reg") for each in notes)


async def test_check_says_when_the_key_set_cannot_be_read(world: desk.Desk) -> None:
    world.itsm.faults.add("status", status=503, method="GET", path="/auth/jwks")
    (found,) = await audited(world)
    assert found.startswith("the server's own key set cannot be read, who checks its tokens by that refuses them: GET")


@pytest.mark.parametrize(("says", "told"), [({}, 0), ({"issuer": "https://evil.example"}, 1)])
async def test_check_tells_a_lie_though_the_token_endpoint_is_named_and_no_absence(
    clock: HandClock, says: dict[str, Any], told: int
) -> None:
    async with desk.running("keycloak", clock, issuer="URL", token_url="URL/auth/token") as world:
        world.itsm.model.discovery, world.itsm.model.says = bool(says), says
        found = await audited(world)
    assert len(found) == told
    assert all("is that of https://evil.example" in each for each in found)


async def test_check_refuses_where_nobody_knows_the_token_endpoint(world: desk.Desk) -> None:
    world.itsm.model.discovery = False
    with pytest.raises(Refused, match="does not say where its endpoints are"):
        await audited(world)
