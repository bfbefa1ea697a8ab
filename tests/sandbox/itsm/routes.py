"""Which call reaches which endpoint, and who may make it. What the call does is left to the endpoints."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import unquote

from tests.sandbox.itsm.application_api import ApplicationApi
from tests.sandbox.itsm.applications import Application, bound_to
from tests.sandbox.itsm.grants import Grant
from tests.sandbox.itsm.model import ItsmModel
from tests.sandbox.itsm.refusals import Refusal, api
from tests.sandbox.itsm.registrations import PATH
from tests.sandbox.itsm.revocation import RevocationEndpoint
from tests.sandbox.itsm.token_endpoint import TokenEndpoint
from tests.sandbox.messages import Request, Response

_ROOT = "sys-all-permissions"
_PUBLIC = {"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/auth/jwks"}
_KEYS = {"keys": [{"kty": "oct", "kid": "opaque tokens are signed by nobody"}]}
_ANY = ""  # a scope of whatever kind


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls the resource server: an application, and what it was granted. An API key has all its scopes."""

    application: Application
    grant: Grant

    def may(self, scope: str) -> bool:
        """Whether the grant has the scope; administration asks for the highest role as well."""
        if scope == "admin" and _ROOT not in self.application.roles and self.application.agent is None:
            return False
        return scope == _ANY or self.grant.covers(scope)


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint; groups of `path` are handed over decoded."""

    method: str
    path: str
    scope: str
    serve: Callable[..., Response]


class ItsmSite:
    """The whole site."""

    def __init__(self, model: ItsmModel) -> None:
        """Acts on the model."""
        self._model = model
        self._tokens = TokenEndpoint(model)
        self._revocation = RevocationEndpoint(model, self._tokens)
        own = ApplicationApi(model)
        self._routes = (
            Route("GET", "/api/Application", "admin", own.list),
            Route("POST", "/api/Application", "admin", own.post),
            Route("GET", "/api/Application/([^/]+)", "admin", own.get),
            Route("DELETE", "/api/Application/([^/]+)", "admin", own.delete),
            Route("GET", "/api/Status", _ANY, lambda request: Response.document([{"id": 1, "name": "New"}])),
            Route("GET", "/api/Tickets", "read:tickets", lambda request: Response.document({"record_count": 0})),
        )

    def answer(self, request: Request) -> Response:
        """Do what is asked and answer."""
        if refused := self._model.throttle.refuse():
            return refused
        try:
            return self._answer(request)
        except Refusal as refusal:
            return refusal.response

    def stand_in(self, request: Request, status: int, retry_after: str | int | None) -> Response:
        """What an injected failure of this status looks like here."""
        headers: tuple[tuple[str, str], ...] = (("Content-Type", "text/plain"),)
        if retry_after is not None:
            headers += (("Retry-After", str(retry_after)),)
        return Response(status, headers, b"Something broke.")

    def _answer(self, request: Request) -> Response:
        path = request.path
        if (request.method, path) == ("POST", "/auth/token"):
            return self._tokens.serve(request)
        if (request.method, path) == ("POST", "/auth/revoke"):
            return self._revocation.revoke(request)
        if (request.method, path) == ("POST", "/auth/introspect"):
            return self._revocation.introspect(request)
        if (request.method, path.lower()) == ("GET", "/api/authinfo"):
            names = self._model.names()
            return Response.document({"auth_url": names["auth_url"], "tenant_id": self._model.tenant})
        if path.startswith(PATH):
            return self._model.registrations.serve(request)
        if self._model.discovery and request.method == "GET" and path in _PUBLIC:
            return Response.document(_KEYS if path == "/auth/jwks" else self._model.metadata())
        if not path.startswith("/api/"):
            return Response(404)
        caller = self._identify(request)
        answer = self._serve(request, path, caller)
        return replace(answer, caller=caller.application.name)

    def _serve(self, request: Request, path: str, caller: Caller) -> Response:
        if (request.method, path) == ("GET", "/api/Agent/me"):
            return self._me(caller)
        for route in self._routes:
            found = re.fullmatch(route.path, path)
            if found and route.method == request.method:
                if not caller.may(route.scope):
                    raise api(403, "You do not have permission")
                return route.serve(request, *map(unquote, found.groups()))
        raise api(404, "Not found")

    def _me(self, caller: Caller) -> Response:
        application = caller.application
        if application.agent is not None:
            name = self._model.agents[application.agent]
            return Response.document({"id": application.agent, "name": name, "isagent": True})
        if self._model.lone_me != 200:
            raise api(self._model.lone_me, "This login is no agent")
        return Response.document({"id": 0, "name": application.name, "isagent": False})

    def _identify(self, request: Request) -> Caller:
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        grant = self._model.grants.find(value) if scheme.lower() == "bearer" else None
        if grant is not None and grant.bound not in ("", bound_to(request.certificate)):
            raise api(401, "The token is bound to another certificate")
        if grant is not None and grant.scopes:
            owner = self._model.client(grant.client_id)
            if owner is not None:
                return Caller(owner, grant)
        bearer = value if self._model.key_header == "authorization" else ""
        application = self._model.keyed(request.headers.get("x-api-key", bearer))
        if application is None:
            raise api(self._model.refuses_with, "Not authorised")
        return Caller(application, Grant(application.client_id, frozenset(application.scopes), self._model.clock()))
