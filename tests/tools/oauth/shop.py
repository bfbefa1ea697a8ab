"""The settings of `make try-keycloak`: those of config/examples, with this server's address and own keys.

The server is keycloak.py's; Vault, the command line and the table are journey.py's.
"""

from __future__ import annotations

import secrets
import time
import tomllib
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from rotator.rotation.secret import Secret
from tests.tools.oauth.journey import Journey, bearer, form, free_port
from tests.tools.oauth.keycloak import ADA, REALM, Keycloak

EXAMPLES = Path(__file__).parents[3] / "config" / "examples"
PATIENCE = 300.0  # seconds for one rotation, on a busy machine
ASSERTION = {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}


class Shop:
    """A shop that signs in at Keycloak: its settings grow with each chapter."""

    def __init__(self, sso: Keycloak, journey: Journey) -> None:
        self.sso = sso
        self.journey = journey
        self.listen = f"127.0.0.1:{free_port()}"
        self.targets: dict[str, Any] = {}
        self.credentials: dict[str, Any] = {}
        self._kept: dict[str, dict[str, str]] = {}

    # --- settings ---------------------------------------------------------------------------------------------------

    def clear(self) -> None:
        """A new chapter: nothing is in the settings."""
        self.targets, self.credentials = {}, {}

    def add(self, name: str, example: str, target: dict[str, Any] | None = None, **keys: Any) -> None:
        """A credential as an example has it, on the target of the example; keys given here replace the example's, and
        None takes one away."""
        text = (EXAMPLES / f"{example}.toml").read_text().replace("https://sso.example", self.sso.url)
        document = tomllib.loads(text)
        (taken,) = document["credentials"].values()
        at = "sso" if target is None else f"sso-{name}"
        self.targets[at] = {**sso_of(self.sso), **(target or {}), "calls": 2000}
        taken |= {"target": at, "client_id": name, "path": f"apps/{name}", **keys}
        self.credentials[name] = {key: value for key, value in taken.items() if value is not None}
        self.save()

    def change(self, name: str, **keys: Any) -> None:
        """Other keys of a credential."""
        self.credentials[name] |= keys
        self.save()

    def save(self) -> None:
        self.journey.write(self.targets, self.credentials, daemon={"lease": "30s"}, status={"jwks_listen": self.listen})

    def key(self, name: str) -> tuple[rsa.RSAPrivateKey, dict[str, str]]:
        """A private key, and how settings refer to it."""
        made = rsa.generate_private_key(65537, 2048)
        armour = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return made, self.journey.secret(f"{name}.pem", made.private_bytes(*armour).decode())

    def secret(self, name: str) -> Secret:
        """A new secret, kept for settings, who find it by `kept`."""
        self._kept[name] = self.journey.secret(name, made := secrets.token_urlsafe(24))
        return Secret(made)

    def kept(self, name: str) -> dict[str, str]:
        """How settings refer to it."""
        return self._kept[name]

    def known(self, name: str) -> str:
        """The secret itself."""
        return Path(self._kept[name]["file"]).read_text()

    def opening(self, **keys: Any) -> dict[str, Any]:
        """What oauth-refresh-token.toml, which is for a HaloITSM, has otherwise on this server."""
        taken = {"refresh_token": None, "identity": None, "scopes": ["openid"]}
        return {**taken, "probe": f"/realms/{REALM}/protocol/openid-connect/userinfo", **keys}

    def renew(self, name: str) -> None:
        """Settings for a client with a refresh token, which `consent` has brought."""
        self.consent(name)
        kept = self._kept.get(name)
        keys = self.opening(identity={"preferred_username": "ada"}, scopes=["openid", "offline_access"])
        keys["refresh_token"] = {"vault": f"secret/renewals/{name}#refresh_token"}
        self.add(name, "oauth-refresh-token", client_secret=kept, **keys)

    def consent(self, name: str) -> None:
        """A refresh token, as a person brings one; the direct grant stands in for the browser."""
        wish = {"grant_type": "password", "client_id": name, "username": ADA, "scope": "openid offline_access"}
        wish["password"] = self.known("ada-password")
        if name in self._kept:
            wish["client_secret"] = self.known(name)
        status, told = form(self.sso.token_url, wish)
        assert status == 200, f"no refresh token for {name}: {status} {told.get('error')}"
        self.hand_over(name, told["refresh_token"])

    def hand_over(self, name: str, refresh_token: str) -> None:
        """Write a refresh token where settings say it is."""
        self.journey.secrets.append(Secret(refresh_token))
        document = {"data": {"refresh_token": refresh_token, "by": "ada"}}
        self.journey.bao.call("POST", f"secret/data/renewals/{name}", document)

    def kept_renewal(self, name: str) -> str:
        """The refresh token that is there now."""
        return self.journey.document(f"renewals/{name}")["refresh_token"]

    # --- what is seen -----------------------------------------------------------------------------------------------

    def now(self, name: str, *words: str) -> dict[str, str]:
        """Rotate; what consumers read afterwards. Raises AssertionError when it is what they read before."""
        before = self.read(name)
        self.journey.rotate("now", name, "--within", f"{PATIENCE:g}s", *words, expect=0)
        after = self.read(name)
        assert after != before, f"{name}: nothing else was published"
        return after

    def read(self, name: str) -> dict[str, str]:
        """What consumers read."""
        return self.journey.document(self.credentials[name]["path"])

    def checked(self) -> str:
        """`rotate check`, which must not refuse anything; what it warns of."""
        shown = self.journey.rotate("check", expect=0)
        return "; ".join(line.strip() for line in shown.splitlines() if "warning" in line.lower())

    def exchange(self, client: str, assertion: str, scope: str = "openid") -> tuple[int, dict[str, Any]]:
        """A token request as a consumer with an assertion makes it."""
        wish = {"grant_type": "client_credentials", "client_id": client, "scope": scope}
        return form(self.sso.token_url, {**wish, **ASSERTION, "client_assertion": assertion})

    def opens(self, access_token: str) -> bool:
        """Whether an access token opens what it is for."""
        return bearer(self.sso.userinfo, access_token) == 200

    def signed(self, read: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """A token request as a consumer makes it that signs with the published key."""
        now = int(time.time())
        claims = {"iss": read["iss"], "sub": read["client_id"], "aud": read["aud"], "iat": now, "exp": now + 30}
        headers, key = {"kid": read["kid"]}, read["private_key"]
        made = jwt.encode({**claims, "jti": str(uuid4())}, key, read["algorithm"], headers)
        return self.exchange(read["client_id"], made)


def sso_of(sso: Keycloak) -> dict[str, Any]:
    """The target that all examples have."""
    text = (EXAMPLES / "client-assertion.toml").read_text().replace("https://sso.example", sso.url)
    return dict(tomllib.loads(text)["targets"]["sso"])
