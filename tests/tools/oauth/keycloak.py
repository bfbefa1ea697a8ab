"""A real Keycloak on loopback, from an unpacked distribution, and the realm that people would set up in it.

What is tried on it is try_keycloak.py's. Nothing is downloaded; the realm lives in memory and ends with the process.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from rotator.rotation.secret import Secret
from tests.tools.oauth.journey import free_port

ADMIN, REALM, ADA = "loopback-admin", "shop", "ada"
BOOT = 900.0  # seconds: the first start builds the server anew, which took 180 s on a busy machine and 560 s in all
HEAP = {"JAVA_OPTS_KC_HEAP": "-Xms64m -Xmx400m", "JAVA_OPTS_APPEND": "-XX:TieredStopAtLevel=1"}
OPTIONS = ["start-dev", "--db", "dev-mem", "--http-host", "127.0.0.1", "--http-port"]


class Keycloak:
    """`with Keycloak(home, log) as sso:` starts it and ends it, with all its processes, by its own id."""

    def __init__(self, home: Path, log: Path) -> None:
        """`home`: an unpacked distribution; `log`: where its own words go."""
        self._home = home
        self._log = log
        self._password = Secret(secrets.token_urlsafe(24))
        self._process: subprocess.Popen[bytes] | None = None
        self._bearer = ("", 0.0)
        self.url = f"http://127.0.0.1:{free_port()}"
        self.http = httpx.Client(base_url=self.url, timeout=60, trust_env=False)

    @property
    def issuer(self) -> str:
        """What the realm calls itself."""
        return f"{self.url}/realms/{REALM}"

    @property
    def token_url(self) -> str:
        """Its token endpoint."""
        return f"{self.issuer}/protocol/openid-connect/token"

    @property
    def userinfo(self) -> str:
        """What an access token with scope `openid` opens."""
        return f"{self.issuer}/protocol/openid-connect/userinfo"

    # --- life -------------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        environment = {**os.environ, **HEAP, "KC_BOOTSTRAP_ADMIN_USERNAME": ADMIN}
        environment["KC_BOOTSTRAP_ADMIN_PASSWORD"] = self._password.reveal()
        command = [str(self._home / "bin" / "kc.sh"), *OPTIONS, self.url.rpartition(":")[2]]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
            )
        try:
            self._wait()
            self.furnish()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the script and the server that it has started: a session of their own, whose id is the script's."""
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(10)
        self.http.close()

    def _wait(self) -> None:
        end = time.monotonic() + BOOT
        while time.monotonic() < end:
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError(f"Keycloak ended instead of starting: {self._log.read_text()[-1500:]}")
            try:
                if self.http.get("/realms/master").is_success:
                    return
            except httpx.TransportError:
                pass
            time.sleep(1)
        raise TimeoutError(f"Keycloak does not answer within {BOOT:g} s")

    # --- its administrator ------------------------------------------------------------------------------------------

    def admin(self, method: str, path: str, body: object = None) -> httpx.Response:
        """One call of the Admin REST API. Raises AssertionError when it is refused."""
        try:
            answer = self.http.request(method, path, json=body, headers={"Authorization": f"Bearer {self._token()}"})
        except httpx.TransportError as fault:
            raise AssertionError(f"{method} {path}: {type(fault).__name__}") from None
        assert answer.is_success, f"{method} {path}: {answer.status_code}"
        return answer

    def _token(self) -> str:
        """The master realm's tokens live for a minute."""
        if time.monotonic() > self._bearer[1]:
            form = {"grant_type": "password", "client_id": "admin-cli", "username": ADMIN}
            form["password"] = self._password.reveal()
            answer = self.http.post("/realms/master/protocol/openid-connect/token", data=form)
            assert answer.is_success, f"the administrator is refused: {answer.status_code}"
            self._bearer = answer.json()["access_token"], time.monotonic() + 30
        return self._bearer[0]

    def furnish(self) -> None:
        """The realm."""
        self.admin("POST", "/admin/realms", {"realm": REALM, "enabled": True, **RENEWING})

    def client(self, name: str, attributes: dict[str, str] | None = None, **more: Any) -> None:
        """A client that may have tokens for itself; `more` replaces what is usual."""
        usual = {"clientId": name, "enabled": True, "protocol": "openid-connect", "serviceAccountsEnabled": True}
        usual |= {"publicClient": False, "standardFlowEnabled": False, "redirectUris": ["http://127.0.0.1/*"]}
        self.admin("POST", f"/admin/realms/{REALM}/clients", {**usual, **more, "attributes": attributes or {}})

    def change(self, name: str, attributes: dict[str, str] | None = None, **more: Any) -> None:
        """Change some of a client's properties."""
        (kept,) = self.admin("GET", f"/admin/realms/{REALM}/clients?clientId={name}").json()
        kept |= {**more, "attributes": {**kept["attributes"], **(attributes or {})}}
        self.admin("PUT", f"/admin/realms/{REALM}/clients/{kept['id']}", kept)

    def user(self, name: str, password: Secret) -> None:
        """A person, with all that the realm's profile demands: else the direct grant says `invalid_grant`."""
        shown = {"username": name, "enabled": True, "email": f"{name}@example.org", "emailVerified": True}
        shown |= {"firstName": "Ada", "lastName": "Lovelace"}
        kept = [{"type": "password", "value": password.reveal(), "temporary": False}]
        self.admin("POST", f"/admin/realms/{REALM}/users", {**shown, "credentials": kept})


RENEWING = {"revokeRefreshToken": True, "refreshTokenMaxReuse": 0}  # a refresh token is used once
KEYED = {"clientAuthenticatorType": "client-jwt"}
PS256 = {"token.endpoint.auth.signing.alg": "PS256"}


def certificate(key: rsa.RSAPrivateKey, days: int = 30) -> str:
    """A self-signed certificate as Keycloak keeps it, base64 without armour; negative `days`: it has expired."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shop")])
    now = datetime.now(UTC)
    ends = now + timedelta(days=days)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(min(now, ends) - timedelta(days=30)).not_valid_after(ends)
    return base64.b64encode(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)).decode()


def by_certificate(key: rsa.RSAPrivateKey, days: int = 30) -> dict[str, str]:
    """The attributes of a client whose certificate was uploaded on the page "Keys"."""
    return {**PS256, "jwt.credential.certificate": certificate(key, days), "use.jwks.url": "false"}


def by_set(*keys: dict[str, str]) -> dict[str, str]:
    """The attributes of a client whose JWK Set was typed in."""
    return {**PS256, "use.jwks.string": "true", "jwks.string": json.dumps({"keys": keys}), "use.jwks.url": "false"}


def by_url(url: str) -> dict[str, str]:
    """The attributes of a client whose JWK Set is fetched."""
    return {**PS256, "use.jwks.url": "true", "jwks.url": url}
