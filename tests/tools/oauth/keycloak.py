"""A real Keycloak on loopback, from Maven, and the realm that people would set up in it; it lives in memory."""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rotator.rotation.secret import Secret
from tests.kit.certificates import Authority
from tests.sandbox.openbao import free_port
from tests.tools.oauth.journey import bearer, call, form
from tests.tools.oauth.server import (
    NICE,
    Client,
    Offer,
    Running,
    answering,
    basic,
    distribution,
    installed,
)

VERSION = "26.5.1"
ADMIN, REALM, ADA = "loopback-admin", "shop", "ada"
PATH = f"/realms/{REALM}/protocol/openid-connect"
CALM = {"JAVA_OPTS_KC_HEAP": "-Xms64m -Xmx400m", "JAVA_OPTS_APPEND": "-XX:TieredStopAtLevel=1"}
BOOT = 300.0  # seconds; 68 s were measured on a busy machine
AUTHENTICATORS = {"private_key_jwt": "client-jwt", "client_secret_jwt": "client-secret-jwt"}
AUTHENTICATORS |= {"tls_client_auth": "client-x509"}
# An access token lives for ten minutes; a refresh token is used once.
REALM_OF_OURS = {"realm": REALM, "enabled": True, "accessTokenLifespan": 600, "revokeRefreshToken": True}


def install() -> Path:
    """Unpacked, and built for a database in memory and for the certificates of clients."""

    def fill(folder: Path) -> None:
        distribution(folder, f"org.keycloak:keycloak-quarkus-dist:{VERSION}", "tar.gz")
        build = [str(folder / "bin" / "kc.sh"), "build", "--db=dev-mem", "--https-client-auth=request"]
        subprocess.run([*NICE, *build], check=True, capture_output=True)

    return installed(f"keycloak-{VERSION}", f"Keycloak {VERSION} from Maven (160 MB)", fill)


class Keycloak:
    """Its administrator's view."""

    def __init__(self, url: str, outside: str, password: Secret) -> None:
        """`outside`: what it calls itself."""
        self.url, self.outside = url, outside
        self._password = password
        self._bearer = ("", 0.0)
        self._asking = Client("asking", "client_secret_basic", secret=secrets.token_urlsafe(24))

    def admin(self, method: str, path: str, body: object = None) -> Any:
        """One call of the Admin REST API. Raises AssertionError when it is refused."""
        status, told = call(method, f"{self.url}/admin/realms{path}", f"Bearer {self._token()}", body)
        assert status < 300, f"{method} {path}: {status} {told}"
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

    def settle(self, clients: list[Client], password: str) -> dict[str, dict[str, Any]]:
        """The realm, and what settings have to know of each client."""
        self.admin("POST", "", REALM_OF_OURS)
        # All that the realm's profile demands: else the direct grant says `invalid_grant`.
        ada = {"username": ADA, "enabled": True, "email": "ada@example.org", "emailVerified": True}
        ada |= {"firstName": "Ada", "lastName": "Lovelace"}
        kept = {"type": "password", "value": password, "temporary": False}
        self.admin("POST", f"/{REALM}/users", {**ada, "credentials": [kept]})
        self.register(self._asking)
        return {each.name: self.register(each) for each in clients}

    def register(self, client: Client) -> dict[str, Any]:
        """What settings have to know of it."""
        attributes = {"token.endpoint.auth.signing.alg": client.algorithm} if client.algorithm else {}
        if client.jwks:
            attributes |= {"use.jwks.url": "true", "jwks.url": client.jwks}
        if client.key:
            attributes |= {"use.jwks.string": "true", "jwks.string": json.dumps({"keys": [client.key]})}
        if client.certificate:
            attributes |= {"x509.subjectdn": f"CN={client.name}", "x509.allow.regex.pattern.comparison": "false"}
        # An update by RFC 7592 looks a client up by its internal id: 500 unless that is its client_id.
        body = {
            "id": client.name,
            "clientId": client.name,
            "enabled": True,
            "protocol": "openid-connect",
            "attributes": attributes,
        }
        body |= {"publicClient": client.method == "none", "redirectUris": ["https://shop.example/back"]}
        body |= {"serviceAccountsEnabled": client.grant == "client_credentials", "standardFlowEnabled": False}
        body |= {"directAccessGrantsEnabled": client.grant != "client_credentials"}
        body |= {"clientAuthenticatorType": AUTHENTICATORS.get(client.method, "client-secret")}
        self.admin("POST", f"/{REALM}/clients", body | ({"secret": client.secret} if client.secret else {}))
        if not client.key:
            return {}
        where = f"{self.outside}/realms/{REALM}/clients-registrations/openid-connect/{client.name}"
        return {"registration_client_uri": where, "registration_access_token": self.renew(client)}

    def renew(self, client: Client) -> str:
        """Another registration access token, by the button on the page "Credentials"."""
        told = self.admin("POST", f"/{REALM}/clients/{client.name}/registration-access-token")
        return str(told["registrationAccessToken"])

    def consent(self, client: Client, password: str) -> str:
        """A refresh token, as a person brings one; the direct grant stands in for the browser."""
        wish = {"grant_type": "password", "client_id": client.name, "username": ADA, "password": password}
        wish |= {"scope": "openid offline_access"} | ({"client_secret": client.secret} if client.secret else {})
        status, told = form(f"{self.url}{PATH}/token", wish)
        assert status == 200, f"no refresh token for {client.name}: {status} {told.get('error')}"
        return str(told["refresh_token"])

    def active(self, token: str) -> bool:
        """RFC 7662."""
        url = f"{self.url}{PATH}/token/introspect"
        return bool(form(url, {"token": token}, basic(self._asking))[1].get("active"))


