"""Key pairs in Transit: nothing is made in vain, nothing that was given up comes back, and no right is a verdict."""

from __future__ import annotations

from typing import Any

import pytest

from rotator.ports import (
    Accepted,
    CannotPresent,
    Minted,
    Outcome,
    Refused,
    Rejected,
    StoreRefused,
    Transient,
    Unknown,
    UnusableKey,
)
from rotator.providers.keys.algorithms import Algorithm
from rotator.providers.keys.signing import LocalSigner, TransitPairs, public_key
from rotator.providers.oauth.token_endpoint import ClientDenied
from rotator.rotation.secret import Secret
from tests.kit.clock import HandClock
from tests.kit.transit_key import HandTransitKey
from tests.unit.providers import back_office, desk
from tests.unit.providers.keys import ec_key, false_key, private_pem, public_pem, rsa_key

pytestmark = pytest.mark.anyio
NAME = "rotator-lab1-crm-c0ffee-r1-a1"
PAIR = "halo-assertion-key"
IN_SET: dict[str, Any] = {"signing_key": None, "algorithm": "ES256", "jwks": "secret/jwks"}


def pairs(key: HandTransitKey) -> TransitPairs:
    return TransitPairs(key, "transit/crm", Algorithm.ES256, 3072)


def name(value: Secret) -> str:
    return public_key(value.reveal()).thumbprint


async def new(made: TransitPairs, *known: str) -> Secret:
    async def seen() -> set[str]:
        return set(known)

    return await made.new(seen)


@pytest.fixture
def key() -> HandTransitKey:
    return HandTransitKey()


async def test_a_key_that_does_not_exist_is_made_of_the_type_that_the_algorithm_needs(key: HandTransitKey) -> None:
    await new(pairs(key))
    assert (key.sort, key.rotations, len(key.made)) == ("ecdsa-p256", 0, 1)
    for algorithm, sort in (
        ("ES384", "ecdsa-p384"),
        ("ES512", "ecdsa-p521"),
        ("EdDSA", "ed25519"),
        ("Ed25519", "ed25519"),
    ):
        another = HandTransitKey()
        made = TransitPairs(another, "transit/crm", Algorithm(algorithm), 3072)
        pair = await made.opened(await new(made))
        assert another.sort == sort
        assert algorithm in public_key(pair.pem).algorithms
    for bits in (2048, 4096):
        other = HandTransitKey()
        await new(TransitPairs(other, "transit/rsa", Algorithm.PS256, bits))
        assert other.sort == f"rsa-{bits}"


async def test_a_rotation_without_an_answer_is_found_again_and_not_repeated(key: HandTransitKey) -> None:
    first = await new(pairs(key))
    key.lost = True
    with pytest.raises(Transient):
        await new(pairs(key), name(first))
    second = await new(pairs(key), name(first))
    assert (await pairs(key).opened(second)).beside == {"transit_key": "transit/crm", "key_version": "2"}
    assert key.rotations == 1


async def test_a_version_that_was_never_told_to_anybody_is_used_by_the_next_attempt(key: HandTransitKey) -> None:
    first = await new(pairs(key))
    second = await new(pairs(key), name(first))
    assert (await new(pairs(key), name(first))).matches(second)
    assert key.rotations == 1


async def test_a_pair_that_ended_never_comes_back_and_ending_it_twice_makes_one_version(key: HandTransitKey) -> None:
    made = pairs(key)
    first = await new(made)
    second = await new(made, name(first))
    key.lost = True
    with pytest.raises(Transient):
        await made.spend(name(second))
    await made.spend(name(second))
    await made.spend(name(first))
    third = await new(made, name(first))
    assert name(third) not in (name(first), name(second))
    assert key.rotations == 2


async def test_a_node_that_does_not_show_the_new_version_yet_makes_no_second_one(key: HandTransitKey) -> None:
    first = await new(pairs(key))
    key.lags = True
    key.made[2] = key.made[1]
    with pytest.raises(Transient, match="does not show yet"):
        await new(pairs(key), name(first))
    key.lags = False
    assert name(await new(pairs(key), name(first))) != name(first)
    assert key.rotations == 1


async def test_a_version_that_may_sign_no_more_is_told_in_words_and_another_key_is_not_taken_for_it(
    key: HandTransitKey,
) -> None:
    made = pairs(key)
    first = await new(made)
    await key.rotate()
    key.least = 2
    for value in (first, Secret(public_pem(ec_key()))):
        with pytest.raises(Refused, match="no version with this public key"):
            await made.opened(value)


