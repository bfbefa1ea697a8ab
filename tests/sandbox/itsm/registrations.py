"""Registrations that clients read and change themselves (RFC 7592), as Ory Hydra 2.3.0 and Keycloak 26.5.1 do it.

What a key in `jwks` is good for is left to `key_sets`.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from rotator.rotation.secret import Secret
from tests.sandbox.itsm.applications import Application, digest
from tests.sandbox.itsm.refusals import Refusal, oauth
from tests.sandbox.messages import HTML, Request, Response

PATH = "/register/"
_KEY_MEMBERS = ("kty", "kid", "use", "alg", "n", "e", "crv", "x", "y")  # those that Hydra knows
_FORBIDDEN = ("registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at")


@dataclass(slots=True)
class Registered:
    """One client as the server has it, the digest of its token, and the bodies of updates."""

    client: dict[str, Any]
    token: str
    updates: list[dict[str, Any]] = field(default_factory=list)


class Registrations:
    """The registrations. The fields are how this server behaves."""

    def __init__(self) -> None:
        self.known: dict[str, Registered] = {}
        self.next_token = True  # an update's answer has another token, and the one before ends
        self.next_token_on_read = False  # a look does so as well
        self.drops_members = True  # of keys, that it does not know
        self.does_nothing = False  # an update is answered 200, and changes nothing
        self.answers_with_a_page = False
        self.allows_updates = True

    def register(self, application: Application, jwks: object = None, *, token: str = "", **client: Any) -> Secret:
        """Make the application one that registered itself. Returns its registration access token."""
        token = token or f"rat-{secrets.token_urlsafe(24)}"
        told: dict[str, Any] = {"client_id": application.client_id, "token_endpoint_auth_method": "private_key_jwt"}
        told |= {"client_name": application.name, "contacts": [], "software_id": None, "jwks": jwks or {"keys": []}}
        self.known[application.client_id] = Registered({**told, **client}, digest(token))
        application.jwks = lambda: json.dumps(self.known[application.client_id].client.get("jwks") or {"keys": []})
        application.rereads, application.public_key, application.kid = True, "", ""
        application.demands_assertion = True
        return Secret(token)

    def renew(self, application: Application) -> Secret:
        """As an administrator does it: another token, and the one before ends."""
        token = f"rat-{secrets.token_urlsafe(24)}"
        self.known[application.client_id].token = digest(token)
        return Secret(token)

    def takes(self, application: Application, token: str) -> bool:
        """Whether this is the client's registration access token."""
        return self.known[application.client_id].token == digest(token)

    def kids(self, application: Application) -> list[str]:
        """The `kid` of each of its keys."""
        return [each["kid"] for each in self.known[application.client_id].client["jwks"]["keys"]]

    def serve(self, request: Request) -> Response:
        """Answer a look or an update."""
        found = self.known.get(request.path.removeprefix(PATH))
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if found is None or found.token != digest(token):
            raise Refusal(Response.document({"error": "The request could not be authorized"}, 401))
        if request.method == "GET":
            return self._shown(request, found, another=self.next_token_on_read)
        if request.method != "PUT":
            raise Refusal(Response(405))
        if not self.allows_updates:
            raise oauth("access_denied", "This client may not be updated", 403)
        self._update(found, json.loads(request.body))
        answer = self._shown(request, found, another=self.next_token)
        return Response(200, (("Content-Type", HTML),), b"<html>") if self.answers_with_a_page else answer

    def _update(self, found: Registered, told: dict[str, Any]) -> None:
        """The update replaces the client."""
        if any(name in told for name in _FORBIDDEN) or told.get("client_id") != found.client["client_id"]:
            raise oauth("invalid_request", "An update has what RFC 7592, section 2.2, forbids")
        if told.get("jwks") and told.get("jwks_uri"):
            raise oauth("invalid_client_metadata", "jwks and jwks_uri exclude each other")
        if told.get("client_secret", found.client.get("client_secret")) != found.client.get("client_secret"):
            raise oauth("access_denied", "A secret cannot be chosen", 403)
        if self.does_nothing:
            return
        if self.drops_members:
            keys = [{name: key[name] for name in _KEY_MEMBERS if name in key} for key in told["jwks"]["keys"]]
            told = {**told, "jwks": {"keys": keys}}
        found.client = told
        found.updates.append(told)

    def _shown(self, request: Request, found: Registered, *, another: bool) -> Response:
        more: dict[str, Any] = {"registration_client_uri": f"{request.origin}{request.path}", "client_id_issued_at": 1}
        if another:
            token = f"rat-{secrets.token_urlsafe(24)}"
            found.token = digest(token)
            more["registration_access_token"] = token
        return Response.document({**found.client, **more, "client_secret_expires_at": 0})
