"""Who is calling: PAT, Basic, session cookie or nobody, with the challenges each release answers.

What the caller may do is left to `routes`.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from enum import StrEnum

from tests.sandbox.cms import roles
from tests.sandbox.cms.model import HaloModel
from tests.sandbox.cms.tokens import PREFIX, BadToken
from tests.sandbox.cms.versions import Junk
from tests.sandbox.messages import Request, Response

_BEARER = re.compile(r"bearer (?P<token>[A-Za-z0-9\-._~+/]+=*)", re.IGNORECASE)
_SESSION = re.compile(r"(?:^|;\s*)SESSION=([^;\s]+)")
_RFC = "https://tools.ietf.org/html/rfc6750#section-3.1"


class By(StrEnum):
    """How a caller proved who it is."""

    NOTHING = "nothing"
    TOKEN = "token"
    PASSWORD = "password"


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated or anonymous caller. `label` is safe to show; `cookie` goes into the answer."""

    by: By
    user: str
    roles: tuple[str, ...]
    label: str
    cookie: str | None = None

    def holds(self, role: str) -> bool:
        """Whether the credential's roles include this one."""
        return roles.suffice(self.roles, (role,))


NOBODY = Caller(By.NOTHING, "anonymousUser", (roles.ANONYMOUS,), "anonymous")


def unauthorized(challenge: str | None, label: str) -> Response:
    """401 with an empty body."""
    return Response(401, (("WWW-Authenticate", challenge),) if challenge else (), caller=label)


def bearer_challenge(error: str, description: str) -> str:
    """The challenge that answers a refused token."""
    return f'Bearer error="{error}", error_description="{description}", error_uri="{_RFC}"'


class Authenticator:
    """Tells callers apart; keeps the sessions that Basic Auth starts."""

    def __init__(self, model: HaloModel) -> None:
        """Reads users, records and the clock from the model."""
        self._model = model
        self._sessions: dict[str, str] = {}

    def identify(self, request: Request) -> Caller | Response:
        """The caller, or the answer that ends the call here. A good PAT's use is noted in its record."""
        header = request.headers.get("authorization", "")
        if header.lower().startswith("bearer"):
            found = _BEARER.fullmatch(header)
            if not found:
                return unauthorized(bearer_challenge("invalid_token", "The header is malformed"), "unknown")
            return self._by_token(found["token"], request)
        if header.lower().startswith("basic ") and self._model.basic_auth:
            return self._by_password(header[6:], request)
        return self._by_session(request)

    def _by_token(self, token: str, request: Request) -> Caller | Response:
        if not token.startswith(PREFIX):
            return self._junk(request)
        try:
            claims = self._model.signer.read(token)
        except BadToken:
            return unauthorized(bearer_challenge("invalid_token", "Not a token of this site"), "unknown")
        now = self._model.clock()
        record = self._model.records.get(claims.name)
        if record is None:
            return unauthorized("Bearer", claims.name)
        if record.token_id != claims.token_id or not record.accepted(now):
            return unauthorized(bearer_challenge("invalid_token", "The token is no longer valid"), claims.name)
        record.note_use(now)
        held = (roles.ANONYMOUS, roles.AUTHENTICATED, *(record.roles or ()))
        return Caller(By.TOKEN, record.owner, held, record.name)

    def _junk(self, request: Request) -> Caller | Response:
        """A Bearer value without the prefix: each generation had its own idea."""
        if self._model.traits.junk is Junk.REFUSED:
            return unauthorized(bearer_challenge("invalid_token", "Not a token"), "unknown")
        if self._model.traits.junk is Junk.IGNORED:
            return self._by_session(request)
        gone = "remember-me=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/; HTTPOnly; SameSite=Lax"
        return Response(200, (("Set-Cookie", gone),), caller="unknown")

    def _by_password(self, credentials: str, request: Request) -> Caller | Response:
        try:
            name, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
        except ValueError:
            name, password = "", ""
        user = self._model.users.get(name)
        if user is None or user.disabled or not user.knows(password):
            # A script's call gets no challenge: a browser would open its password window.
            quiet = is_scripted(request)
            return unauthorized(None if quiet else 'Basic realm="Realm"', "unknown")
        session = f"{self._model.random.getrandbits(128):032x}"
        self._sessions[session] = name
        lax = "; SameSite=Lax" if self._model.traits.lax_cookie else ""
        return self._as_user(name, f"basic:{name}", f"SESSION={session}; Path=/; HTTPOnly{lax}")

    def _by_session(self, request: Request) -> Caller:
        found = _SESSION.search(request.headers.get("cookie", ""))
        name = self._sessions.get(found[1]) if found else None
        if name is None or self._model.users.get(name) is None:
            return NOBODY
        return self._as_user(name, f"session:{name}", None)

    def _as_user(self, name: str, label: str, cookie: str | None) -> Caller:
        held = (roles.ANONYMOUS, roles.AUTHENTICATED, *self._model.users.require(name).roles)
        return Caller(By.PASSWORD, name, held, label, cookie)


def is_scripted(request: Request) -> bool:
    """Whether the XHR header is there."""
    return request.headers.get("x-requested-with", "").lower() == "xmlhttprequest"