@contextmanager
def run(folder: Path, outside: str, clients: list[Client], password: str, tls: Authority) -> Iterator[Running]:
    """`folder`: for its log. Plain http for most, TLS for who shows a certificate."""
    port, secure, management = free_port(), free_port(), free_port()
    sso = Keycloak(f"http://127.0.0.1:{port}", outside, Secret(secrets.token_urlsafe(24)))
    login = {"KC_BOOTSTRAP_ADMIN_USERNAME": ADMIN, "KC_BOOTSTRAP_ADMIN_PASSWORD": sso._password.reveal()}
    options = {"http-enabled": "true", "http-host": "127.0.0.1", "http-port": port, "https-port": secure}
    options |= dict.fromkeys(("https-certificate-file", "https-certificate-key-file"), tls.issue())
    options |= {"truststore-paths": tls.ca_file, "hostname": outside, "hostname-backchannel-dynamic": "false"}
    options |= {"http-management-port": management, "cache": "local", "hostname-strict": "false"}
    command = [str(install() / "bin" / "kc.sh"), "start", "--optimized"]
    command += [f"--{name}={value}" for name, value in options.items()]
    with answering(command, folder / "keycloak.log", f"{sso.url}/realms/master", BOOT, {**CALM, **login}):
        known = sso.settle(clients, password)
        yield Running(
            sso.url,
            opens=lambda token: bearer(f"{sso.url}{PATH}/userinfo", token) == 200,
            active=sso.active,
            consent=lambda client: sso.consent(client, password),
            renew=sso.renew,
            target={"issuer": f"{outside}/realms/{REALM}", "audience": "issuer", "max_age": "60s"},
            options=known,
            secure=f"https://127.0.0.1:{secure}",
        )


OFFER = Offer(
    run,
    names=(
        *("basic", "post", "secret-jwt", "ps256", "es384", "ps512", "eddsa", "tls", "password"),
        *("renewed", "public", "asserted", "pool", "transit", "key-url", "key-put"),
    ),
    scopes=("openid",),
    probe=f"{PATH}/userinfo",
    token=f"{PATH}/token",
    revocation=f"{PATH}/revoke",
    identity={"preferred_username": ADA},
    jwks_cache=12.0,  # it reads a set anew ten seconds after it last did, at the earliest
    ends=False,
)
