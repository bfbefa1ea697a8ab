"""How clients prove themselves: by every algorithm of a key, by a secret that signs; servers accept and refuse."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from rotator.ports import Accepted, Outcome, Refused, Rejected, UnusableKey
from rotator.providers.keys.algorithms import ASYMMETRIC, Algorithm
from rotator.providers.keys.signing import public_key
from rotator.rotation.secret import Secret
from tests.kit.clock import HandClock
from tests.unit.providers import desk
from tests.unit.providers.keys import key_for, private_pem, public_pem

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(clock: HandClock) -> AsyncIterator[desk.Desk]:
    async with desk.running("keycloak", clock) as running:
        yield running


async def proof(world: desk.Desk, **options: Any) -> Any:
    bound = world.bound(**options)
    minted = await bound.mint("r1", world.clock.now() + timedelta(seconds=60))
    return await bound.verify(minted.token, minted.secret)


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
async def test_every_algorithm_is_accepted_by_one_server_and_refused_in_words_by_another(
    world: desk.Desk, algorithm: Algorithm
) -> None:
    world.keys.held[desk.KEY] = private_pem(key_for(algorithm))
    world.client.public_key = public_pem(key_for(algorithm))
    world.client.kid = public_key(world.client.public_key).thumbprint
    assert await proof(world, algorithm=algorithm) == Accepted()
    world.itsm.model.change(algorithms=tuple(each for each in ASYMMETRIC if each != algorithm))
    verdict = await proof(world, algorithm=algorithm)
    assert isinstance(verdict, Rejected)
    assert f"algorithm {algorithm}" in verdict.reason


async def test_a_key_that_does_not_fit_the_algorithm_is_told_with_both_ways_out_and_nobody_is_asked(
    world: desk.Desk,
) -> None:
    world.keys.held[desk.KEY] = private_pem(key_for("ES384"))
    with pytest.raises(UnusableKey, match="PS256 does not sign with an EC key on P-384") as fault:
        await proof(world)
    assert fault.value.remedy == 'set algorithm = "ES384", or give an RSA key'
    assert world.exchanges() == 0


def by_secret(world: desk.Desk, algorithm: str = "HS256", **options: Any) -> Any:
    """An access token for a client whose secret signs."""
    secret = Secret("canary-signing-secret-with-sixty-four-bytes-or-more-5b1e7c9d0a2f4e68")
    shop = world.itsm.model.add_application("shop", secret=secret, signs_by_secret=True)
    world.keys.held[desk.SECRET] = secret
    given = {"client_id": shop.client_id, "signing_key": None, "auth_method": "client_secret_jwt"}
    return world.bound("oauth-token", **given, algorithm=algorithm, **options)


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("preset", ["keycloak", "oidc-provider", "spring"])
async def test_a_secret_signs_and_is_never_sent(clock: HandClock, preset: str, algorithm: str) -> None:
    sent: list[bytes] = []
    async with desk.running(preset, clock) as world:
        world.server._http._client.event_hooks["request"] = [lambda request: seen(request, sent)]
        bound = by_secret(world, algorithm)
        minted = await bound.mint("r1", None)
        assert await bound.verify(minted.token, minted.secret) == Accepted()
        assert await bound.diagnose(None) == []
        assert sum(b"client_assertion=" in body for body in sent) == 2
        assert not any(b"canary-signing" in body for body in sent)
        assert "canary" not in str(minted.fields)


async def seen(request: httpx.Request, sent: list[bytes]) -> None:
    sent.append(request.content)


async def test_a_token_is_revoked_by_an_assertion_that_the_secret_signs(clock: HandClock) -> None:
    async with desk.running("keycloak", clock, revocation_url="/auth/revoke") as world:
        bound = by_secret(world)
        minted = await bound.mint("r1", None)
        assert await bound.revoke(minted.token, minted.secret) is Outcome.DONE
        assert await bound.is_dead(minted.token, minted.secret) is True


async def test_a_second_jose_library_takes_what_a_secret_signed(world: desk.Desk) -> None:
    joserfc, jwk = pytest.importorskip("joserfc.jwt"), pytest.importorskip("joserfc.jwk")
    client = by_secret(world, "HS512")._options
    value = (await world.server.vouched(client)).reveal()
    key = jwk.OctKey.import_key(world.keys.held[desk.SECRET].reveal())
    token = joserfc.decode(value, key, algorithms=["HS512"])
    assert token.header == {"alg": "HS512", "typ": "JWT"}
    assert (token.claims["iss"], token.claims["sub"]) == (client.client_id,) * 2


async def test_a_refused_secret_that_signs_is_told_what_to_compare_and_a_strangers_is_refused(world: desk.Desk) -> None:
    bound = by_secret(world)
    await world.server.control(replace(world.credential(), options=bound._options))
    world.keys.held[desk.SECRET] = Secret("canary-another-secret-of-thirty-two-bytes-9f3d")
    with pytest.raises(Refused, match=r"client_secret, algorithm HS256 and audience .* and that client_secret_jwt is"):
        await bound.mint("r2", None)


@pytest.mark.parametrize(("length", "taken"), [(31, ""), (32, "HS256"), (48, "HS384"), (63, "HS384")])
async def test_a_secret_shorter_than_the_hash_signs_nothing_and_nobody_is_asked(
    world: desk.Desk, length: int, taken: str
) -> None:
    bound = by_secret(world, "HS512")
    world.keys.held[desk.SECRET] = Secret("x" * length)
    with pytest.raises(UnusableKey, match="too short for HS512, which takes 64 bytes or more") as fault:
        await bound.mint("r1", None)
    assert fault.value.remedy.startswith(f'set algorithm = "{taken}"' if taken else "have the server make a longer")
    assert world.exchanges() == 0


async def test_the_hash_that_a_server_takes_instead_is_named(world: desk.Desk) -> None:
    world.itsm.model.change(hashes=("HS384",))
    (found,) = await by_secret(world).diagnose(None)
    assert 'with algorithm = "HS384"' in found
