"""Keys that never leave Vault, on a real OpenBao: signatures checked by JOSE libraries, versions made and hidden."""

from __future__ import annotations

import base64
import itertools
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from rotator.ports import Refused, StoreRefused
from rotator.providers.keys.algorithms import Algorithm
from rotator.providers.keys.assertion import Form, draft, signed
from rotator.providers.keys.signing import public_key
from rotator.rotation.secret import Secret
from rotator.vault.login import approle
from rotator.vault.transit import TransitKey
from tests.sandbox.openbao import OpenBao
from tests.unit.vault.worlds import session_on

pytestmark = [pytest.mark.anyio, pytest.mark.system]

_numbers = itertools.count(1)
MESSAGE = b"eyJhbGciOiJQUzI1NiJ9.e30"


def made(openbao: OpenBao, kind: str) -> tuple[str, str]:
    mount, name = f"transit-{next(_numbers)}", "crm"
    openbao.call("POST", f"sys/mounts/{mount}", {"type": "transit"})
    openbao.call("POST", f"{mount}/keys/{name}", {"type": kind})
    return mount, name


@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [
        *(("PS256", "rsa-2048"), ("PS256", "rsa-3072"), ("PS384", "rsa-2048"), ("PS512", "rsa-2048")),
        *(("RS256", "rsa-2048"), ("RS384", "rsa-2048"), ("RS512", "rsa-2048")),
        *(
            ("ES256", "ecdsa-p256"),
            ("ES384", "ecdsa-p384"),
            ("ES512", "ecdsa-p521"),
            ("EdDSA", "ed25519"),
            ("Ed25519", "ed25519"),
        ),
    ],
)
async def test_a_jose_library_takes_what_transit_signed(openbao: OpenBao, algorithm: str, kind: str) -> None:
    mount, name = made(openbao, kind)
    session = session_on(openbao)
    signer = TransitKey(session, name, mount)
    signature = await signer.sign(algorithm, MESSAGE)
    token = f"{MESSAGE.decode()}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
    checker: Any = jwt.get_algorithm_by_name(algorithm.replace("Ed25519", "EdDSA"))
    key = load_pem_public_key((await signer.public_pem()).encode())
    assert checker.verify(MESSAGE, key, signature), token
    assert len(signature) == {"ES256": 64, "ES384": 96, "ES512": 132, "EdDSA": 64, "Ed25519": 64}.get(
        algorithm, len(signature)
    )
    await session.close()


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # the name, not the algorithm (RFC 9864)
@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [
        ("PS512", "rsa-2048"),
        ("RS256", "rsa-2048"),
        ("ES256", "ecdsa-p256"),
        ("EdDSA", "ed25519"),
        ("Ed25519", "ed25519"),
    ],
)
async def test_a_second_jose_library_takes_a_whole_assertion(openbao: OpenBao, algorithm: str, kind: str) -> None:
    joserfc = pytest.importorskip("joserfc.jwt")
    jwk = pytest.importorskip("joserfc.jwk")
    mount, name = made(openbao, kind)
    session = session_on(openbao)
    signer = TransitKey(session, name, mount)
    pem = await signer.public_pem()
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    form = Form("crm", "https://desk.example/auth/token", algorithm=Algorithm(algorithm))
    value = await signed(draft(form, public_key(pem), "jti-1", now, now + timedelta(minutes=1)), signer)
    kinds = {"rsa": jwk.RSAKey, "ecd": jwk.ECKey, "ed2": jwk.OKPKey}
    imported = kinds[kind[:3]].import_key(pem)
    token = joserfc.decode(value.reveal(), imported, algorithms=[algorithm])
    assert token.header["kid"] == imported.thumbprint()
    await session.close()


async def test_the_newest_version_signs_after_a_rotation(openbao: OpenBao) -> None:
    mount, name = made(openbao, "rsa-2048")
    session = session_on(openbao)
    signer = TransitKey(session, name, mount)
    before = await signer.public_pem()
    openbao.call("POST", f"{mount}/keys/{name}/rotate", {})
    after = await signer.public_pem()
    checker: Any = jwt.get_algorithm_by_name("PS256")
    signature = await signer.sign("PS256", MESSAGE)
    assert after != before
    assert checker.verify(MESSAGE, load_pem_public_key(after.encode()), signature)
    await session.close()


async def test_a_key_that_is_missing_or_symmetric_is_told_in_words(openbao: OpenBao) -> None:
    mount, _ = made(openbao, "aes256-gcm96")
    session = session_on(openbao)
    with pytest.raises(Refused, match="there is no Transit key"):
        await TransitKey(session, "nobody", mount).public_pem()
    with pytest.raises(Refused, match="no public key"):
        await TransitKey(session, "crm", mount).public_pem()
    await session.close()


