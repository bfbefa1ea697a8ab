"""Which call reaches which endpoint, who may make it, and how refusals look on the wire.

Who the caller is is left to `auth`, what the call does to the endpoints' own files.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from urllib.parse import unquote

from tests.sandbox.cms import roles
from tests.sandbox.cms.accounts import Accounts
from tests.sandbox.cms.auth import Authenticator, By, Caller, bearer_challenge, is_scripted, unauthorized
from tests.sandbox.cms.model import HaloModel
from tests.sandbox.cms.pages import Pages
from tests.sandbox.cms.pats import ANY, OWN, AnyTokens, OwnTokens
from tests.sandbox.cms.refusals import BLANK, Refused, conflict, server_error
from tests.sandbox.cms.setup import Setup
from tests.sandbox.cms.times import stamp
from tests.sandbox.messages import HTML, Request, Response

_PUBLIC = roles.ANONYMOUS
_CONSOLE = "/apis/api.console.halo.run/v1alpha1"
_NO_CACHE = ("Cache-Control", "no-cache, no-store, max-age=0, must-revalidate")
_GUARDED = ("/apis/", "/api/", "/actuator/")


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint: groups of `path` are handed over decoded; `needs` is a role."""

    method: str
    path: str
    needs: str
    serve: Callable[..., Response]


def table(model: HaloModel) -> tuple[Route, ...]:
    """All endpoints that this release has."""
    own, every, accounts = OwnTokens(model), AnyTokens(model), Accounts(model)
    pages, setup, traits = Pages(model), Setup(model), model.traits
    mine, top, one = roles.AUTHENTICATED, roles.SUPER, "/([^/]+)"
    routes = [
        Route("POST", OWN, mine, own.mint),
        Route("GET", OWN, mine, own.list),
        Route("GET", OWN + one, mine, own.get),
        Route("PUT", OWN + one + "/actions/revocation", mine, own.revoke),
        Route("PUT", OWN + one + "/actions/restoration", mine, own.restore),
        Route("DELETE", OWN + one, mine, own.delete),
        Route("GET", ANY, top, every.list),
        Route("GET", ANY + one, top, every.get),
        Route("PUT", ANY + one, top, every.replace),
        Route("DELETE", ANY + one, top, every.delete),
        Route("GET", f"{_CONSOLE}/users/-", _PUBLIC, accounts.who_am_i),
        Route("GET", f"{_CONSOLE}/users/-/permissions", _PUBLIC, accounts.permissions),
        Route("POST", f"{_CONSOLE}/users", roles.MANAGE_USERS, accounts.create),
        Route("GET", "/apis/content.halo.run/v1alpha1/posts", roles.VIEW_POSTS, pages.posts),
        Route("GET", "/apis/plugin.halo.run/v1alpha1/plugins", roles.VIEW_PLUGINS, pages.plugins),
        Route("GET", "/api/v1alpha1/roles", top, pages.roles),
        Route("GET", "/api/v1alpha1/roles" + one, top, pages.role),
        Route("GET", "/actuator/health(?:/.*)?", _PUBLIC, pages.health),
        Route("GET", "/actuator/globalinfo", _PUBLIC, pages.site_facts),
        Route("GET", "/actuator/info", roles.ACTUATOR, pages.build_facts),
        Route("GET", "/login", _PUBLIC, pages.login),
    ]
    if traits.can_disable_users:
        disable = "/apis/console.api.security.halo.run/v1alpha1/users/([^/]+)/disable"
        routes.append(Route("POST", disable, roles.MANAGE_USERS, accounts.disable))
    if traits.own_profile:
        routes.append(Route("GET", "/apis/uc.api.halo.run/v1alpha1/users/-", mine, accounts.profile))
    if traits.setup_form:
        routes.append(Route("POST", "/system/setup", _PUBLIC, setup.form))
    else:
        routes.append(Route("POST", f"{_CONSOLE}/system/initialize", _PUBLIC, setup.initialise))
    return tuple(routes)


