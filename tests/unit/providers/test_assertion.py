"""Client assertions: every option of header and claims, siblings, keys that are refused, two JOSE libraries."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed448, ed25519, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from rotator.ports import Refused, Transient, UnusableKey
from rotator.providers.keys.algorithms import ASYMMETRIC, Algorithm
from rotator.providers.keys.assertion import Form, draft, read, signed
from rotator.providers.keys.signing import LocalSigner, PublicKey, make_key, public_jwk, public_key
from rotator.rotation.secret import Secret
from tests.unit.providers.keys import certificate, ec_key, ed_key, key_for, private_pem, public_pem, rsa_key

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 22, 12, 0, 0, 900_000, tzinfo=UTC)
LIFE = timedelta(seconds=60)
KEYS: dict[Algorithm, Any] = {each: key_for(each) for each in ASYMMETRIC}


def form(**options: Any) -> Form:
    return Form("client-1", "https://desk.example/auth/token", **options)


def key_of(algorithm: Algorithm = Algorithm.PS256) -> PublicKey:
    return public_key(public_pem(KEYS[algorithm]))


async def made(**options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a signed assertion, as PyJWT reads them after checking the signature."""
    wanted = form(**options)
    key = KEYS[wanted.algorithm]
    drafted = draft(wanted, key_of(wanted.algorithm), "jti-1", NOW, NOW + LIFE)
    value = (await signed(drafted, LocalSigner(private_pem(key)))).reveal()
    off: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}
    claims = jwt.decode(value, key.public_key(), algorithms=[wanted.algorithm.value], options=off)
    return jwt.get_unverified_header(value), claims


async def test_the_defaults_are_those_that_real_servers_took() -> None:
    header, claims = await made()
    assert header == {"alg": "PS256", "typ": "JWT", "kid": key_of().thumbprint}
    issued = int(NOW.timestamp())
    assert claims == {
        "iss": "client-1",
        "sub": "client-1",
        "aud": "https://desk.example/auth/token",
        "jti": "jti-1",
        "iat": issued,
        "exp": issued + 60,
    }


@pytest.mark.parametrize(
    ("options", "header", "claims"),
    [
        pytest.param({"issuer": "https://issuer.example"}, {}, {"iss": "https://issuer.example"}, id="own issuer"),
        pytest.param({"kid": "key-7"}, {"kid": "key-7"}, {}, id="literal kid"),
        pytest.param({"kid": "none"}, {"kid": None}, {}, id="no kid"),
        pytest.param({"typ": "client-authentication+jwt"}, {"typ": "client-authentication+jwt"}, {}, id="typ"),
        pytest.param({"typ": ""}, {"typ": None}, {}, id="no typ"),
        pytest.param(
            {"backdate": timedelta(seconds=30)},
            {},
            dict.fromkeys(("iat", "nbf"), int(NOW.timestamp()) - 30),
            id="backdated",
        ),
    ],
)
async def test_each_option_shows_in_header_or_claims(
    options: dict[str, Any], header: dict[str, Any], claims: dict[str, Any]
) -> None:
    got_header, got_claims = await made(**options)
    assert {name: got_header.get(name) for name in header} == header
    assert {name: got_claims.get(name) for name in claims} == claims


@pytest.mark.parametrize(("mode", "name"), [("sha1", "x5t"), ("sha256", "x5t#S256")])
async def test_a_certificate_is_named_by_its_digest(mode: str, name: str) -> None:
    own = certificate(rsa_key())
    header, _ = await made(x5t=mode, certificate=Secret(own.public_bytes(Encoding.PEM).decode()))
    digest = hashlib.new(mode, own.public_bytes(Encoding.DER)).digest()
    assert header[name] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


