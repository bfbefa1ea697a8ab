"""Owns what an OAuth server's answers mean for a published access token; the calls are oauth_site.py's."""

from __future__ import annotations

from datetime import datetime, timedelta

from rotator.ports import Minted, Refused, Verdict
from rotator.providers.expiring import Expiring
from rotator.providers.oauth_answer import Denied, missing_scopes
from rotator.providers.oauth_keys import AccessTokenKeys
from rotator.providers.oauth_site import OAuthSite
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret

_MINUTE = timedelta(minutes=1)  # the shortest life of the assertion that asks for the token


class AccessToken(Expiring):
    """One credential's view of its server. A token has no handle there: its id is the name it was asked for under."""

    def __init__(self, site: OAuthSite, options: AccessTokenKeys) -> None:
        """`options` say who the client is and what it wants."""
        super().__init__(site.clock, timedelta(0))
        self._site = site
        self._options = options

    async def mint(self, name: str, expires_at: datetime | None, spared: tuple[Token, ...] = ()) -> Minted:
        """Ask for a token: with the secret, a fresh assertion, or both. Its life is the server's to decide.

        Raises Refused when the client is refused, or the scope is not granted.
        """
        client, site = self._options, self._site
        assertion = None
        if client.asserts:
            assertion = await site.seal(client, await site.draft(client, site.clock.now() + _MINUTE))
        try:
            granted = await site.exchange(client, assertion)
        except Denied as refusal:
            raise Refused(refusal.reason) from None
        if lacking := missing_scopes(client, granted, echoes=site.keys.echoes_scope):
            raise Refused(lacking)
        end = granted.asked_at + granted.life if granted.life else expires_at
        scope = " ".join(sorted(granted.scopes or client.scopes))
        beside = {"token_type": "Bearer", "scope": scope, "client_id": client.client_id, "resource_url": site.keys.url}
        return Minted(Token(name, name, "", granted.asked_at, end), granted.access_token, beside)

    async def verify(self, token: Token, secret: Secret) -> Verdict:
        """The test call."""
        return await self._site.probe(self._options, secret)