class HaloSite:
    """The whole site: identifies the caller, checks its roles, answers."""

    def __init__(self, model: HaloModel) -> None:
        """Serves the model."""
        self._model = model
        self._auth = Authenticator(model)
        self._routes = [(route, re.compile(route.path)) for route in table(model)]
        self._numbers = count(1)

    def answer(self, request: Request) -> Response:
        """Do what is asked and answer; never raises for anything a client can send."""
        caller = self._auth.identify(request)
        if isinstance(caller, Response):
            return _uncached(caller, caller.caller, None)
        try:
            response = self._serve(caller, request)
        except Refused as refusal:
            response = self._problem(request, refusal)
        return _uncached(response, caller.label, caller.cookie)

    def stand_in(self, request: Request, status: int, retry_after: str | int | None) -> Response:
        """Halo's own problems for 409 and 500; anything else looks as if a proxy in front had said it."""
        if status in (409, 500):
            return _uncached(self._problem(request, conflict() if status == 409 else server_error()), "", None)
        headers = [("Content-Type", HTML)]
        if retry_after is not None:
            headers.append(("Retry-After", str(retry_after)))
        return Response(status, tuple(headers), f"<h1>{status}</h1>".encode())

    def _serve(self, caller: Caller, request: Request) -> Response:
        for route, path in self._routes:
            if route.method == request.method and (found := path.fullmatch(request.path)):
                if not caller.holds(route.needs):
                    return self._forbid(caller, request)
                if self._lacks_email(caller, request):
                    raise Refused(403, "Forbidden", "The user has no verified e-mail.", "email-not-set")
                return route.serve(caller, request, *(unquote(group) for group in found.groups()))
        if request.path.startswith(_GUARDED) and not caller.holds(roles.SUPER):
            return self._forbid(caller, request)
        raise Refused(404, "Not Found", "There is nothing here.")

    def _forbid(self, caller: Caller, request: Request) -> Response:
        """Nobody is asked to log in; somebody is told that it lacks the role."""
        if caller.by is By.TOKEN:
            lacking = bearer_challenge("insufficient_scope", "The token lacks the role for this call")
            return Response(403, (("WWW-Authenticate", lacking),))
        if caller.by is By.PASSWORD:
            return Response(403, (("WWW-Authenticate", "Bearer"),))
        if self._model.traits.redirects_anonymous and not is_scripted(request):
            return Response(302, (("Location", "/login?authentication_required"),))
        return unauthorized('FormLogin realm="console"', caller.label)

    def _lacks_email(self, caller: Caller, request: Request) -> bool:
        """Whether the site's demand for a verified e-mail stops this call; a super-role is exempt."""
        demanded = self._model.about.requires_verified_email and self._model.traits.profile_completion
        if not demanded or caller.by is By.NOTHING or not request.path.startswith("/apis/"):
            return False
        user = self._model.users.get(caller.user)
        return not (caller.holds(roles.SUPER) or (user and user.email and user.email_verified))

    def _problem(self, request: Request, refusal: Refused) -> Response:
        """RFC 7807. A blank type is shown by older releases, and by all of them for a 500."""
        document = {
            "detail": refusal.detail,
            "instance": request.origin + request.path,
            "status": refusal.status,
            "title": refusal.title,
            "requestId": f"{self._model.random.getrandbits(32):08x}-{next(self._numbers)}",
            "timestamp": stamp(self._model.clock()),
        }
        if refusal.kind != BLANK or refusal.status == 500 or self._model.traits.shows_blank_type:
            document["type"] = refusal.kind
        return Response.document(document, refusal.status, "application/problem+json")


def _uncached(response: Response, caller: str, cookie: str | None) -> Response:
    extra = (_NO_CACHE, ("Set-Cookie", cookie)) if cookie else (_NO_CACHE,)
    return replace(response, headers=response.headers + extra, caller=caller)
