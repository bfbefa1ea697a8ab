"""The settings of `make try-keycloak`: those of config/examples, with this server's address and own keys.

The server is keycloak.py's; Vault, the command line and the table are journey.py's.
"""

from __future__ import annotations

import secrets
import tomllib
from pathlib import Path
from typing import Any

from rotator.rotation.secret import Secret
from tests.tools.oauth.consumers import exchanged, signed
from tests.tools.oauth.journey import Journey, bearer, form
from tests.tools.oauth.keycloak import ADA, REALM, Keycloak

EXAMPLES = Path(__file__).parents[3] / "config" / "examples"


class Shop:
    """A shop that signs in at Keycloak: its settings grow with each chapter."""

    def __init__(self, sso: Keycloak, journey: Journey) -> None:
        self.sso = sso
        self.journey = journey
        self._kept: dict[str, dict[str, str]] = {}

    # --- settings ---------------------------------------------------------------------------------------------------

    def clear(self) -> None:
        """A new chapter: nothing is in the settings."""
        self.journey.targets, self.journey.credentials = {}, {}

    def add(self, name: str, example: str, target: dict[str, Any] | None = None, **keys: Any) -> None:
        """A credential as an example has it, on the target of the example; keys given here replace the example's, and
        None takes one away."""
        text = (EXAMPLES / f"{example}.toml").read_text().replace("https://sso.example", self.sso.url)
        document = tomllib.loads(text)
        (taken,) = document["credentials"].values()
        at = "sso" if target is None else f"sso-{name}"
        self.journey.targets[at] = {**sso_of(self.sso), **(target or {}), "calls": 2000}
        taken |= {"target": at, "client_id": name, "path": f"apps/{name}", **keys}
        self.journey.credentials[name] = {key: value for key, value in taken.items() if value is not None}
        self.journey.save()

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
        self.journey.hand_over(name, told["refresh_token"])

    # --- what is seen -----------------------------------------------------------------------------------------------

    def checked(self) -> str:
        """`rotate check`, which must not refuse anything; what it warns of."""
        shown = self.journey.rotate("check", expect=0)
        return "; ".join(line.strip() for line in shown.splitlines() if "warning" in line.lower())

    def exchange(self, client: str, assertion: str) -> tuple[int, dict[str, Any]]:
        """A token request as a consumer with an assertion makes it."""
        return exchanged(self.sso.token_url, assertion, "openid", client)

    def opens(self, access_token: str) -> bool:
        """Whether an access token opens what it is for."""
        return bearer(self.sso.userinfo, access_token) == 200

    def signed(self, read: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """A token request as a consumer makes it that signs with the published key."""
        return self.exchange(read["client_id"], signed(read))


def sso_of(sso: Keycloak) -> dict[str, Any]:
    """The target that all examples have."""
    text = (EXAMPLES / "client-assertion.toml").read_text().replace("https://sso.example", sso.url)
    return dict(tomllib.loads(text)["targets"]["sso"])
