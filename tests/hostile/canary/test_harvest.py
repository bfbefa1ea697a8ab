from __future__ import annotations

import base64
import json
import secrets

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jwt.algorithms import RSAAlgorithm

from tests.hostile.canary.harvest import pieces, said
from tests.hostile.canary.search import Search

KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
VALUE = secrets.token_urlsafe(32)
LEAKS = {
    "the whole": PEM,
    "one line of it": PEM.splitlines()[15],
    "within JSON": json.dumps({"private_key": PEM}),
    "as base64": base64.b64encode(PEM.encode()).decode(),
    "its lines joined": "".join(PEM.splitlines()),
    "as a private JWK": json.dumps(RSAAlgorithm.to_jwk(KEY)),
    "a prime as a number": f"p = {KEY.private_numbers().p}",
    "twelve characters of it": f"...{PEM.splitlines()[20][10:22]}...",
}


@pytest.mark.parametrize("text", LEAKS.values(), ids=LEAKS.keys())
def test_a_private_key_is_found(text: str) -> None:
    assert Search(pieces(PEM)).hits("a sink", text)


@pytest.mark.parametrize("text", [PUBLIC, RSAAlgorithm.to_jwk(KEY.public_key()), json.dumps({"public_key": PUBLIC})])
def test_the_public_half_is_no_leak(text: str) -> None:
    assert Search(pieces(PEM)).hits("a sink", text) == []


@pytest.mark.parametrize(
    "document",
    [
        {"data": {"data": {"api_key": VALUE}}},
        {"data": {"value": VALUE, "fields": {"client_id": "0c5d3f0a-95f6-4a4e-8d0b-3f1f5a7c9e21"}}},
        {"data": {"private": {"whatever": VALUE}}},
        {"data": {"secrets": {"client_assertion_3": VALUE}}},
        [{"id": "7", "clientSecret": VALUE}],
        {"auth": {"client_token": VALUE, "policies": ["rotator"]}},
    ],
)
def test_secrets_are_known_by_their_names_and_nothing_else_is(document: object) -> None:
    assert list(said(json.dumps(document).encode())) == [VALUE]


def test_forms_are_read_too() -> None:
    form = f"grant_type=client_credentials&client_id={'c' * 30}&client_secret={VALUE}&scope=all"
    assert list(said(form.encode())) == [VALUE]
    assert list(said(b"")) == []