async def test_an_unreadable_certificate_is_refused() -> None:
    with pytest.raises(Refused, match="certificate"):
        draft(form(x5t="sha256", certificate=Secret("no")), key_of(), "j", NOW, NOW + LIFE)


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # the name, not the algorithm (RFC 9864)
@pytest.mark.parametrize("algorithm", ASYMMETRIC)
async def test_a_second_jose_library_accepts_every_algorithm_and_agrees_on_the_thumbprint(algorithm: Algorithm) -> None:
    joserfc = pytest.importorskip("joserfc.jwt")
    jwk = pytest.importorskip("joserfc.jwk")
    key, public = KEYS[algorithm], public_pem(KEYS[algorithm])
    value = await signed(draft(form(algorithm=algorithm), key_of(algorithm), "j", NOW, NOW + LIFE), _signer(key))
    kinds = {"P": jwk.RSAKey, "R": jwk.RSAKey, "E": jwk.ECKey}
    imported = (jwk.OKPKey if algorithm in ("EdDSA", "Ed25519") else kinds[algorithm[0]]).import_key(public)
    token = joserfc.decode(value.reveal(), imported, algorithms=[algorithm.value])
    assert token.claims["jti"] == "j"
    assert imported.thumbprint() == token.header["kid"]


def _signer(key: Any) -> LocalSigner:
    return LocalSigner(private_pem(key))


@pytest.mark.parametrize(
    ("algorithm", "length"), [("ES256", 64), ("ES384", 96), ("ES512", 132), ("EdDSA", 64), ("Ed25519", 64)]
)
async def test_a_signature_on_a_curve_is_raw_bytes(algorithm: str, length: int) -> None:
    chosen = Algorithm(algorithm)
    value = await signed(
        draft(form(algorithm=chosen), key_of(chosen), "j", NOW, NOW + LIFE), _signer(key_for(algorithm))
    )
    assert len(base64.urlsafe_b64decode(value.reveal().split(".")[2] + "==")) == length


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_a_second_jose_library_reads_the_published_half_of_a_new_pair_and_names_it_the_same(
    algorithm: Algorithm,
) -> None:
    jwk = pytest.importorskip("joserfc.jwk")
    made = load_pem_private_key(make_key(algorithm, 2048).reveal().encode(), None)
    shown = public_jwk(public_key(public_pem(made)), algorithm)
    assert not shown.keys() & {"d", "p", "q", "dp", "dq", "qi", "k"}
    (imported,) = jwk.KeySet.import_key_set({"keys": [shown]}).keys
    assert imported.thumbprint() == shown["kid"]
    assert (shown["use"], shown["alg"]) == ("sig", algorithm.value)


def test_the_thumbprint_of_an_ed25519_key_is_that_of_rfc_8037() -> None:
    raw = base64.urlsafe_b64decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    pem = ed25519.Ed25519PublicKey.from_public_bytes(raw).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert public_key(pem.decode()).thumbprint == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"  # RFC 8037, A.3


async def test_a_value_whose_algorithm_is_another_keys_is_not_this_keys() -> None:
    for other in (Algorithm.ES384, Algorithm.EDDSA, Algorithm.PS512):
        drafted = draft(form(algorithm=other), key_of(other), "j", NOW, NOW + LIFE)
        assert read(await signed(drafted, _signer(KEYS[other])), key_of(Algorithm.ES256)) is None


async def test_a_sibling_differs_in_nothing_but_its_jti() -> None:
    first = draft(form(backdate=timedelta(seconds=5)), key_of(), "one", NOW, NOW + LIFE)
    second = first.sibling("two")
    assert second.header == first.header
    assert {**second.claims, "jti": "one"} == first.claims
    assert second.jti == "two"
    assert (await signed(first, _signer(rsa_key()))).reveal() != (await signed(second, _signer(rsa_key()))).reveal()


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
async def test_what_was_signed_is_read_back_the_same(algorithm: Algorithm) -> None:
    drafted = draft(form(algorithm=algorithm), key_of(algorithm), "j", NOW, NOW + LIFE)
    assert read(await signed(drafted, _signer(KEYS[algorithm])), key_of(algorithm)) == drafted
    assert drafted.expires_at == (NOW + LIFE).replace(microsecond=0)
    assert drafted.issued_at == NOW.replace(microsecond=0)


async def test_what_another_key_signed_is_not_read() -> None:
    value = await signed(draft(form(), key_of(), "j", NOW, NOW + LIFE), _signer(rsa_key()))
    assert read(value, public_key(public_pem(rsa_key(2048, 1)))) is None


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c", "e30.e30.e30", "!!.??.--"])
def test_junk_is_not_read(text: str) -> None:
    assert read(Secret(text or "-"), key_of()) is None