@pytest.mark.parametrize("kind", ["rsa-2048", "rsa-3072", "rsa-4096", "ecdsa-p256", "ecdsa-p521", "ed25519"])
async def test_a_key_is_made_once_and_can_never_be_taken_out(openbao: OpenBao, kind: str) -> None:
    mount, _ = made(openbao, "rsa-2048")
    session = session_on(openbao, read_timeout=60, total_timeout=60)  # seconds of a busy machine for 4096 bits
    key = TransitKey(session, "fresh", mount)
    assert await key.versions() == {}
    await key.prepare(kind)
    first = await key.versions()
    await key.prepare(kind)
    assert await key.versions() == first
    assert list(first) == [1]
    seen = openbao.call("GET", f"{mount}/keys/fresh")["data"]
    assert (seen["type"], seen["exportable"], seen["allow_plaintext_backup"]) == (kind, False, False)
    await session.close()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"type": "rsa-2048", "exportable": True}, "exportable"),
        ({"type": "rsa-2048", "allow_plaintext_backup": True}, "backed up in plaintext"),
        ({"type": "ecdsa-p256"}, "not of the type rsa-2048"),
    ],
)
async def test_a_key_that_others_may_have_or_of_another_type_is_refused_in_words(
    openbao: OpenBao, settings: dict[str, Any], words: str
) -> None:
    mount, _ = made(openbao, "rsa-2048")
    openbao.call("POST", f"{mount}/keys/loose", settings)
    session = session_on(openbao)
    with pytest.raises(Refused, match=words):
        await TransitKey(session, "loose", mount).prepare("rsa-2048")
    with pytest.raises(Refused, match="no Transit engine at nowhere"):
        await TransitKey(session, "crm", "nowhere").prepare("rsa-2048")
    await session.close()


async def test_exactly_the_version_that_was_asked_for_signs_whatever_came_after(openbao: OpenBao) -> None:
    mount, name = made(openbao, "ecdsa-p256")
    session = session_on(openbao)
    key = TransitKey(session, name, mount)
    await key.rotate()
    await key.rotate()
    shown = await key.versions()
    assert list(shown) == [1, 2, 3]
    checker: Any = jwt.get_algorithm_by_name("ES256")
    for number, pem in shown.items():
        one = key.version(number, pem)
        assert await one.public_pem() == pem
        signature = await one.sign("ES256", MESSAGE)
        fits = [each for each, other in shown.items() if checker.verify(MESSAGE, load_key(other), signature)]
        assert fits == [number]
    await session.close()


async def test_versions_that_can_sign_no_more_are_not_shown(openbao: OpenBao) -> None:
    mount, name = made(openbao, "ecdsa-p256")
    session = session_on(openbao)
    key = TransitKey(session, name, mount)
    for _ in range(3):
        await key.rotate()
    openbao.call("POST", f"{mount}/keys/{name}/config", {"min_decryption_version": 2})
    assert list(await key.versions()) == [2, 3, 4]
    openbao.call("POST", f"{mount}/keys/{name}/config", {"min_encryption_version": 3})
    assert list(await key.versions()) == [3, 4]
    openbao.call("POST", f"{mount}/keys/{name}/trim", {"min_available_version": 2})
    assert list(await key.versions()) == [3, 4]
    await session.close()


async def test_a_key_that_we_may_not_make_is_asked_of_an_operator(openbao: OpenBao) -> None:
    mount, _ = made(openbao, "rsa-2048")
    role = openbao.approle("reader", f'path "{mount}/keys/absent" {{ capabilities = ["read"] }}')
    session = session_on(openbao, login=approle(partial(Secret, role.role_id), lambda: role.secret_id))
    with pytest.raises(Refused, match=f"bao write -f {mount}/keys/absent type=rsa-3072"):
        await TransitKey(session, "absent", mount).prepare("rsa-3072")
    await session.close()


def load_key(pem: str) -> Any:
    return load_pem_public_key(pem.encode())


async def test_the_shipped_policys_lines_are_enough_to_sign_and_to_rotate_and_none_can_be_taken_away(
    openbao: OpenBao,
) -> None:
    mount, name = made(openbao, "rsa-2048")
    lines = (Path(__file__).parents[3] / "config" / "vault" / "rotator.hcl").read_text().splitlines()
    rules = [
        line.removeprefix("# ").replace("transit/", f"{mount}/") for line in lines if line.startswith('# path "tra')
    ]
    own = 'path "auth/token/lookup-self" { capabilities = ["read"] }'
    role = openbao.approle("signer", "\n".join([*rules, own]))
    session = session_on(openbao, login=approle(partial(Secret, role.role_id), lambda: role.secret_id))
    signer = TransitKey(session, name, mount)
    await signer.prepare("rsa-2048")
    await signer.rotate()
    assert list(await signer.versions()) == [1, 2]
    assert await signer.public_pem()
    assert await signer.sign("PS256", MESSAGE)
    await session.close()
    assert len(rules) == 3
    verbs = (signer_verb("versions"), signer_verb("sign", "PS256", MESSAGE), signer_verb("rotate"))
    for number, verb in enumerate(verbs):
        role = openbao.approle("lean", "\n".join([*rules[:number], *rules[number + 1 :], own]))
        session = session_on(openbao, login=approle(partial(Secret, role.role_id), lambda role=role: role.secret_id))
        with pytest.raises(StoreRefused):
            await verb(TransitKey(session, name, mount))
        await session.close()


def signer_verb(name: str, *given: Any) -> Any:
    return lambda key: getattr(key, name)(*given)
