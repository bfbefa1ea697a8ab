"""The Provider port for key pairs in a JWK Set: what the engine may rely on, wherever set and private key are kept."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import jwt
import pytest

from rotator.ports import Accepted, Minted, Outcome, Provider, Refused, Rejected, Transient, Unknown
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret
from tests.kit.clock import HandClock
from tests.unit.providers import desk
from tests.unit.providers.keys import private_pem, rsa_key

pytestmark = pytest.mark.anyio

NAME = "rotator-lab1-crm-c0ffee-r1-a1"
CACHE = 300
TRANSIT = ", in Transit"
OPEN = ("document for keycloak", "file for oidc-provider", "both for keycloak", "document for halo")
WORLDS = (*OPEN, *(f"{each}{TRANSIT}" for each in OPEN))


@dataclass
class Bench:
    """A provider under test, the set as servers read it, and the truth about its target."""

    provider: Provider
    world: desk.Desk
    folder: Path
    places: str
    algorithm: str
    transit: bool

    @property
    def set_file(self) -> Path:
        return self.folder / "jwks.json"

    def read(self) -> str:
        """The set, as a server fetches it."""
        if self.places == "document":
            return str(self.world.keys.document_store("secret/jwks").values.get("jwks", ""))
        return self.set_file.read_text() if self.set_file.exists() else ""

    def put(self, text: str) -> None:
        if self.places != "file":
            self.world.keys.document_store("secret/jwks").put(jwks=text, note="ours to keep")
        if self.places != "document":
            self.set_file.write_text(text)

    def kids(self) -> set[str]:
        return {each["kid"] for each in json.loads(self.read() or '{"keys": []}')["keys"]}

    async def installed(self, name: str = NAME) -> Minted:
        minted = await self.provider.mint(name, None)
        await self.provider.install(minted)
        self.world.clock.move(CACHE)  # the server reads the set anew
        return minted


@pytest.fixture(params=WORLDS)
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    places, _, preset = request.param.removesuffix(TRANSIT).partition(" for ")
    transit = request.param.endswith(TRANSIT)
    async with desk.running(preset, HandClock()) as world:
        world.itsm.model.change(jwks_cache=CACHE, jwks_asks_again=False)  # the slowest server that settings allow for
        document, file = {"jwks": "secret/jwks"}, {"jwks_file": str(tmp_path / "jwks.json")}
        where = {"document": document, "file": file, "both": {**document, **file}}[places]
        quick: dict[str, Any] = {"algorithm": "ES256"}  # making an RSA key takes its time
        sort = {"algorithm": "PS256", "bits": 2048} if preset == "halo" else quick
        key = {"transit_key": "transit/crm"} if transit else {}
        bound = world.bound("assertion-key", signing_key=None, **sort, **where, **key)
        made = Bench(bound, world, tmp_path, places, sort["algorithm"], transit)
        world.client.public_key, world.client.kid, world.client.jwks = "", "", made.read
        yield made


async def test_it_is_installed_with_overlap_and_strays_can_be_found(bench: Bench) -> None:
    can = bench.provider.capabilities
    assert (can.needs_install, can.overlap, can.can_revoke, can.can_list, can.old_is_safe_to_present) == (True,) * 5
    assert (can.takes_token_name, can.can_restore, can.reports_last_use) == (False,) * 3


async def test_minting_tells_nobody_and_no_two_keys_are_alike(bench: Bench) -> None:
    """In Transit, a version that nobody was told of is still to be had: it is found again."""
    one, two = await bench.provider.mint(NAME, None), await bench.provider.mint(NAME, None)
    assert (one.token.id == two.token.id) == one.secret.matches(two.secret) == bench.transit
    third = await bench.provider.mint(NAME, None, (one.token, two.token))
    assert third.token.id not in {one.token.id, two.token.id}
    assert bench.read() == ""
    assert bench.world.exchanges() == 0
    assert one.fields["kid"] == one.token.id


async def test_what_is_installed_is_accepted_once_the_server_has_read_the_set_anew(bench: Bench) -> None:
    first = await bench.installed()
    assert await bench.provider.verify(first.token, first.secret) == Accepted()
    second = await bench.provider.mint(NAME, None)
    assert isinstance(await bench.provider.verify(second.token, second.secret), Rejected)
    await bench.provider.install(second)
    assert isinstance(await bench.provider.verify(second.token, second.secret), Rejected)
    bench.world.clock.move(CACHE)
    assert await bench.provider.verify(second.token, second.secret) == Accepted()
    assert await bench.provider.verify(first.token, first.secret) == Accepted()


async def test_installing_twice_is_installing_once(bench: Bench) -> None:
    minted = await bench.provider.mint(NAME, None)
    assert await bench.provider.install(minted) == minted.token
    once = bench.read()
    assert await bench.provider.install(minted) == minted.token
    assert bench.read() == once


async def test_no_private_member_is_ever_in_the_set_and_every_key_says_what_it_is_for(bench: Bench) -> None:
    minted = await bench.installed()
    (key,) = json.loads(bench.read())["keys"]
    assert key["rotator"] == NAME
    assert (key["kid"], key["use"], key["alg"]) == (minted.token.id, "sig", minted.fields["algorithm"])
    members = {"EC": {"crv", "x", "y"}, "RSA": {"n", "e"}}[key["kty"]]
    assert key.keys() == {"kty", "kid", "use", "alg", "rotator"} | members


async def test_keys_and_members_of_others_survive(bench: Bench) -> None:
    theirs = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(rsa_key().public_key())) | {"kid": "theirs", "note": [1]}
    bench.put(json.dumps({"keys": [theirs], "owner": "team"}))
    minted = await bench.installed()
    told = json.loads(bench.read())
    assert told["keys"][0] == theirs
    assert told["owner"] == "team"
    assert await bench.provider.find("") == (Token(minted.token.id, NAME),)
    await bench.provider.revoke(minted.token)
    assert json.loads(bench.read()) == {"keys": [theirs], "owner": "team"}
    if bench.places != "file":
        assert bench.world.keys.document_store("secret/jwks").values["note"] == "ours to keep"


async def test_ours_are_found_by_the_beginning_of_their_names(bench: Bench) -> None:
    one = await bench.installed()
    other = await bench.installed("rotator-lab1-shop-c0ffee-r1-a1")
    assert await bench.provider.find(NAME) == (Token(one.token.id, NAME),)
    assert {each.id for each in await bench.provider.find("rotator-lab1")} == {one.token.id, other.token.id}
    assert (await bench.provider.inspect(one.token)).exists


async def test_an_old_key_is_dead_when_it_has_left_the_set_and_the_cache_has_passed(bench: Bench) -> None:
    old, new = await bench.installed(), await bench.installed()
    assert await bench.provider.is_dead(old.token, old.secret) is False
    assert await bench.provider.verify(old.token, old.secret) == Accepted()
    assert await bench.provider.revoke(old.token) is Outcome.DONE
    assert await bench.provider.revoke(old.token) is Outcome.ALREADY
    assert bench.kids() == {new.token.id}
    assert await bench.provider.is_dead(old.token, old.secret) is False  # the server has not noticed
    assert await bench.provider.is_dead(old.token, None) is True  # the set says so
    bench.world.clock.move(CACHE)
    assert await bench.provider.is_dead(old.token, old.secret) is True
    assert isinstance(await bench.provider.verify(old.token, old.secret), Rejected)
    assert await bench.provider.verify(new.token, new.secret) == Accepted()
    with pytest.raises(Refused):
        await bench.provider.restore(old.token)


async def test_a_server_that_reads_the_set_only_for_a_key_that_it_lacks_notices_that_one_has_left(bench: Bench) -> None:
    bench.world.itsm.model.change(jwks_cache=inf, jwks_asks_again=True, jwks_rests=60.0)
    old, new = await bench.installed(), await bench.installed()
    await bench.provider.verify(new.token, new.secret)
    await bench.provider.revoke(old.token)
    assert await bench.provider.is_dead(old.token, old.secret) is False  # it has read the set a moment ago
    bench.world.clock.move(61)
    assert await bench.provider.is_dead(old.token, old.secret) is True
    assert await bench.provider.verify(new.token, new.secret) == Accepted()


async def test_another_key_or_junk_is_rejected_for_good_without_a_call(bench: Bench) -> None:
    minted = await bench.installed()
    for other in (private_pem(rsa_key(2048, 7)), Secret("canary-junk-7e")):
        verdict = await bench.provider.verify(minted.token, other)
        assert isinstance(verdict, Rejected)
        assert verdict.final
        assert "canary" not in verdict.reason
    assert bench.world.exchanges() == 0


@pytest.mark.parametrize("after", [False, True])
async def test_a_proof_without_an_answer_is_unknown(bench: Bench, after: bool) -> None:
    minted = await bench.installed()
    bench.world.itsm.faults.add("drop", when="after" if after else "before")
    assert isinstance(await bench.provider.verify(minted.token, minted.secret), Unknown)
    assert await bench.provider.verify(minted.token, minted.secret) == Accepted()


async def test_nobody_is_called_dead_by_a_server_that_does_not_answer(bench: Bench) -> None:
    minted = await bench.installed()
    await bench.provider.revoke(minted.token)
    bench.world.itsm.faults.add("status", status=503)
    with pytest.raises(Transient):
        await bench.provider.is_dead(minted.token, minted.secret)


@pytest.mark.parametrize("text", ["<html>", "[]", '{"keys": {}}', '{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}'])
async def test_what_is_no_public_set_is_left_alone_and_nothing_is_thrown_away(bench: Bench, text: str) -> None:
    bench.put(text)
    with pytest.raises(Transient) as trouble:
        await bench.provider.install(await bench.provider.mint(NAME, None))
    assert "jwks" in trouble.value.reason
    assert "c2VjcmV0" not in trouble.value.reason
    assert bench.read().strip() == text


async def test_the_negative_control_passes_on_an_honest_server_and_fails_on_another(bench: Bench) -> None:
    where = {"jwks": "secret/jwks", "signing_key": None, "algorithm": bench.algorithm}
    await bench.world.server.control(bench.world.credential("assertion-key", **where))
    bench.world.client.demands_assertion = False
    with pytest.raises(Refused, match="accepts anyone"):
        await bench.world.server.control(bench.world.credential("assertion-key", **where))
