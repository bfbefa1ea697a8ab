"""The auth methods, each on a real OpenBao where the method can run on one machine."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rotator.host.cron import SystemClock
from rotator.ports import StoreRefused
from rotator.rotation.secret import Secret
from rotator.vault.login import certificate, jwt, kubernetes
from rotator.vault.session import Session
from rotator.vault.transport import VaultConnection
from tests.kit.certificates import self_signed
from tests.sandbox.openbao import OpenBao
from tests.unit.vault.hostile import answer, raw_server
from tests.unit.vault.worlds import enable_auth, session_on

pytestmark = pytest.mark.anyio
ROLE = {"token_ttl": "20m", "token_policies": ["default"]}


@pytest.mark.system
async def test_a_signed_jwt_logs_in_and_an_expired_one_is_refused(openbao: OpenBao) -> None:
    key = rsa.generate_private_key(65537, 2048)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    openbao.call("POST", "sys/auth/jwt", {"type": "jwt"})
    openbao.call("POST", "auth/jwt/config", {"jwt_validation_pubkeys": [public]})
    role = ROLE | {"role_type": "jwt", "bound_audiences": ["vault"], "user_claim": "sub"}
    openbao.call("POST", "auth/jwt/role/rotator", role)

    def assertion(age: timedelta) -> Secret:
        issued = datetime.now(UTC) - age
        claims = {"sub": "rotator", "aud": "vault", "iat": issued, "nbf": issued, "exp": issued + timedelta(minutes=5)}
        return Secret(pyjwt.encode(claims, key, "RS256"))

    session = session_on(openbao, login=jwt("rotator", lambda: assertion(timedelta(0))))
    await session.open()
    assert (await session.ask(lambda client: client.auth.token.lookup_self())).section("data")["ttl"] > 1000
    await session.close()
    stale = session_on(openbao, login=jwt("rotator", lambda: assertion(timedelta(hours=1))))
    with pytest.raises(StoreRefused, match="jwt login"):
        await stale.open()
    await stale.close()


@pytest.mark.system
async def test_a_pods_token_logs_in_when_the_cluster_vouches_for_it(openbao: OpenBao, tmp_path: Path) -> None:
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "status": {
            "authenticated": True,
            "user": {
                "username": "system:serviceaccount:tools:rotator",
                "uid": "f3c1",
                "groups": ["system:serviceaccounts", "system:serviceaccounts:tools", "system:authenticated"],
            },
        },
    }
    claims = {
        "sub": "system:serviceaccount:tools:rotator",
        "iat": datetime.now(UTC),
        "nbf": datetime.now(UTC),
        "exp": datetime.now(UTC) + timedelta(minutes=5),
        "kubernetes.io": {"namespace": "tools", "serviceaccount": {"name": "rotator", "uid": "f3c1"}},
    }
    pods = pyjwt.encode(claims, rsa.generate_private_key(65537, 2048), "RS256")
    with raw_server(answer(201, review)) as cluster:
        enable_auth(openbao, "kubernetes")
        ca = Path(self_signed(tmp_path, "127.0.0.1")[1]).read_text()  # noqa: ASYNC240  # a small file, in a test
        config = {"kubernetes_host": cluster.address, "token_reviewer_jwt": pods, "kubernetes_ca_cert": ca}
        openbao.call("POST", "auth/kubernetes/config", config | {"disable_local_ca_jwt": True})
        bound = {"bound_service_account_names": ["rotator"], "bound_service_account_namespaces": ["tools"]}
        openbao.call("POST", "auth/kubernetes/role/rotator", ROLE | bound)
        session = session_on(openbao, login=kubernetes("rotator", lambda: Secret(pods)))
        await session.open()
        await session.close()
        assert "tokenreviews" in cluster.seen[0]


async def test_a_certificate_login_names_its_role_and_sends_no_secret(tmp_path: Path) -> None:
    granted = {"auth": {"client_token": "canary-cert", "lease_duration": 1200, "renewable": True}}
    with raw_server(answer(200, granted)) as server:
        files = (str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))
        for file in files:
            Path(file).touch()  # noqa: ASYNC240  # plain http does not read them
        connection = VaultConnection(server.address, client_cert=files)
        session = Session(connection, certificate("rotator"), SystemClock())
        await session.open()
        assert server.seen[0].startswith("POST /v1/auth/cert/login ")
        await session.close()


async def test_a_certificate_file_that_is_missing_is_named_in_words() -> None:
    connection = VaultConnection("https://127.0.0.1:9", client_cert=("/nowhere/cert.pem", "/nowhere/key.pem"))
    session = Session(connection, certificate("rotator"), SystemClock())
    with pytest.raises(StoreRefused, match="cert_file"):
        await session.open()


async def test_a_login_answer_without_a_token_is_refused_in_words() -> None:
    with raw_server(answer(200, {"auth": None})) as server:
        session = Session(VaultConnection(server.address), jwt("r", lambda: Secret("a.b.c")), SystemClock())
        with pytest.raises(StoreRefused, match=r"jwt login.*KeyError"):
            await session.open()


def test_a_login_shows_nothing_but_its_method() -> None:
    assert json.dumps(repr(jwt("r", lambda: Secret("a.b.c")))) == json.dumps("Login(method='jwt', repeatable=True)")
