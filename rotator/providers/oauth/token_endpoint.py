"""Requests to a token endpoint, and what its answers mean. Pure.

A request names the client and carries its secret (RFC 6749, section 2.3.1). An answer is a token with its scope, or a
refusal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, inf
from typing import Any

from rotator.ports import Refused
from rotator.providers.http.auth import Basic, Bearer, Unsendable, header
from rotator.providers.keys.assertion import ASSERTION_TYPE
from rotator.providers.oauth.config import AccessTokenOptions, AssertionKeyOptions, ClientOptions
from rotator.rotation.secret import Secret

_NUMBER = re.compile(r"[+-]?[0-9]{1,20}(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?")
_SECOND = timedelta(seconds=1)
_LONGEST_BACKDATE = 30  # seconds
_CENTURY = 100 * 366 * 86400  # seconds
# Waiting does not help against these.
FINAL = {"invalid_scope", "invalid_request", "invalid_target", "unsupported_grant_type"}
UNKNOWN = {"invalid_client", "unauthorized_client"}  # a proof that the server does not know (RFC 6749, section 5.2)
Words = tuple[int, str]  # of a refusal: the status, and the registered word or nothing
_WORDS = {
    "invalid_client": "invalid_client, it does not accept how the client proves itself",
    "invalid_scope": "invalid_scope, a scope that it does not know or does not give to this client",
    "unauthorized_client": (
        "unauthorized_client, its secret or key is another, or this grant is not switched on for it (on Keycloak: a"
        " service account for client_credentials, direct access for a password)"
    ),
    "unsupported_token_type": "unsupported_token_type, it does not revoke access tokens of this form",
    "invalid_grant": "invalid_grant, the password or the refresh token is wrong, spent or revoked",
    "invalid_target": "invalid_target, an audience or resource (`parameters`) that it does not give this client",
    "invalid_request": (
        "invalid_request, it wants another form (client_secret, send_client_id, send_assertion_type), or, as Ory Hydra"
        " says it, it knows no such key"
    ),
}


def introduced(
    client: ClientOptions, secret: Secret | None, assertion: Secret | None
) -> tuple[dict[str, str | Secret], Basic | None]:
    """The part of the form that names the client and proves it, and the header, if the secret is sent there.

    A client with neither secret nor key is a public one, and only its name is sent. A secret that signs is not sent.
    """
    secret = None if client.signs_by_secret else secret
    if secret is not None and client.auth_method == "client_secret_basic":
        return {}, Basic(client.client_id, secret, quoted=True)
    form: dict[str, str | Secret] = {}
    if assertion is not None:
        form["client_assertion"] = assertion
        if client.send_assertion_type:
            form["client_assertion_type"] = ASSERTION_TYPE
    if client.send_client_id or assertion is None:
        form["client_id"] = client.client_id
    if secret is not None:
        form["client_secret"] = secret
    return form, None


def to_compare(client: ClientOptions, audience: str, *, by_secret: bool, by_assertion: bool) -> str:
    """What a person should compare when a server refuses the client without a reason. It contains no secret."""
    if client.auth_method == "tls_client_auth":
        return (
            f"compare client_id {client.client_id}, and the certificate's subject with the one registered there"
            " (tls_client_auth_subject_dn, or a name of its SAN); the server must trust its authority"
        )
    if client.auth_method == "self_signed_tls_client_auth":
        return (
            f"compare client_id {client.client_id}, and the certificate with those in the client's jwks there (x5c):"
            " a new one must be there before it is used here"
        )
    if client.signs_by_secret:
        return (
            f"compare client_id {client.client_id}, client_secret, algorithm {client.algorithm} and audience {audience}"
            " with what is registered there, and that client_secret_jwt is"
        )
    if by_assertion:
        key = _where_its_key_is(client)
        kid = "the key's RFC 7638 thumbprint" if client.kid == "thumbprint" else client.kid
        return (
            f"compare client_id {client.client_id}, {'client_secret, ' if by_secret else ''}{key}, algorithm"
            f" {client.algorithm}, kid ({kid}) and audience {audience} with what is registered there"
        )
    if not by_secret:
        return f"compare client_id {client.client_id}; without a client_secret it must be registered as a public client"
    if client.client_secret is None:
        return f"compare client_id {client.client_id}; the secret is the new one"
    other = "post" if client.auth_method == "client_secret_basic" else "basic"
    return f'compare client_id {client.client_id} and client_secret; it may want auth_method = "client_secret_{other}"'


def may_not_ask(client: ClientOptions) -> str:
    """A hint, or "": for an audience that a client may not have, Ory Hydra 2.3.0 says invalid_request."""
    names = ", ".join(sorted(client.parameters))
    return f"; or it may not ask for what `parameters` name ({names}): allow it to the client there" if names else ""


def _where_its_key_is(client: ClientOptions) -> str:
    if not isinstance(client, AssertionKeyOptions):
        return "its key"
    if client.reads_set:
        return "its jwks_uri (there the server must be able to read our set: [status] jwks_listen, or jwks_file)"
    return "the jwks of its registration"


class ClientDenied(Refused):
    """An endpoint refuses this client or its request. `error`: the registered word, or empty.

    The word counts, not the status: for the same fault Keycloak 26.4.0 sends 400 where oidc-provider 9.13.3 sends 401.
    """

    def __init__(
        self, status: int, error: str, hint: str = "", endpoint: str = "token", question: str = "is it one?"
    ) -> None:
        """`hint`: what to compare when the client is refused. `endpoint`: which one; `question`: what to compare when
        none answers there, as `OAuthTargetConfig.question`."""
        words = _WORDS.get(error) or error or "no word of an OAuth server's"
        more = f": {hint}" if hint and error in UNKNOWN | {"invalid_request"} else ""
        super().__init__(f"the {endpoint} endpoint answers {status}: {words}{more}", remedy="" if error else question)
        self.error = error
        self.words: Words = status, error


class UnfitGrant(Refused):
    """A token was granted that nobody may publish. `refresh_token`: the next one, which the answer has, too."""

    def __init__(self, fault: Refused, refresh_token: Secret | None) -> None:
        super().__init__(fault.what, remedy=fault.remedy)
        self.refresh_token = refresh_token


@dataclass(frozen=True, slots=True)
class Granted:
    """A token from the token endpoint. `scopes` None: the answer did not tell."""

    access_token: Secret
    asked_at: datetime
    life: timedelta | None
    scopes: frozenset[str] | None
    refresh_token: Secret | None = None  # the next one, where the server hands one out


@dataclass(frozen=True, slots=True)
class ClockGap:
    """How far our clock is ahead of a server's; negative: behind. Its Date header has whole seconds."""

    least: timedelta
    most: timedelta

    @classmethod
    def measured(cls, asked_at: datetime, answered_at: datetime, date: datetime) -> ClockGap:
        """By the times before and after a request that was answered with this date."""
        return cls(asked_at - date - _SECOND, answered_at - date)

    @property
    def ahead(self) -> bool:
        """Certainly, by however little."""
        return self.least > timedelta()

    @property
    def behind(self) -> bool:
        """Certainly, by however little."""
        return self.most < timedelta()

    @property
    def remedy(self) -> str:
        """What a person does about it."""
        wanted = ceil(self.most.total_seconds())
        bearable = self.ahead and wanted <= _LONGEST_BACKDATE
        return "set the clocks right" + (f', or backdate = "{wanted}s"' if bearable else "")

    def __str__(self) -> str:
        low, high, word = (-self.most, -self.least, "behind") if self.behind else (self.least, self.most, "ahead of")
        span = f"{max(low.total_seconds(), 0):.1f} to {high.total_seconds():.1f} s"
        return f"our clock is {span} {word} the token endpoint's"