async def test_a_right_that_we_lack_is_no_verdict_on_a_key(key: HandTransitKey) -> None:
    first = await new(pairs(key))
    key.faults.append(StoreRefused("Vault answered 403"))
    with pytest.raises(Transient, match="transit/crm: Vault answered 403"):
        await pairs(key).opened(first)


# in a set


async def test_consumers_are_told_which_version_to_sign_with_and_no_private_key_is_anywhere(clock: HandClock) -> None:
    async with desk.running("keycloak", clock) as world:
        bound = world.bound("assertion-key", **IN_SET, transit_key="transit/crm")
        minted = await bound.mint(NAME, None)
        assert minted.secret.reveal().startswith("-----BEGIN PUBLIC KEY-----")
        assert minted.fields == {
            "transit_key": "transit/crm",
            "key_version": "1",
            "kid": minted.token.id,
            "algorithm": "ES256",
            "client_id": world.client.client_id,
            "iss": world.client.client_id,
            "aud": f"{world.itsm.url}/auth/token",
            "token_url": f"{world.itsm.url}/auth/token?tenant=acme",
        }
        assert minted.token.id not in minted.secret.reveal()


@pytest.mark.parametrize("transit", [False, True])
@pytest.mark.parametrize("algorithm", ["RS384", "PS512", "ES384", "ES512", "EdDSA", "Ed25519"])
async def test_a_pair_of_any_algorithm_joins_the_set_is_accepted_and_ends(
    clock: HandClock, algorithm: str, transit: bool
) -> None:
    async with desk.running("keycloak", clock) as world:
        way = {"transit_key": "transit/crm"} if transit else {}
        bound = world.bound("assertion-key", **{**IN_SET, "algorithm": algorithm, "bits": 2048}, **way)
        world.client.public_key, world.client.kid = "", ""
        world.client.jwks = lambda: str(world.keys.document_store("secret/jwks").values.get("jwks", ""))
        old = await bound.mint(NAME, None)
        new = await bound.mint(NAME, None, (old.token,))
        for each in (old, new):
            await bound.install(each)
            clock.move(90)
            assert await bound.verify(each.token, each.secret) == Accepted()
            assert each.fields["algorithm"] == algorithm
        await bound.revoke(old.token)
        clock.move(10**7)
        assert await bound.is_dead(old.token, old.secret) is True
        assert await bound.verify(new.token, new.secret) == Accepted()


@pytest.mark.parametrize("preset", ["keycloak", "oidc-provider", "hydra"])
async def test_a_server_that_believes_its_set_for_ever_is_shown_a_stranger_and_then_forgets_the_old_key(
    clock: HandClock, preset: str
) -> None:
    async with desk.running(preset, clock) as world:
        bound = world.bound("assertion-key", **IN_SET)
        world.client.public_key, world.client.kid = "", ""
        world.client.jwks = lambda: str(world.keys.document_store("secret/jwks").values.get("jwks", ""))
        old, new = await bound.mint(NAME, None), await bound.mint(NAME, None)
        for each in (old, new):
            await bound.install(each)
            clock.move(90)
            assert await bound.verify(each.token, each.secret) == Accepted()
        await bound.revoke(old.token)
        clock.move(10**7)
        before = world.exchanges()
        assert await bound.is_dead(old.token, old.secret) is True
        assert world.exchanges() == before + 3, "taken, as nobody has made it look since; a stranger; refused"
        assert isinstance(await bound.verify(old.token, old.secret), Rejected)
        assert await bound.verify(new.token, new.secret) == Accepted()


@pytest.mark.parametrize("preset", ["keycloak", "oidc-provider", "hydra"])
async def test_a_key_that_the_server_does_not_know_yet_is_not_refused_for_good(clock: HandClock, preset: str) -> None:
    async with desk.running(preset, clock) as world:
        bound = world.bound("assertion-key", **IN_SET)
        world.client.public_key, world.client.kid = "", ""
        world.client.jwks = lambda: "{}"
        minted = await bound.mint(NAME, None)
        verdict = await bound.verify(minted.token, minted.secret)
        assert isinstance(verdict, Rejected)
        assert not verdict.final


