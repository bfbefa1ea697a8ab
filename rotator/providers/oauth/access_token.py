"""What an OAuth server's answers mean for a published access token; the calls are server.py's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from rotator.ports import Minted, Refused, Verdict
from rotator.providers.oauth.config import AccessTokenOptions
from rotator.providers.oauth.expiring import Expiring
from rotator.providers.oauth.refusal_causes import causes
from rotator.providers.oauth.server import OAuthServer
from rotator.providers.oauth.token_response import ClientDenied, Granted, missing_scopes
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret


class AccessToken(Expiring):
    """One credential's view of its server. A token has no handle there: its id is the name it was asked for under."""

    def __init__(self, server: OAuthServer, options: AccessTokenOptions) -> None:
        """`options` say who the client is and what it wants."""
        super().__init__(server.clock, timedelta(0))
        self._server = server
        self._options = options

    async def mint(self, name: str, expires_at: datetime | None, keep: tuple[Token, ...] = ()) -> Minted:
        """Ask for a token: with the secret, a fresh assertion, or both. Its life is the server's to decide.

        Raises Refused when the client or its user is refused, or the scope is not granted.
        """
        try:
            granted = await self._ask(await self._grant())
        except ClientDenied as refusal:
            raise Refused(refusal.reason) from None
        if lacking := missing_scopes(self._options, granted, echoes=self._server.keys.echoes_scope):
            raise Refused(lacking)
        return self._minted(name, granted, expires_at)

    async def _ask(self, grant: Mapping[str, str | Secret]) -> Granted:
        """A token request in which the client proves itself by all it has."""
        assertion = await self._server.vouched(self._options) if self._options.asserts else None
        return await self._server.exchange(self._options, assertion, grant=grant)

    async def _grant(self) -> Mapping[str, str | Secret]:
        """What the request asks for (RFC 6749, sections 4.3.2 and 4.4.2)."""
        options = self._options
        if options.password is None:
            return {"grant_type": options.grant}
        password = await self._server.fetch(options.password)
        return {"grant_type": options.grant, "username": options.username, "password": password}

    def _minted(self, name: str, granted: Granted, expires_at: datetime | None) -> Minted:
        client = self._options
        end = granted.asked_at + granted.life if granted.life else expires_at
        scope = " ".join(sorted(granted.scopes or client.scopes))
        beside = {
            "token_type": "Bearer",
            "scope": scope,
            "client_id": client.client_id,
            "resource_url": self._server.keys.url,
        }
        return Minted(Token(name, name, "", granted.asked_at, end), granted.access_token, beside)

    async def diagnose(self, secret: Secret | None, before: Secret | None = None) -> list[str]:
        """See `SupportsDiagnose`. By client_credentials, which tells as much of the client's proof as any other
        grant.
        """
        if not self._options.asserts:
            return []
        return await causes(self._server, self._options, await self._server.signer(self._options))

    async def verify(self, token: Token, secret: Secret) -> Verdict:
        """The test call."""
        return await self._server.probe(self._options, secret)
