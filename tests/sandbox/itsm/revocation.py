"""The revocation endpoint (RFC 7009) and the introspection endpoint (RFC 7662), honest or not by the server's rules.

one      a revocation ends the token, and no other
nothing  every revocation is answered 200, and ends nothing
family   a revocation ends all tokens of the client
"""

from __future__ import annotations

from tests.sandbox.itsm.model import ItsmModel
from tests.sandbox.itsm.refusals import oauth
from tests.sandbox.itsm.token_endpoint import TokenEndpoint, read_form
from tests.sandbox.messages import Request, Response


class RevocationEndpoint:
    """Answers POST /auth/revoke and /auth/introspect."""

    def __init__(self, model: ItsmModel, tokens: TokenEndpoint) -> None:
        """Acts on the model; `tokens` authenticates clients."""
        self._model = model
        self._tokens = tokens

    def revoke(self, request: Request) -> Response:
        """200 with an empty body, also for what it does not know and for another client's token (Ory Hydra 2.3.0)."""
        form = read_form(request)
        application = self._tokens.authenticated(form, "revoke", request.certificate)
        if word := self._model.rules.revocation_refused:
            raise oauth(word, "The token is not revoked")
        grant = self._model.grants.find(form.get("token", ""))
        ends = self._model.rules.revocation
        if grant and grant.client_id == application.client_id and ends == "one":
            self._model.grants.end(form["token"])
        elif grant and grant.client_id == application.client_id and ends == "family":
            self._model.grants.revoke(application.client_id)
        return Response(200, caller=application.name)

    def introspect(self, request: Request) -> Response:
        """Whether a token is active."""
        form = read_form(request)
        application = self._tokens.authenticated(form, "introspect", request.certificate)
        truth = self._model.grants.find(form.get("token", "")) is not None
        active = {"truth": truth, "everything": True, "nothing": False}.get(self._model.rules.introspection)
        answer = Response.document({} if active is None else {"active": active})
        return Response(answer.status, answer.headers, answer.body, application.name)
