"""Client secrets of HaloITSM: one per application, which the API never shows; they are proven by use."""

from __future__ import annotations

from datetime import datetime

from rotator.ports import Minted, NeedsPerson
from rotator.providers.halo_itsm.application_api import ApplicationApi, ApplicationRecord
from rotator.providers.halo_itsm.config import SECRET, ClientSecretOptions, Slot
from rotator.providers.halo_itsm.slots import (
    ClientValue,
    how_to_generate,
    how_to_put_back,
    new_value,
)
from rotator.providers.oauth.config import ClientOptions
from rotator.providers.oauth.server import OAuthServer
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret


class ClientSecret(ClientValue):
    """One credential's view of its application, or of two that take turns."""

    def __init__(self, server: OAuthServer, api: ApplicationApi, options: ClientSecretOptions) -> None:
        """`options` say which applications, and how the secret is proven."""
        super().__init__(server, api, options)
        self.slots = options.places(SECRET)

    async def mint(self, name: str, expires_at: datetime | None, keep: tuple[Token, ...] = ()) -> Minted:
        """Make a secret, without a call. It never expires. Raises NeedsPerson where Halo has to make it."""
        if not self._api.allowed:
            raise NeedsPerson(how_to_generate(await self.choose(keep), "the client secret"))
        return await super().mint(name, expires_at, keep)

    async def new(self, keep: tuple[Token, ...]) -> Secret:
        """See `ClientValue.new`."""
        return new_value()

    async def minted(self, slot: Slot, name: str, secret: Secret) -> Minted:
        """See `ClientValue.minted`."""
        return Minted(self.handle(slot, name), secret, await self.beside(slot))

    async def install(self, minted: Minted) -> Token:
        """Put the secret into the application. Idempotent."""
        slot = self.slot_of(minted.token)
        if not self._api.allowed:
            raise NeedsPerson(how_to_put_back(slot, "the client secret"))
        await self.put(slot, minted.secret, self._api.deadline())
        return Token(minted.token.id, minted.token.name, "", self._server.clock.now())

    def holds(self, record: ApplicationRecord, token: Token) -> bool:
        """As far as it is visible: of two applications, the active ones hold theirs."""
        return not record.inactive

    async def is_dead(self, token: Token, secret: Secret | None) -> bool | None:
        """See `SlotProvider.is_dead`. The only slot holds the successor, which has been proven: that is proof
        enough.
        """
        return True if secret is None and len(self.slots) == 1 else await super().is_dead(token, secret)

    async def presented(self, client: ClientOptions, secret: Secret) -> tuple[Secret | None, Secret | None]:
        """With an assertion, where the client has a key."""
        return await self._server.vouched(client) if client.asserts else None, secret
