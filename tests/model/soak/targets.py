"""An OAuth server of a soak, in memory and bounded: it only judges."""

from __future__ import annotations

from typing import Any

from rotator.ports import Accepted, Verdict
from rotator.providers.http.auth import SecretResolver
from rotator.providers.keys.assertion import read
from rotator.providers.oauth.config import OAuthTargetConfig
from rotator.providers.oauth.server import OAuthServer
from rotator.providers.oauth.token_endpoint import ClientDenied, Granted
from rotator.rotation.secret import Secret
from tests.kit.clock import StillClock


class _NoWire:
    """Where an HTTP client would be."""

    def at(self, url: str) -> _NoWire:
        return self


class JudgingSite(OAuthServer):
    """The real site and the real signing; in place of the token request, the assertion is judged as a server would."""

    def __init__(self, keys: OAuthTargetConfig, secret_resolver: SecretResolver, clock: StillClock) -> None:
        wire: Any = _NoWire()
        super().__init__(wire, keys, secret_resolver, clock)
        self.exchanges = 0

    async def exchange(self, client: Any, assertion: Any, *_: Any, **__: Any) -> Granted:
        """See `OAuthServer.exchange`."""
        self.exchanges += 1
        found = read(assertion, await self.present_key(client))
        now = self.clock.now()
        if found is None or not found.issued_at <= now < found.expires_at:
            raise ClientDenied(401, "invalid_client")
        return Granted(Secret("canary-soak-access"), now, None, frozenset(client.scopes))

    async def probe(self, client: Any, access_token: Secret) -> Verdict:
        """See `OAuthServer.probe`."""
        return Accepted()
