"""A real Keycloak on loopback, from an unpacked distribution, and the realm that people would set up in it.

Nothing is downloaded; the realm lives in memory and ends with the process.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from rotator.rotation.secret import Secret
from tests.sandbox.openbao import free_port
from tests.tools.oauth.journey import call, form
from tests.tools.oauth.server import answering

ADMIN, REALM, ADA = "loopback-admin", "shop", "ada"
BOOT = 900.0  # seconds: the first start builds the server anew, which took 180 s on a busy machine and 560 s in all
HEAP = {"JAVA_OPTS_KC_HEAP": "-Xms64m -Xmx400m", "JAVA_OPTS_APPEND": "-XX:TieredStopAtLevel=1"}
OPTIONS = ["start-dev", "--db", "dev-mem", "--http-host", "127.0.0.1", "--http-port"]


class Keycloak:
    """Its administrator's view, and where it is."""

    def __init__(self, url: str, password: Secret) -> None:
        self.url = url
        self._password = password
        self._bearer = ("", 0.0)

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

    def admin(self, method: str, path: str, body: object = None) -> Any:
        """One call of the Admin REST API. Raises AssertionError when it is refused."""
        status, told = call(method, self.url + path, f"Bearer {self._token()}", body)
        assert status < 300, f"{method} {path}: {status}"
        return told

    def _token(self) -> str:
        """The master realm's tokens live for a minute."""
        if time.monotonic() > self._bearer[1]:
            fields = {"grant_type": "password", "client_id": "admin-cli", "username": ADMIN}
            fields["password"] = self._password.reveal()
            status, told = form(f"{self.url}/realms/master/protocol/openid-connect/token", fields)
            assert status == 200, f"the administrator is refused: {status}"
            self._bearer = told["access_token"], time.monotonic() + 30
        return self._bearer[0]

    def client(self, name: str, attributes: dict[str, str] | None = None, **more: Any) -> None:
        """A client that may have tokens for itself; `more` replaces what is usual."""
        usual = {"clientId": name, "enabled": True, "protocol": "openid-connect", "serviceAccountsEnabled": True}
        usual |= {"publicClient": False, "standardFlowEnabled": False, "redirectUris": ["http://127.0.0.1/*"]}
        self.admin("POST", f"/admin/realms/{REALM}/clients", {**usual, **more, "attributes": attributes or {}})

    def change(self, name: str, attributes: dict[str, str] | None = None, **more: Any) -> None:
        """Change some of a client's properties."""
        (kept,) = self.admin("GET", f"/admin/realms/{REALM}/clients?clientId={name}")
        kept |= {**more, "attributes": {**kept["attributes"], **(attributes or {})}}
        self.admin("PUT", f"/admin/realms/{REALM}/clients/{kept['id']}", kept)

    def user(self, name: str, password: Secret) -> None:
        """A person, with all that the realm's profile demands: else the direct grant says `invalid_grant`."""
        shown = {"username": name, "enabled": True, "email": f"{name}@example.org", "emailVerified": True}
        shown |= {"firstName": "Ada", "lastName": "Lovelace"}
        kept = [{"type": "password", "value": password.reveal(), "temporary": False}]
        self.admin("POST", f"/admin/realms/{REALM}/users", {**shown, "credentials": kept})


@contextmanager
def run(home: Path, log: Path) -> Iterator[Keycloak]:
    """A server from an unpacked distribution, with its realm. `log`: where its own words go."""
    password = Secret(secrets.token_urlsafe(24))
    port = free_port()
    sso = Keycloak(f"http://127.0.0.1:{port}", password)
    login = {"KC_BOOTSTRAP_ADMIN_USERNAME": ADMIN, "KC_BOOTSTRAP_ADMIN_PASSWORD": password.reveal()}
    command = [str(home / "bin" / "kc.sh"), *OPTIONS, str(port)]
    with answering(command, log, f"{sso.url}/realms/master", BOOT, {**HEAP, **login}):
        sso.admin("POST", "/admin/realms", {"realm": REALM, "enabled": True, **RENEWING})
        yield sso


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
