"""Revocation of access tokens by their value (RFC 7009), by a client that proves itself as at the token endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from rotator.ports import Refused
from rotator.providers.http.auth import Auth
from rotator.providers.http.client import HttpResponse
from rotator.providers.keys.assertion import ASSERTION_TYPE
from rotator.providers.keys.signing import Signer
from rotator.providers.oauth.config import ClientOptions, OAuthTargetConfig
from rotator.providers.oauth.discovery import Endpoints
from rotator.providers.oauth.token_endpoint import UNKNOWN, ClientDenied, introduced, to_compare
from rotator.rotation.secret import Secret, SecretRef

Fields = dict[str, str | Secret | tuple[str, ...]]  # of a form


class RevokingServer(Protocol):
    """What a revocation needs of a server."""

    async def endpoints(self) -> Endpoints: ...
    async def located(self) -> OAuthTargetConfig: ...
    async def fetch(self, ref: SecretRef) -> Secret: ...
    async def vouched(self, client: ClientOptions, signer: Signer | None = None, audience: str = "") -> Secret: ...
    async def post(self, url: str, auth: Auth | None, form: Fields) -> HttpResponse: ...


class Revocation:
    """The endpoints of one server that are shown access tokens."""

    def __init__(self, server: RevokingServer) -> None:
        """No call is made."""
        self._server = server
        self._audiences: dict[tuple[str, str], str] = {}  # what is taken, by client and address

    async def revoke(self, client: ClientOptions, value: Secret) -> None:
        """Ask for the end of an access token. An answer proves nothing: Ory Hydra 2.3.0 says 200 to another client's
        token as well, and leaves it alive. Raises ClientDenied, Transient, Refused.
        """
        url = (await self._server.endpoints()).revocation
        if not url:
            raise Refused("the server names no revocation endpoint", remedy="set revocation_url, if it has one")
        await self.ask(client, "revocation", url, {"token": value, "token_type_hint": "access_token"})

    async def ask(
        self, client: ClientOptions, endpoint: str, url: str, form: Mapping[str, str | Secret]
    ) -> HttpResponse:
        """A form for an endpoint, which `endpoint` names in a word. Raises ClientDenied, Transient, Refused.

        In an assertion Hydra 2.3.0 wants the token URL there, Spring Authorization Server 1.4.1 the address itself or
        the issuer. A refused assertion has no effect, so that the one that is taken is found by trying.
        """
        config = await self._server.located()
        audiences = list(dict.fromkeys(filter(None, (config.aud, config.endpoint, url, config.issuer))))
        known = self._audiences.get((client.client_id, url))
        refusal: ClientDenied | None = None
        for audience in ([known] if known else audiences) if client.asserts else [""]:
            try:
                answer = await self._asked(client, endpoint, url, form, audience)
            except ClientDenied as fault:
                if fault.error not in UNKNOWN | {"invalid_request"}:
                    raise
                refusal = refusal or fault
                self._audiences.pop((client.client_id, url), None)
                continue
            self._audiences[client.client_id, url] = audience
            return answer
        assert refusal is not None
        raise refusal

    async def _asked(
        self, client: ClientOptions, endpoint: str, url: str, form: Mapping[str, str | Secret], audience: str
    ) -> HttpResponse:
        sent: Fields = {**form}
        if client.asserts:
            sent["client_assertion"] = await self._server.vouched(client, audience=audience)
            sent["client_assertion_type"] = ASSERTION_TYPE
        secret = await self._server.fetch(client.client_secret) if client.client_secret is not None else None
        named, auth = introduced(client, secret, by_assertion=client.asserts)
        answer = await self._server.post(url, auth, {**sent, **named})
        if answer.status >= 400:
            compared = to_compare(client, audience, by_secret=secret is not None, by_assertion=client.asserts)
            raise ClientDenied(answer.status, answer.error, compared, endpoint)
        return answer