def granted(document: Any, asked_at: datetime, question: str = "") -> Granted:
    """Read a token answer (RFC 6749, section 5.1). Raises Refused when it holds no token, with the `question` of
    `ClientDenied`, UnfitGrant when it holds none to publish.
    """
    told = document if isinstance(document, dict) else {}
    value, life, scope, fresh = map(told.get, ("access_token", "expires_in", "scope", "refresh_token"))
    if not isinstance(value, str) or not value:
        raise Refused("the token endpoint's answer holds no access token", remedy=question)
    scopes = frozenset(scope.split()) if isinstance(scope, str) else None
    renewal = Secret(fresh) if isinstance(fresh, str) and fresh else None
    try:
        return Granted(Secret(value), asked_at, _life(life, question), scopes, renewal)
    except Refused as fault:
        raise UnfitGrant(fault, renewal) from None


def sendable(grant: Granted) -> Granted:
    """The same. Raises UnfitGrant for an access token that consumers cannot send (RFC 6750, section 2.1)."""
    try:
        header(Bearer(grant.access_token))
    except Unsendable as fault:
        raise UnfitGrant(fault, grant.refresh_token) from None
    return grant


def _life(told: Any, question: str) -> timedelta | None:
    """`expires_in` in the forms that servers use: 3600, 3599.97, 1e2, "40.5"; None when absent.

    Raises Refused for a bad value: with the settings' lifetime instead, a dead token could stay published.
    """
    if told is None:
        return None
    number = isinstance(told, int | float) and not isinstance(told, bool)
    if number or (isinstance(told, str) and _NUMBER.fullmatch(told.strip())):
        try:
            seconds = float(told)
        except OverflowError:  # an integer of 400 digits
            seconds = inf
        if _SECOND.total_seconds() <= seconds < _CENTURY:
            return timedelta(seconds=seconds)
        said = f"the token endpoint grants a token for {seconds:g} s (expires_in), which is none to publish"
        raise Refused(said, remedy="set the life of this client's access tokens there")
    said = "the token endpoint says in expires_in what is no number of seconds"
    raise Refused(said, remedy=question)


