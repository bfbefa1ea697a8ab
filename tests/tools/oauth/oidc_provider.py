"""A real node oidc-provider as a process of server.mjs, and what its consumers do; nothing of ours signs here.

The story that is told with it is oidc_story.py's.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.tools.oauth.consumers import exchanged
from tests.tools.oauth.journey import bearer, form
from tests.tools.oauth.server import announced

SERVER = Path(__file__).with_name("server.mjs")


def missing(modules: Path) -> str:
    """What keeps us from trying, and what would enable it; empty when nothing does."""
    if shutil.which("node") is None:
        return "node not found: install node 20 or newer"
    if not (modules / "node_modules" / "oidc-provider").is_dir():
        return f"no node_modules/oidc-provider in {modules}: cd {modules} && npm install oidc-provider@9.13.3"
    return ""


@contextmanager
def run(modules: Path, folder: Path, settings: Mapping[str, Any]) -> Iterator[OidcProvider]:
    """`settings`: see server.mjs; they are kept in a file that only we may read."""
    found = json.loads((modules / "node_modules" / "oidc-provider" / "package.json").read_text())
    kept = folder / "oidc-provider.json"
    kept.touch(0o600)
    kept.write_text(json.dumps(settings))
    log = folder / "oidc-provider.log"
    with announced(["node", str(SERVER), str(modules.absolute()), str(kept)], log) as server:
        yield OidcProvider(server["issuer"], found["version"], log)


@dataclass
class OidcProvider:
    """Where it is, and what its consumers do."""

    issuer: str
    version: str
    log: Path

    @property
    def target(self) -> dict[str, Any]:
        """The target's settings, as the examples have them."""
        where = {"url": self.issuer, "token_url": f"{self.issuer}/token", "issuer": self.issuer}
        return {"kind": "oauth", **where, "audience": "issuer", "settle": "1s"}

    def presented(self, assertion: str) -> tuple[int, dict[str, Any]]:
        """An exchange of an assertion."""
        return exchanged(f"{self.issuer}/token", assertion, "api:read")

    def opened(self, assertion: str) -> None:
        """Exchange an assertion for a token that opens the resource. Raises AssertionError."""
        status, told = self.presented(assertion)
        assert status == 200, f"a published assertion got {status} {told.get('error')}"
        assert bearer(f"{self.issuer}/api/me", told["access_token"]) == 200, "its access token opens nothing"

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
