"""Published client assertions.

The proof never uses up the published value: a sibling with the same times, audience and key is presented instead. Two
servers (Keycloak 26.4.0, node oidc-provider 9.13.3) accept an assertion only once.
"""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

from rotator.ports import Minted, Refused, Rejected, Transient, Unknown, Verdict
from rotator.providers.keys.assertion import ASSERTION_TYPE, Assertion, read
from rotator.providers.oauth.access_token import Expiring
from rotator.providers.oauth.config import ClientAssertionOptions
from rotator.providers.oauth.server import OAuthServer
from rotator.providers.oauth.server_checks import causes
from rotator.providers.oauth.token_endpoint import ClientDenied, missing_scopes
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret


class ClientAssertion(Expiring):
    """One credential's view of its server. A token's id is the `jti`, its serial the key's thumbprint."""

    def __init__(self, server: OAuthServer, options: ClientAssertionOptions) -> None:
        """`options` say who the client is."""
        super().__init__(server.clock, server.config.leeway)
        self._server = server
        self._options = options

    async def mint(self, name: str, expires_at: datetime | None, keep: tuple[Token, ...] = ()) -> Minted:
        """Sign a new assertion; no call but the signer's, and discovery's."""
        if expires_at is None:
            raise Refused("an assertion always expires")
        drafted = await self._server.draft(self._options, expires_at)
        key = await self._server.present_key(self._options)
        token = Token(drafted.jti, name, key.thumbprint, drafted.issued_at, drafted.expires_at)
        config = await self._server.located(self._options)
        beside: dict[str, str | Secret] = {
            "client_assertion_type": ASSERTION_TYPE,
            "client_id": self._options.client_id,
            "token_url": config.token_request_url,
        }
        beside |= await self._pool(drafted)
        return Minted(token, await self._server.seal(self._options, drafted), beside)

    async def _pool(self, first: Assertion) -> dict[str, Secret]:
        """An assertion for each consumer; the proof of the first holds for all."""
        if self._options.pool == 1:
            return {}
        names = [f"client_assertion_{slot}" for slot in range(1, self._options.pool + 1)]
        return {name: await self._server.seal(self._options, first.sibling(str(uuid4()))) for name in names}

    async def verify(self, token: Token, secret: Secret) -> Verdict:
        """Exchange a sibling and make the test call with what it yields."""
        try:
            return await self._prove(token, secret)
        except ClientDenied as refusal:
            return await self._server.invalid_proofs.rejected(self._options, refusal)
        except (Transient, Refused) as fault:
            return Unknown(fault.reason, fault.retry_after)

    async def _prove(self, token: Token, secret: Secret) -> Verdict:
        assertion = read(secret, await self._server.present_key(self._options))
        if assertion is None:
            return Rejected("not an assertion that the present key signed")
        if wrong := self._mismatch(token, assertion, (await self._server.located(self._options)).aud):
            return Rejected(wrong, final=True)
        sibling = await self._server.seal(self._options, assertion.sibling(str(uuid4())))
        granted = await self._server.exchange(self._options, sibling)
        if lacking := missing_scopes(self._options, granted, echoes=self._server.config.echoes_scope):
            return Rejected(lacking, final=True)
        return await self._server.probe(self._options, granted)

    async def diagnose(self, secret: Secret | None, before: Secret | None = None) -> list[str]:
        """See `SupportsDiagnose`."""
        return await causes(self._server, self._options, await self._server.signer(self._options))

    async def identify(self, secret: Secret) -> Token:
        """By its own claims, once the present key has vouched for them."""
        key = await self._server.present_key(self._options)
        assertion = read(secret, key)
        if assertion is None:
            raise Refused("not an assertion that the present key signed")
        return Token(assertion.jti, "", key.thumbprint, assertion.issued_at, assertion.expires_at)

    def _mismatch(self, token: Token, assertion: Assertion, audience: str) -> str:
        """What is wrong with the assertion before anybody is asked, or nothing."""
        if assertion.jti != token.id:
            return "the assertion belongs to another token"
        if assertion.claims.get("sub") != self._options.client_id:
            return "the assertion is another client's"
        if assertion.claims.get("aud") != audience:
            return "the assertion is for another audience"
        if assertion.expires_at - self._server.clock.now() < self._options.rest:
            return f"less than the promised {self._options.rest.total_seconds():g}s of its life are left"
        return ""
