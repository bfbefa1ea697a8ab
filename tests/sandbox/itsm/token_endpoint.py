"""The token endpoint: who is this client, what may it have, an access token or a refusal.

How an assertion is judged is left to `assertions`.
"""

from __future__ import annotations

import hmac
from base64 import b64decode
from collections.abc import Callable
from urllib.parse import parse_qsl, unquote_plus

from tests.sandbox.itsm.applications import Application, bound_to, digest
from tests.sandbox.itsm.assertions import subject
from tests.sandbox.itsm.grants import SCOPES
from tests.sandbox.itsm.model import ItsmModel
from tests.sandbox.itsm.refusals import crash, oauth
from tests.sandbox.messages import Request, Response

FORM = "application/x-www-form-urlencoded"
Granting = Callable[[dict[str, str], Application], tuple[frozenset[str], str]]  # scopes, and the next refresh token
BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class TokenEndpoint:
    """Answers POST /auth/token."""

    def __init__(self, model: ItsmModel) -> None:
        """Acts on the model."""
        self._model = model
        self._granting: dict[str, Granting] = {
            "client_credentials": lambda form, application: (self._scopes(form.get("scope", ""), application), ""),
            "password": self._password,
            "refresh_token": self._refresh,
        }

    def serve(self, request: Request) -> Response:
        """One token request. Raises Refusal; a wrong tenant is a 500, as seen on hosted instances."""
        form = read_form(request)
        tenant = (request.parameters("tenant") or [form.get("tenant", "")])[0]
        if tenant != self._model.tenant:
            raise crash()
        granting = self._granting.get(form.get("grant_type", ""))
        if granting is None:
            raise oauth("unsupported_grant_type", "This grant type is not supported")
        application = self.authenticated(form, certificate=request.certificate)
        if application.public and form["grant_type"] == "client_credentials":
            raise oauth("unauthorized_client", "A public client has no credentials")
        resources = self._resources(form)
        scopes, renewal = granting(form, application)
        by_tls = self._model.rules.binds_tokens and bool(application.certificate or application.subject)
        bound = bound_to(request.certificate) if by_tls else ""
        value = self._model.grants.issue(application.client_id, scopes, self._model.token_life, resources, bound)
        seconds = int(self._model.token_life.total_seconds())
        shown: dict[str, object] = {"access_token": value, "token_type": "Bearer", "expires_in": seconds}
        if self._model.rules.tells_scope and scopes:
            shown["scope"] = " ".join(sorted(scopes))
        if renewal:
            shown["refresh_token"] = renewal
        answer = Response.document(shown)
        return Response(answer.status, (*answer.headers, ("Cache-Control", "no-store")), answer.body, application.name)

    def _resources(self, form: dict[str, str]) -> frozenset[str]:
        """For whom the token is to be good: `audience`, as Ory Hydra has it, or `resource`, perhaps several."""
        known = self._model.rules.resources
        asked = frozenset(f"{form.get('audience', '')} {form.get('resource', '')}".split())
        if known is not None and not asked <= set(known):
            raise oauth("invalid_target", "Requested audience has not been whitelisted by the OAuth 2.0 Client.")
        return frozenset() if known is None else asked

    def _password(self, form: dict[str, str], application: Application) -> tuple[frozenset[str], str]:
        known = self._model.users.get(form.get("username", ""), "")
        if not known or not hmac.compare_digest(known, digest(form.get("password", ""))):
            raise oauth("invalid_grant", "The username/password couple is invalid.")
        return self._scopes(form.get("scope", ""), application), ""

    def _refresh(self, form: dict[str, str], application: Application) -> tuple[frozenset[str], str]:
        """Scopes may be fewer than authorised (RFC 6749, section 6); without any, they are all of them."""
        rules, refreshes = self._model.rules, self._model.refreshes
        scopes, renewal = refreshes.redeem(form.get("refresh_token", ""), application.client_id, rules)
        if rules.refresh_ends_access:
            self._model.grants.revoke(application.client_id)
        asked = frozenset(form.get("scope", "").split())
        return asked & scopes if asked else scopes, renewal

    def authenticated(self, form: dict[str, str], endpoint: str = "token", certificate: bytes = b"") -> Application:
        """The client that proves itself at this endpoint. Raises Refusal."""
        assertion, rules = form.get("client_assertion", ""), self._model.rules
        named = subject(assertion) if assertion else form.get("client_id", "")
        if assertion and not named:
            raise oauth("invalid_client", "Issuer or subject missing", rules.nobody)
        if assertion and form.get("client_id", named) != named:
            status, error = rules.other_client
            raise oauth(error, "The form names another client", status)
        application = self._model.client(named)
        if application is None:
            raise oauth("invalid_client", "The specified 'client_id' parameter is invalid.", 401)
        if form.get("client_secret") and not application.knows(form["client_secret"]):
            raise oauth(rules.badly_proven, "The specified client credentials are invalid.", 401)
        if application.certificate or application.subject:
            if not (application.is_shown_by(certificate) or self._model.trusts_names):
                raise oauth("invalid_client", "Certificate authentication failed", rules.status)
            return application
        if application.shared_secret and form.get("client_secret"):
            raise oauth("invalid_request", "A client proves itself in one way")
        if application.demands_assertion:
            self._check_assertion(form, assertion, application, endpoint)
        bare = not form.get("client_secret") and not application.public
        if bare and (rules.with_secret or not application.demands_assertion):
            raise oauth(rules.badly_proven, "The 'client_secret' parameter is missing.", 401)
        return application

    def _check_assertion(self, form: dict[str, str], assertion: str, application: Application, endpoint: str) -> None:
        if not assertion:
            raise oauth("invalid_client", "A client assertion is required", self._model.rules.status)
        if form.get("client_assertion_type") != BEARER:
            raise oauth("invalid_client", "The assertion type is missing or unknown", self._model.rules.status)
        names = self._model.names()
        if self._model.rules.own_audience:
            names["token_url"] = f"{self._model.url}/auth/{endpoint}"
        self._model.assertions.check(assertion, application, self._model.rules, names)

    def _scopes(self, wanted: str, application: Application) -> frozenset[str]:
        """A request without scope is granted none: 200, and a token that no call takes."""
        asked = set(wanted.split())
        if asked - SCOPES and not self._model.rules.drops_scopes:
            raise oauth("invalid_scope", "The specified 'scope' parameter is not valid.")
        asked &= SCOPES
        if "all" in application.scopes:
            return frozenset(asked)
        if asked - set(application.scopes):
            error = "invalid_scope" if self._model.rules.drops_scopes else "invalid_request"
            raise oauth(error, "This client application is not allowed to use the specified scope.")
        return frozenset(asked)


def read_form(request: Request) -> dict[str, str]:
    """A form, and what the header says of the client. Raises Refusal."""
    if request.media_type != FORM:
        raise oauth("invalid_request", "The body is not a form")
    pairs = parse_qsl(request.body.decode("ascii", "replace"), keep_blank_values=True)
    resources = [value for name, value in pairs if name == "resource"]
    pairs = [*((name, value) for name, value in pairs if name != "resource"), ("resource", " ".join(resources))]
    if len({name for name, _ in pairs}) != len(pairs):
        raise oauth("invalid_request", "A parameter is repeated")
    return dict(pairs) | _named_in_header(request, dict(pairs))


def _named_in_header(request: Request, form: dict[str, str]) -> dict[str, str]:
    """Name and secret of a client that sends them by Basic Auth, each quoted as in a form (RFC 6749, section 2.3.1)."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return {}
    if form.keys() & {"client_secret", "client_assertion"}:
        raise oauth("invalid_request", "A client proves itself in one way")
    try:
        name, _, secret = b64decode(value, validate=True).decode().partition(":")
    except ValueError:
        raise oauth("invalid_request", "The header cannot be read") from None
    return {"client_id": unquote_plus(name), "client_secret": unquote_plus(secret)}