@pytest.mark.parametrize(("preset", "final"), [("oidc-provider", True), ("hydra", False)])
async def test_a_malformed_request_is_refused_for_good_unless_a_stranger_is_told_the_same(
    clock: HandClock, preset: str, final: bool
) -> None:
    async with desk.running(preset, clock) as world:
        world.client.public_key, world.client.kid = "", ""
        world.client.jwks = lambda: "{}"
        credential = world.credential("assertion-key", **IN_SET)
        await world.server.control(credential)
        verdict = await world.server.invalid_proofs.rejected(credential.options, ClientDenied(400, "invalid_request"))
        assert isinstance(verdict, Rejected)
        assert verdict.final is final


async def test_what_a_set_shows_is_not_new_even_if_our_record_was_lost(clock: HandClock) -> None:
    async with desk.running("keycloak", clock) as world:
        bound = world.bound("assertion-key", **IN_SET, transit_key="transit/crm")
        first = await bound.mint(NAME, None)
        await bound.install(first)
        assert (await bound.mint(NAME, None)).token.id != first.token.id


async def test_a_key_that_was_taken_out_of_the_set_before_its_time_is_not_taken_again(clock: HandClock) -> None:
    async with desk.running("keycloak", clock) as world:
        bound = world.bound("assertion-key", **IN_SET, transit_key="transit/crm")
        first = await bound.mint(NAME, None)
        await bound.install(first)
        await bound.revoke(first.token)
        assert (await bound.mint(NAME, None)).token.id != first.token.id


@pytest.mark.parametrize("back", [False, True])
async def test_a_pair_from_before_the_settings_changed_still_ends(clock: HandClock, back: bool) -> None:
    async with desk.running("keycloak", clock) as world:
        ways: tuple[dict[str, Any], ...] = ({}, {"transit_key": "transit/crm"})
        before, after = (world.bound("assertion-key", **IN_SET, **each) for each in (ways[::-1] if back else ways))
        world.client.public_key, world.client.kid = "", ""
        world.client.jwks = lambda: str(world.keys.document_store("secret/jwks").values.get("jwks", ""))
        old = await before.mint(NAME, None)
        await before.install(old)
        new_one = await after.mint(NAME, None, (old.token,))
        await after.install(new_one)
        clock.move(300)
        assert await after.verify(new_one.token, new_one.secret) == Accepted()
        assert await after.is_dead(old.token, old.secret) is False
        assert await after.revoke(old.token) is Outcome.DONE
        clock.move(300)
        if back:
            with pytest.raises(CannotPresent, match="put it back to use this value"):
                await after.is_dead(old.token, old.secret)
        else:
            assert await after.is_dead(old.token, old.secret) is True
        assert await after.is_dead(old.token, None) is True
        assert await after.verify(new_one.token, new_one.secret) == Accepted()


async def test_a_trimmed_version_cannot_be_shown_and_is_dead_once_the_set_has_lost_it(clock: HandClock) -> None:
    async with desk.running("keycloak", clock) as world:
        key = world.keys.versions("transit/crm")
        bound = world.bound("assertion-key", **IN_SET, transit_key="transit/crm")
        minted = await bound.mint(NAME, None)
        await bound.install(minted)
        await bound.mint(NAME, None, (minted.token,))
        key.least = 2
        with pytest.raises(CannotPresent, match="may sign"):
            await bound.verify(minted.token, minted.secret)
        assert await bound.is_dead(minted.token, minted.secret) is False
        await bound.revoke(minted.token)
        with pytest.raises(CannotPresent, match="may sign"):
            await bound.is_dead(minted.token, minted.secret)
        assert await bound.is_dead(minted.token, None) is True


async def test_a_vault_that_does_not_answer_or_refuses_decides_nothing(clock: HandClock) -> None:
    async with desk.running("keycloak", clock) as world:
        key = world.keys.versions("transit/crm")
        bound = world.bound("assertion-key", **IN_SET, transit_key="transit/crm")
        minted = await bound.mint(NAME, None)
        for fault in (Transient("sealed"), StoreRefused("403")):
            key.faults.append(fault)
            with pytest.raises(Transient):
                await bound.verify(minted.token, minted.secret)

        key.mute = True
        assert isinstance(await bound.verify(minted.token, minted.secret), Unknown)


async def test_what_is_no_key_at_all_is_rejected_for_good(clock: HandClock) -> None:
    async with desk.running("keycloak", clock) as world:
        bound = world.bound("assertion-key", **IN_SET)
        minted = await bound.mint(NAME, None)
        verdict = await bound.verify(minted.token, Secret("canary-no-key"))
        assert isinstance(verdict, Rejected)
        assert verdict.final