def missing_scopes(client: ClientOptions, grant: Granted, *, echoes: bool) -> str:
    """What is wrong with the granted scope, or "".

    node oidc-provider 9.13.3 drops an unknown scope without a word, and names none where none is left.
    """
    if not client.scopes:
        return ""
    if grant.scopes is None:
        told = (
            f"the server names no granted scope: either this client may have none of {', '.join(client.scopes)}, or the"
            " server never names any; only then set echoes_scope = false"
        )
        return told if echoes else ""
    lacking = sorted(set(client.scopes) - grant.scopes)
    if not lacking:
        return ""
    return f"the server did not grant: {', '.join(lacking)}; allow it to the client there, or take it out of `scopes`"


def hint(client: ClientOptions, status: int) -> str:
    """What may be the reason of this status of the test call, or ""."""
    if status == 401:
        return _unscoped(client)
    if status == 403:
        return _no_agent(client) or _no_openid(client)
    return _no_agent(client)


def _unscoped(client: ClientOptions) -> str:
    """Keycloak 26.4.0 looks for a session in vain when a refresh of an offline token asks for less than it had."""
    if not client.scopes:
        return ": no `scopes` are asked for, and such a token opens nothing on HaloITSM"
    renewed = isinstance(client, AccessTokenOptions) and client.refresh_token is not None
    if renewed and "offline_access" not in client.scopes:
        return ": where the consent named offline_access, as Keycloak wants it, `scopes` have to name it as well"
    return ""


def _no_agent(client: ClientOptions) -> str:
    """A hint: HaloITSM does not document what its own test call answers to an application without agent."""
    agents = client.probe == "/api/Agent/me"
    return ' (an application without an agent may need another, such as probe = "/api/Status")' if agents else ""


def _no_openid(client: ClientOptions) -> str:
    """OpenID Connect Core, section 5.3; Keycloak 26.4.0 says so in a header only."""
    closed = client.probe.partition("?")[0].endswith("/userinfo") and "openid" not in client.scopes
    return " (userinfo opens to the scope openid only)" if closed else ""
