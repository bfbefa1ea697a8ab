"""`/jwks/NAME`: public members of what is kept, for as long as it may be believed, Vault or no Vault."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import anyio
import pytest

from rotator.app.monitoring import Monitoring
from rotator.observe.jwks_endpoint import JwksEndpoint, JwksRoutes, PublicKeySet
from rotator.ports import Transient
from rotator.providers.oauth.config import AssertionKeyOptions
from rotator.rotation.credential import Credential, VaultPath
from rotator.settings import DaemonConfig, Listen, Method, Settings, Status, VaultAuth, VaultConfig
from tests.kit.clock import HandClock
from tests.kit.shelf import HandShelf
from tests.unit.observe.status.loopback import get, serving

pytestmark = pytest.mark.anyio
JWK = {"kty": "EC", "crv": "P-256", "x": "eA", "y": "eQ", "kid": "one", "use": "sig", "alg": "ES256"}


@dataclass
class Actor:
    """As much of an actor as is asked."""

    clock: HandClock
    held: HandShelf = field(default_factory=HandShelf)

    @property
    def settings(self) -> Any:
        options = AssertionKeyOptions(client_id="crm", jwks="secret/public", jwks_cache=timedelta(seconds=300))
        crm = Credential("team/crm", "assertion-key", "desk", VaultPath("s", "crm"), options=options)
        other = Credential("other", "oauth-token", "desk", VaultPath("s", "other"))
        return type("Settings", (), {"credentials": {"team/crm": crm, "other": other}})

    @property
    def secret_resolver(self) -> Any:
        return self

    def document_store(self, path: str) -> HandShelf:
        assert path == "secret/public"
        return self.held

    def put(self, *keys: dict[str, Any]) -> None:
        self.held.put(jwks=json.dumps({"keys": keys, "note": "kept, not shown"}))


@pytest.fixture
def actor() -> Actor:
    return Actor(HandClock())


@pytest.fixture
def jwks_endpoint(actor: Actor) -> JwksEndpoint:
    made = JwksEndpoint()
    made.attend(actor)
    return made


def site(jwks_endpoint: JwksEndpoint) -> JwksRoutes:
    return JwksRoutes(jwks_endpoint.find)


async def test_the_set_is_served_with_its_cache_time_and_public_members_only(
    actor: Actor, jwks_endpoint: JwksEndpoint
) -> None:
    actor.put({**JWK, "rotator": "rotator-lab1-crm", "note": 1}, {"kty": "XYZ", "kid": "two"})
    async with serving(site(jwks_endpoint).respond) as port:
        said = await get(port, "/jwks/team%2Fcrm")
        again = await get(port, "/jwks/team/crm?x=1")
    assert (said.status, said.headers["content-type"]) == (200, "application/jwk-set+json")
    assert said.headers["cache-control"] == "public, max-age=300"
    assert json.loads(said.body) == {"keys": [JWK]}
    assert again.body == said.body


@pytest.mark.parametrize("path", ["/", "/jwks/", "/jwks/other", "/jwks/nobody", "/status.json", "/metrics", "//jwks/x"])
async def test_nothing_else_is_found_there(actor: Actor, jwks_endpoint: JwksEndpoint, path: str) -> None:
    actor.put(JWK)
    async with serving(site(jwks_endpoint).respond) as port:
        said = await get(port, path)
    assert (said.status, said.headers["cache-control"]) == (404, "no-store")


async def test_strangers_cannot_make_us_ask_vault_more_often_than_every_few_seconds(
    actor: Actor, jwks_endpoint: JwksEndpoint
) -> None:
    actor.put(JWK)
    first = await jwks_endpoint.find("team/crm")
    actor.put()
    assert await jwks_endpoint.find("team/crm") == first
    actor.clock.move(5)
    shown = await jwks_endpoint.find("team/crm")
    assert isinstance(shown, PublicKeySet)
    assert json.loads(shown.text) == {"keys": []}


async def test_while_vault_is_away_the_last_known_set_is_shown(actor: Actor, jwks_endpoint: JwksEndpoint) -> None:
    actor.put(JWK)
    known = await jwks_endpoint.find("team/crm")
    actor.clock.move(60)
    actor.held.faults.append(Transient("sealed"))
    assert await jwks_endpoint.find("team/crm") == known


async def test_what_was_never_read_is_unavailable_not_empty(actor: Actor, jwks_endpoint: JwksEndpoint) -> None:
    actor.held.faults.append(Transient("sealed"))
    async with serving(site(jwks_endpoint).respond) as port:
        assert (await get(port, "/jwks/team/crm")).status == 503
    async with serving(site(JwksEndpoint()).respond) as port:
        assert (await get(port, "/jwks/team/crm")).status == 503


async def test_a_private_key_in_the_document_is_never_shown(actor: Actor, jwks_endpoint: JwksEndpoint) -> None:
    actor.put(JWK | {"d": "c2VjcmV0"})
    async with serving(site(jwks_endpoint).respond) as port:
        said = await get(port, "/jwks/team/crm")
    assert said.status == 503
    assert b"c2VjcmV0" not in said.body


async def test_the_daemons_lookout_serves_keys_at_their_own_address_and_nothing_else_there(
    actor: Actor, free_tcp_port: int
) -> None:
    vault = VaultConfig("http://127.0.0.1:1", VaultAuth(Method.TOKEN, ""))
    status = Status(jwks_listen=Listen("127.0.0.1", free_tcp_port))
    monitoring = Monitoring(Settings(vault, DaemonConfig("host-a"), status=status))
    monitoring.jwks_endpoint.attend(actor)
    actor.put(JWK)
    async with anyio.create_task_group() as group:
        await group.start(monitoring.serve)
        said = await get(free_tcp_port, "/jwks/team/crm")
        probe = await get(free_tcp_port, "/livez")
        group.cancel_scope.cancel()
    assert json.loads(said.body) == {"keys": [JWK]}
    assert probe.status == 404