async def test_a_key_in_transit_that_settings_lost_is_no_verdict_on_what_is_in_the_set(clock: HandClock) -> None:
    async with desk.running("keycloak", clock) as world:
        minted = await world.bound("assertion-key", **IN_SET, transit_key="transit/crm").mint(NAME, None)
        with pytest.raises(CannotPresent, match="no `transit_key` any more"):
            await world.bound("assertion-key", **IN_SET).verify(minted.token, minted.secret)


# in an application


async def test_a_key_in_transit_that_settings_lost_is_no_verdict_on_what_an_application_has(clock: HandClock) -> None:
    async with back_office.running(clock, PAIR) as office:
        bound = office.bound(PAIR, transit_key="transit/crm")
        minted = await bound.mint(NAME, None)
        await bound.install(minted)
        with pytest.raises(CannotPresent, match="no `transit_key` any more"):
            await office.bound(PAIR).verify(minted.token, minted.secret)


async def test_a_key_that_is_lost_while_its_assertion_is_signed_is_no_answer_of_the_application(
    clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with back_office.running(clock, PAIR) as office:
        bound = office.bound(PAIR)
        minted = await bound.mint(NAME, None)

        async def lost(*_: object) -> None:
            raise CannotPresent("gone meanwhile")

        monkeypatch.setattr(bound, "presented", lost)
        with pytest.raises(CannotPresent, match="gone meanwhile"):
            await bound.verify(minted.token, minted.secret)


async def test_an_application_is_told_the_public_half_and_consumers_the_version(clock: HandClock) -> None:
    async with back_office.running(clock, PAIR) as office:
        bound = office.bound(PAIR, transit_key="transit/crm")
        minted = await bound.mint(NAME, None)
        token = await bound.install(minted)
        assert office.crm.public_key.strip() == minted.secret.reveal()
        assert minted.fields["kid"] == token.serial
        assert (minted.fields["transit_key"], minted.fields["key_version"]) == ("transit/crm", "1")
        assert "kid" not in (await office.bound(PAIR, transit_key="transit/crm", kid="none").mint(NAME, None)).fields


async def test_the_key_that_an_application_shows_is_not_new(clock: HandClock) -> None:
    async with back_office.running(clock, PAIR) as office:
        bound = office.bound(PAIR, transit_key="transit/crm")
        first = await bound.mint(NAME, None)
        office.crm.public_key = first.secret.reveal()  # put there by a person, for example
        second = await bound.mint(NAME, None)
        assert second.token.serial != first.token.serial


async def test_after_an_undo_the_undone_version_is_not_taken_again(clock: HandClock) -> None:
    async with back_office.running(clock, PAIR) as office:
        bound = office.bound(PAIR, transit_key="transit/crm")
        one = await bound.mint(NAME, None)
        await bound.install(one)
        two = await bound.mint(NAME, None, (one.token,))
        await bound.install(two)
        await bound.install(Minted(one.token, one.secret))
        assert await bound.verify(one.token, one.secret) == Accepted()
        assert await bound.revoke(two.token) is Outcome.ALREADY
        assert await bound.is_dead(two.token, two.secret) is True
        three = await bound.mint(NAME, None, (one.token,))
        assert three.fields["key_version"] == "3"


async def test_no_key_is_taken_from_a_person_where_keys_never_leave_vault(clock: HandClock) -> None:
    async with back_office.running(clock, PAIR) as office:
        with pytest.raises(Refused, match="transit_key"):
            await office.bound(PAIR, transit_key="transit/crm").receive(NAME, private_pem(ec_key()), None)


async def test_the_negative_control_makes_no_version(clock: HandClock) -> None:
    async with back_office.running(clock, PAIR) as office:
        await office.bound(PAIR, transit_key="transit/crm").control()
        assert office.keys.versions("transit/crm").made == {}


async def test_a_key_that_a_person_brings_is_tested_to_its_primes_as_ours_are_not(clock: HandClock) -> None:
    assert LocalSigner(false_key(), made=True)
    async with back_office.running(clock, PAIR) as office:
        await office.bound(PAIR).receive(NAME, private_pem(rsa_key()), None)
        with pytest.raises(UnusableKey, match="cannot be read"):
            await office.bound(PAIR).receive(NAME, false_key(), None)
