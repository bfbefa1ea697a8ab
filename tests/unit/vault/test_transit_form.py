"""What is not in Transit's form is no word about a key: a version that is not shown may end a credential."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from rotator.host.cron import SystemClock
from rotator.ports import Transient
from rotator.rotation.secret import Secret
from rotator.vault.login import token
from rotator.vault.session import Session
from rotator.vault.transit import TransitKey
from rotator.vault.transport import VaultConnection
from tests.unit.vault.hostile import answer, raw_server

pytestmark = pytest.mark.anyio

PEM = "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n"
ODD: list[object] = [
    {},
    {"data": {}},
    {"data": {"keys": {}}},
    {"data": {"keys": ["1"]}},
    {"data": {"keys": {"first": {"public_key": PEM}}}},
    {"data": {"keys": {"1": {"public_key": {"odd": PEM}}}}},
    {"data": {"keys": {"1": {"public_key": "\ud800"}}}},
]


@asynccontextmanager
async def key_of(reply: bytes) -> AsyncIterator[TransitKey]:
    """A key on a server that gives this answer to everything but a login."""
    looked_up = {"data": {"ttl": 3600, "renewable": True, "num_uses": 0}}
    with raw_server(answer(200, looked_up)) as server:
        session = Session(VaultConnection(server.address), token(lambda: Secret("canary-token-7f")), SystemClock())
        await session.open()
        server.reply = reply
        yield TransitKey(session, "crm")
        await session.close()


@pytest.mark.parametrize("body", ODD, ids=str)
async def test_an_answer_that_is_not_transits_hides_no_version(body: object) -> None:
    async with key_of(answer(200, body)) as key:
        with pytest.raises(Transient, match="not in Transit's form"):
            await key.versions()


async def test_a_key_that_does_not_exist_has_no_versions() -> None:
    async with key_of(answer(404, {"errors": []})) as key:
        assert await key.versions() == {}


async def test_versions_that_may_not_sign_any_more_and_halves_that_are_not_public_are_left_out() -> None:
    told = {"1": {"public_key": PEM}, "2": {"public_key": PEM}, "3": 1700000000}
    async with key_of(answer(200, {"data": {"keys": told, "min_encryption_version": 2}})) as key:
        assert await key.versions() == {2: PEM}


@pytest.mark.parametrize(
    "body", [{}, {"data": {}}, {"data": {"signature": ""}}, {"data": {"signature": "vault:v1:\u00e9"}}], ids=str
)
async def test_an_answer_without_a_signature_is_no_signature(body: object) -> None:
    async with key_of(answer(200, body)) as key:
        with pytest.raises(Transient, match="no readable signature"):
            await key.sign("PS256", b"message")


async def test_a_public_key_that_is_no_text_is_no_key() -> None:
    async with key_of(answer(200, {"data": {"latest_version": 1, "keys": {"1": {"public_key": "\ud800"}}}})) as key:
        with pytest.raises(Transient, match="not in Transit's form"):
            await key.public_pem()
