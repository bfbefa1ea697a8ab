"""Signing with a key that never leaves Vault: on a real OpenBao, checked by a JOSE library."""

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

from rotator.ports import Refused
from rotator.providers.assertion import Form, draft, signed
from rotator.providers.signing import Algorithm, public_key
from rotator.rotation.secret import Secret
from rotator.sandbox.openbao import OpenBao
from rotator.vault.login import approle
from rotator.vault.transit import TransitKey
from tests.vault.worlds import session_on

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
    [("PS256", "rsa-2048"), ("PS256", "rsa-3072"), ("RS256", "rsa-2048"), ("ES256", "ecdsa-p256")],
)
async def test_a_jose_library_takes_what_transit_signed(openbao: OpenBao, algorithm: str, kind: str) -> None:
    mount, name = made(openbao, kind)
    session = session_on(openbao)
    signer = TransitKey(session, name, mount)
    signature = await signer.sign(algorithm, MESSAGE)
    token = f"{MESSAGE.decode()}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
    checker: Any = jwt.get_algorithm_by_name(algorithm)
    key = load_pem_public_key((await signer.public_pem()).encode())
    assert checker.verify(MESSAGE, key, signature), token
    if algorithm == "ES256":
        assert len(signature) == 64
    await session.close()


@pytest.mark.parametrize(("algorithm", "kind"), [("PS256", "rsa-2048"), ("RS256", "rsa-2048"), ("ES256", "ecdsa-p256")])
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
    imported = (jwk.ECKey if kind.startswith("ec") else jwk.RSAKey).import_key(pem)
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


async def test_the_shipped_policys_two_lines_are_enough_to_sign(openbao: OpenBao) -> None:
    mount, name = made(openbao, "rsa-2048")
    lines = (Path(__file__).parents[2] / "config" / "vault" / "rotator.hcl").read_text().splitlines()
    rules = [
        line.removeprefix("# ").replace("transit/", f"{mount}/") for line in lines if line.startswith('# path "tra')
    ]
    own = 'path "auth/token/lookup-self" { capabilities = ["read"] }'
    role = openbao.approle("signer", "\n".join([*rules, own]))
    session = session_on(openbao, login=approle(partial(Secret, role.role_id), lambda: role.secret_id))
    signer = TransitKey(session, name, mount)
    assert await signer.public_pem()
    assert await signer.sign("PS256", MESSAGE)
    await session.close()
