"""Revocation (RFC 7009) and introspection (RFC 7662) of access tokens by a client that proves itself as elsewhere."""

from __future__ import annotations

from functools import partial
from typing import Protocol

from rotator.ports import Refused, Transient
from rotator.providers.http.auth import Auth
from rotator.providers.http.client import Fields, HttpResponse
from rotator.providers.keys.signing import Signer
from rotator.providers.oauth.config import AccessTokenOptions, ClientOptions, OAuthTargetConfig, revokes
from rotator.providers.oauth.discovery import Discovery, Endpoints
from rotator.providers.oauth.introspection import invented, unbelievable
from rotator.providers.oauth.token_endpoint import UNKNOWN, ClientDenied, introduced, to_compare
from rotator.rotation.secret import Secret, SecretRef


class RevokingServer(Protocol):
    """What a revocation needs of a server."""

    config: OAuthTargetConfig

    async def endpoints(self, client: ClientOptions) -> Endpoints: ...
    async def located(self, client: ClientOptions) -> OAuthTargetConfig: ...
    async def fetch(self, ref: SecretRef) -> Secret: ...
    async def vouched(self, client: ClientOptions, signer: Signer | None = None, audience: str = "") -> Secret: ...
    async def post(self, client: ClientOptions, url: str, auth: Auth | None, form: Fields) -> HttpResponse: ...


class Revocation:
    """The endpoints of one server that are shown access tokens."""

    def __init__(self, server: RevokingServer, discovery: Discovery) -> None:
        """No call is made."""
        self._server = server
        self._discovery = discovery
        self._audiences: dict[tuple[str, str], str] = {}  # what is taken, by client and address

    @property
    def possible(self) -> bool:
        """Whether there is a revocation endpoint, or nobody knows yet that there is none. No call is made."""
        told = self._discovery.told
        return bool(self._server.config.revocation_url) or told is None or bool(told.revocation)

    async def revoke(self, client: ClientOptions, value: Secret) -> None:
        """Ask for the end of an access token. An answer proves nothing: Ory Hydra 2.3.0 says 200 to another client's
        token as well, and leaves it alive. Raises ClientDenied, Transient, Refused.
        """
        await self._ask(client, "revocation", value)

    async def says_active(self, client: ClientOptions, value: Secret) -> bool:
        """What the server says of an access token: the field `active`. Raises as `revoke`, Refused without it."""
        answer = await self._ask(client, "introspection", value)
        told = answer.document.get("active") if isinstance(answer.document, dict) else None
        if not isinstance(told, bool):
            address = (await self._server.endpoints(client)).introspection
            question = self._server.config.question("introspection", address)
            raise Refused("the introspection endpoint's answer has no `active`", remedy=question)
        return told

    async def findings(self, client: ClientOptions) -> list[str]:
        """What a person should know before either endpoint is needed, by an invented token. Raises as `endpoints`."""
        if not isinstance(client, AccessTokenOptions) or not revokes(self._server.config, client):
            return []
        endpoints, found = await self._server.endpoints(client), list[str]()
        if endpoints.revocation:
            try:
                await self.revoke(client, invented())
            except (Transient, Refused) as fault:
                found.append(f"access tokens of {client.client_id} end by their date: {fault.reason}")
        if endpoints.introspection:
            try:
                await unbelievable(partial(self.says_active, client))
            except (Transient, Refused) as fault:
                found.append(fault.reason)
        return found

    async def _ask(self, client: ClientOptions, endpoint: str, value: Secret) -> HttpResponse:
        """An access token, shown to an endpoint, which `endpoint` names in a word. Raises ClientDenied, Transient,
        Refused.

        In an assertion Hydra 2.3.0 wants the token URL there, Spring Authorization Server 1.4.1 the address itself or
        the issuer. A refused assertion has no effect, so that the one that is taken is found by trying.
        """
        told, config = await self._server.endpoints(client), await self._server.located(client)
        url = told.need(endpoint, with_certificate=client.tls_certificate is not None)
        audiences = list(dict.fromkeys(filter(None, (config.aud, config.endpoint, url, config.issuer))))
        known = self._audiences.get((client.client_id, url))
        refusal: ClientDenied | None = None
        for audience in ([known] if known else audiences) if client.asserts else [""]:
            try:
                answer = await self._asked(client, endpoint, url, value, audience)
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
        self, client: ClientOptions, endpoint: str, url: str, value: Secret, audience: str
    ) -> HttpResponse:
        assertion = await self._server.vouched(client, audience=audience) if client.asserts else None
        secret = await self._server.fetch(client.client_secret) if client.client_secret is not None else None
        proof, auth = introduced(client, secret, assertion)
        form = {"token": value, "token_type_hint": "access_token", **proof}
        answer = await self._server.post(client, url, auth, form)
        if answer.status >= 400:
            compared = to_compare(client, audience, by_secret=secret is not None, by_assertion=client.asserts)
            question = self._server.config.question(endpoint, url)
            raise ClientDenied(answer.status, answer.error, compared, endpoint, question)
        return answer
