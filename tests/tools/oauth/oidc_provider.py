"""A real node oidc-provider as a process of server.mjs, and what its consumers do; nothing of ours signs here.

The story that is told with it is try_oidc_provider.py's.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import jwt

from tests.tools.oauth.journey import bearer, form

BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SERVER = Path(__file__).with_name("server.mjs")


def missing(modules: Path) -> str:
    """What keeps us from trying, and what would enable it; empty when nothing does."""
    if shutil.which("node") is None:
        return "node not found: install node 20 or newer"
    if not (modules / "node_modules" / "oidc-provider").is_dir():
        return f"no node_modules/oidc-provider in {modules}: cd {modules} && npm install oidc-provider@9.13.3"
    return ""


class OidcProvider:
    """`with OidcProvider(...) as server:` starts it, and ends it by its process id."""

    def __init__(self, modules: Path, folder: Path, settings: Mapping[str, Any]) -> None:
        """`settings`: see server.mjs; they are kept in a file that only we may read."""
        self._modules = modules
        self._settings = folder / "oidc-provider.json"
        self._settings.touch(0o600)
        self._settings.write_text(json.dumps(settings))
        self.log = folder / "oidc-provider.log"
        self.issuer = self.version = ""

    def __enter__(self) -> Self:
        found = json.loads((self._modules / "node_modules" / "oidc-provider" / "package.json").read_text())
        self.version = found["version"]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                ["node", str(SERVER), str(self._modules.absolute()), str(self._settings)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError(f"it did not start: {self.log.read_text()[-1500:]}")
        self.issuer = json.loads(line)["issuer"]
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)
        if self._process.stdout:
            self._process.stdout.close()

    @property
    def target(self) -> dict[str, Any]:
        """The target's settings, as the examples have them."""
        where = {"url": self.issuer, "token_url": f"{self.issuer}/token", "issuer": self.issuer}
        return {"kind": "oauth", **where, "audience": "issuer", "settle": "1s"}

    # --- what consumers do ------------------------------------------------------------------------------------------

    def presented(self, assertion: str, scope: str = "api:read") -> tuple[int, dict[str, Any]]:
        """An exchange of an assertion."""
        grant = {"grant_type": "client_credentials", "scope": scope}
        return form(f"{self.issuer}/token", {**grant, "client_assertion_type": BEARER, "client_assertion": assertion})

    def opened(self, assertion: str) -> None:
        """Exchange an assertion for a token that opens the resource. Raises AssertionError."""
        status, told = self.presented(assertion)
        assert status == 200, f"a published assertion got {status} {told.get('error')}"
        assert bearer(f"{self.issuer}/api/me", told["access_token"]) == 200, "its access token opens nothing"

    def signed_by(self, document: Mapping[str, str]) -> int:
        """What a consumer of an `assertion-key` document gets, who signs for itself: a status."""
        now = int(time.time())
        times = {"iat": now, "exp": now + 30}
        claims = {"iss": document["iss"], "sub": document["client_id"], "aud": document["aud"], "jti": str(uuid4())}
        value = jwt.encode(
            {**claims, **times}, document["private_key"], document["algorithm"], headers={"kid": document["kid"]}
        )
        return self.presented(value)[0]

    def opens(self, access_token: str) -> bool:
        """Whether an access token opens the resource."""
        return bearer(f"{self.issuer}/api/me", access_token) == 200

    def consented(self, client: str) -> str:
        """A first refresh token, as a person in a browser would bring it about."""
        status, told = form(f"{self.issuer}/browser/consent", {"client_id": client})
        assert status == 200
        return str(told["refresh_token"])

    def refreshed(self, refresh_token: str, **client: str) -> int:
        """What a thief of a refresh token gets."""
        wish = {"grant_type": "refresh_token", "refresh_token": refresh_token, **client}
        return form(f"{self.issuer}/token", wish)[0]

    def introspected(self, token: str, client: str, secret: str) -> bool:
        """RFC 7662, asked by a client."""
        about = {"token": token, "client_id": client, "client_secret": secret}
        status, told = form(f"{self.issuer}/token/introspection", about)
        assert status == 200, f"the introspection answers {status}"
        return bool(told["active"])

    def revoked(self, token: str, client: str, secret: str) -> None:
        """RFC 7009, asked by the client itself."""
        about = {"token": token, "client_id": client, "client_secret": secret}
        assert form(f"{self.issuer}/token/revocation", about)[0] == 200
