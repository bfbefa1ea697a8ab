"""The targets of a soak, in memory and bounded: a Halo CMS in small, and an OAuth server that only judges."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from rotator.ports import Accepted, Capabilities, Duplicate, Inspection, Minted, Outcome, Refused, Rejected, Verdict
from rotator.providers.http.auth import SecretResolver
from rotator.providers.keys.assertion import read
from rotator.providers.oauth.config import OAuthTargetConfig
from rotator.providers.oauth.server import OAuthServer
from rotator.providers.oauth.token_endpoint import ClientDenied, Granted
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret
from tests.model.soak.clock import VirtualClock

KEEP = timedelta(hours=24)  # for which revoked tokens are kept, as Halo CMS does


class SmallHalo:
    """A target that takes names and revokes; the provider of all its credentials. Old records are pruned."""

    capabilities = Capabilities(takes_token_name=True, can_list=True)

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.minted = 0
        self.alive: dict[str, tuple[Token, Secret]] = {}
        self.ended: dict[str, datetime] = {}

    def accepts(self, value: str) -> bool:
        """Whether a consumer who presents this value gets in."""
        return any(secret.matches(Secret(value)) for _, secret in self.alive.values())

    async def mint(self, name: str, expires_at: datetime | None, keep: tuple[Token, ...] = ()) -> Minted:
        if name in self.alive or name in self.ended:
            raise Duplicate("the name is taken")
        self.minted += 1
        token = Token(name, name, f"serial-{self.minted}", self.clock.now(), expires_at)
        self.alive[name] = token, Secret(f"canary-soak-{self.minted:09}")
        return Minted(*self.alive[name])

    async def install(self, minted: Minted) -> Token:
        raise Refused("nothing is installed here")

    async def find(self, prefix: str) -> tuple[Token, ...]:
        return tuple(token for token, _ in self.alive.values() if token.name.startswith(prefix))

    async def verify(self, token: Token, secret: Secret) -> Verdict:
        known = self.alive.get(token.id)
        return Accepted() if known and known[1].matches(secret) else Rejected("the token is refused")

    async def inspect(self, token: Token) -> Inspection:
        known = self.alive.get(token.id)
        return Inspection(bool(known) or token.id in self.ended, token.id in self.ended, None, token.expires_at)

    async def revoke(self, token: Token) -> Outcome:
        if self.alive.pop(token.id, None) is None:
            return Outcome.ALREADY
        self.ended[token.id] = self.clock.now()
        return Outcome.DONE

    async def restore(self, token: Token) -> Outcome:
        raise Refused("not here")

    async def is_dead(self, token: Token, secret: Secret | None) -> bool | None:
        return token.id not in self.alive

    async def control(self) -> None:
        """It does refuse a broken secret."""

    def prune(self) -> None:
        """Forget who ended long ago."""
        self.ended = {name: at for name, at in self.ended.items() if self.clock.now() - at < KEEP}


class _NoWire:
    """Where an HTTP client would be."""

    def at(self, url: str) -> _NoWire:
        return self


class JudgingSite(OAuthServer):
    """The real site and the real signing; in place of the token request, the assertion is judged as a server would."""

    def __init__(self, keys: OAuthTargetConfig, secret_resolver: SecretResolver, clock: VirtualClock) -> None:
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
