"""Client secrets of HaloITSM: one per application, which the API never shows; they are proven by use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta

from rotator.ports import Minted, NeedsPerson
from rotator.providers.base import Remark
from rotator.providers.halo_itsm.application_api import ApplicationApi, ApplicationRecord
from rotator.providers.halo_itsm.application_checks import of_assertions
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

    async def looked(
        self, records: tuple[ApplicationRecord, ...], lifetime: timedelta | None, keep: tuple[Token, ...]
    ) -> AsyncIterator[Remark]:
        """See `SlotProvider.looked`. A new secret is proven together with our key, so the key must be known there."""
        async for each in super().looked(records, lifetime, keep):
            yield each
        ours = (await self._server.present_key(self._client)).thumbprint if self._client.asserts else ""
        for record in records:
            if ours and record.thumbprint and record.thumbprint != ours:
                yield Remark(
                    f"application {record.id} has another public key than that of the credential's key",
                    "compare `signing_key` or `transit_key` with the public key in Halo",
                    grave=True,
                )

    def judged(self, record: ApplicationRecord) -> Iterator[Remark]:
        """See `ClientValue.judged`."""
        if record.demands_assertion and not self._client.asserts:
            yield Remark(
                f"application {record.id} demands an assertion beside the secret, and the credential has no key for it",
                "set `signing_key` or `transit_key`, or take the demand away in Halo",
                grave=True,
            )
        yield from of_assertions(record, self._client) if self._client.asserts else ()

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