def test_an_unsigned_or_otherwise_signed_one_is_not_read() -> None:
    for alg in ("none", "HS256"):
        head = base64.urlsafe_b64encode(json.dumps({"alg": alg}).encode()).decode()
        body = base64.urlsafe_b64encode(json.dumps({"iat": 1, "exp": 2}).encode()).decode()
        assert read(Secret(f"{head.rstrip('=')}.{body.rstrip('=')}."), key_of()) is None


class _Turning:
    """A signer whose key is rotated between the look at it and the signature."""

    async def public_pem(self) -> str:
        return public_pem(rsa_key(2048, 1))

    async def sign(self, algorithm: str, message: bytes) -> bytes:
        return await _signer(rsa_key()).sign(algorithm, message)


async def test_a_key_rotated_in_the_middle_is_noticed() -> None:
    with pytest.raises(Transient, match="rotated"):
        await signed(draft(form(), key_of(), "j", NOW, NOW + LIFE), _Turning())


def test_short_rsa_keys_and_other_curves_are_refused() -> None:
    with pytest.raises(UnusableKey, match="1024 bits"):
        public_key(public_pem(rsa_key(1024)))
    with pytest.raises(UnusableKey, match="no algorithm fits an EC key on secp256k1: make one on P-256"):
        public_key(public_pem(ec_key("secp256k1")))
    for stranger in (ed448.Ed448PrivateKey.generate(), x25519.X25519PrivateKey.generate()):
        with pytest.raises(UnusableKey, match="neither RSA, nor EC, nor Ed25519"):
            public_key(public_pem(stranger))
        with pytest.raises(UnusableKey, match="neither RSA, nor EC, nor Ed25519"):
            LocalSigner(private_pem(stranger))


MISFITS = [
    ("ES256", rsa_key(), "an RSA key of 2048 bits", 'set algorithm = "PS256" or .*, or give an EC key on P-256'),
    ("PS256", ec_key(), "an EC key on P-256", 'set algorithm = "ES256", or give an RSA key'),
    ("ES256", ec_key("secp384r1"), "an EC key on P-384", 'set algorithm = "ES384", or give an EC key on P-256'),
    ("ES512", ec_key("secp384r1"), "an EC key on P-384", 'set algorithm = "ES384", or give an EC key on P-521'),
    ("RS512", ed_key(), "an Ed25519 key", 'set algorithm = "EdDSA" or "Ed25519", or give an RSA key'),
    ("EdDSA", ec_key("secp521r1"), "an EC key on P-521", 'set algorithm = "ES512", or give an Ed25519 key'),
]


class _Willing:
    """A signer that signs with whatever key it has, as Transit does."""

    def __init__(self, key: Any) -> None:
        self.key = key
        self.asked = 0

    async def public_pem(self) -> str:
        return public_pem(self.key)

    async def sign(self, algorithm: str, message: bytes) -> bytes:
        self.asked += 1
        return b"whatever"


@pytest.mark.parametrize(("algorithm", "key", "what", "remedy"), MISFITS)
async def test_an_algorithm_that_does_not_fit_the_key_is_refused_with_what_would(
    algorithm: str, key: Any, what: str, remedy: str
) -> None:
    with pytest.raises(UnusableKey, match=f"{algorithm} does not sign with {what}") as fault:
        await _signer(key).sign(algorithm, b"message")
    assert re.search(remedy, fault.value.remedy)
    chosen, remote = Algorithm(algorithm), _Willing(key)
    with pytest.raises(UnusableKey, match=f"{algorithm} does not sign with {what}"):
        await signed(draft(form(algorithm=chosen), public_key(public_pem(key)), "j", NOW, NOW + LIFE), remote)
    assert remote.asked == 0


def test_an_unreadable_private_key_is_refused_without_being_quoted() -> None:
    with pytest.raises(UnusableKey) as refusal:
        LocalSigner(Secret("-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----"))
    assert "canary" not in refusal.value.reason
    assert refusal.value.__cause__ is None
