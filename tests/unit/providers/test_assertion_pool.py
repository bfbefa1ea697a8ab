"""A pool: siblings in one document, a slot for each consumer, all proven by one that nobody is given."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from rotator.observe.logs.redaction import redact
from rotator.ports import Accepted, Document
from rotator.providers import KINDS
from rotator.providers.keys.assertion import read
from rotator.providers.keys.signing import public_key
from rotator.providers.oauth.config import ClientAssertionOptions
from rotator.rotation.answers import read_staged, write_staged
from rotator.rotation.secret import Secret
from tests.kit.clock import HandClock
from tests.unit.providers import desk
from tests.unit.providers.keys import public_pem, rsa_key

pytestmark = pytest.mark.anyio
SLOTS = ("client_assertion_1", "client_assertion_2", "client_assertion_3")


@pytest.fixture
async def world(clock: HandClock) -> AsyncIterator[desk.Desk]:
    async with desk.running("keycloak", clock) as running:
        yield running


async def test_each_slot_is_taken_once_and_one_sibling_has_proven_all(world: desk.Desk) -> None:
    bound = world.bound(pool=3)
    minted = await bound.mint("r1", world.clock.now() + timedelta(seconds=60))
    assert await bound.verify(minted.token, minted.secret) == Accepted()
    assert world.exchanges() == 1
    values = [minted.secret, *(minted.fields[slot] for slot in SLOTS)]
    for value in values:
        assert world.itsm.model.accepts_assertion(value)
        await world.server.exchange(
            ClientAssertionOptions(client_id=world.client.client_id, signing_key=desk.KEY), value
        )
        assert not world.itsm.model.accepts_assertion(value)
    key = public_key(public_pem(rsa_key()))
    found = [each for each in (read(value, key) for value in values) if each]
    assert len({each.jti for each in found}) == 4
    assert len({(each.issued_at, each.expires_at, each.claims["aud"], each.header["kid"]) for each in found}) == 1


async def test_the_slots_survive_the_staged_slot_and_are_blotted_out_of_every_log(world: desk.Desk) -> None:
    minted = await world.bound(pool=3).mint("r1", world.clock.now() + timedelta(seconds=60))
    written = write_staged(minted, "nonce")
    plain = {name: _plain(value) for name, value in written.items()}
    staged = read_staged(Document(1, plain))
    assert staged
    for slot in SLOTS:
        there, back = minted.fields[slot], staged.fields[slot]
        assert isinstance(there, Secret)
        assert isinstance(back, Secret)
        assert back.matches(there)
        assert there.reveal().rpartition(".")[2] not in redact(f"signature {there.reveal().rpartition('.')[2]}")
    assert staged.fields["client_id"] == minted.fields["client_id"]


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return value.reveal() if isinstance(value, Secret) else value


async def test_without_a_pool_there_are_no_slots(world: desk.Desk) -> None:
    minted = await world.bound().mint("r1", world.clock.now() + timedelta(seconds=60))
    assert not any(name.startswith("client_assertion_") and name[-1].isdigit() for name in minted.fields)


@pytest.mark.parametrize("pool", [0, 65, -1])
def test_a_pool_has_one_to_sixty_four_slots(pool: int) -> None:
    with pytest.raises(ValueError, match="pool"):
        ClientAssertionOptions(client_id="c", signing_key=desk.KEY, pool=pool)


@pytest.mark.parametrize(
    ("pool", "single_use", "words"),
    [
        (1, True, "set pool to their number"),
        (3, True, "a slot of its own"),
        (3, False, "no use"),
        (1, False, ""),
    ],
)
async def test_check_says_when_a_pool_is_the_answer(clock: HandClock, pool: int, single_use: bool, words: str) -> None:
    async with desk.running("keycloak", clock, single_use=single_use) as world:
        said = KINDS["client-assertion"].warnings(world.credential(pool=pool), world.server.config)
    assert words in " ".join(said)
    assert bool(said) is bool(words)
