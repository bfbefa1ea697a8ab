"""Key pairs of HaloITSM clients that sign assertions: one public key per application.

Consumers get the private key, or the name of a version in Vault Transit, and sign for themselves. `kid` is the key's
thumbprint, so it changes with the key. Pairs come from keys/signing.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from anyio import to_thread

from rotator.ports import CannotPresent, Capabilities, Minted, NeedsPerson, Outcome, Refused, Rejected, Verdict
from rotator.providers.base import Remark
from rotator.providers.halo_itsm.application_api import ApplicationApi, ApplicationRecord
from rotator.providers.halo_itsm.application_checks import of_assertions
from rotator.providers.halo_itsm.config import PUBLIC_KEY, HaloAssertionKeyOptions, Slot
from rotator.providers.halo_itsm.slots import (
    ClientValue,
    how_to_paste,
)
from rotator.providers.keys.algorithms import FEWEST_BITS, Algorithm
from rotator.providers.keys.signing import LocalSigner, make_key, pairs_of, public_key
from rotator.providers.oauth.config import ClientOptions
from rotator.providers.oauth.server import OAuthServer
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret


class HaloAssertionKey(ClientValue):
    """One credential's view of its application. A token's serial is the thumbprint of its public key."""

    def __init__(self, server: OAuthServer, api: ApplicationApi, options: HaloAssertionKeyOptions) -> None:
        """`options` say which applications, and what the key is like."""
        super().__init__(server, api, options)
        self._options = options
        self._pairs = pairs_of(options, server)
        self.slots = options.places(PUBLIC_KEY)

    @property
    def capabilities(self) -> Capabilities:
        """The key pair is made here, even if a person has to give Halo the public key."""
        return replace(super().capabilities, needs_install=True)

    async def new(self, keep: tuple[Token, ...]) -> Secret:
        """See `ClientValue.new`. What an application shows, whosever it is, is not new either."""

        async def seen() -> set[str]:
            shown = [await self.application(slot) for slot in self.slots] if self._api.allowed else []
            return {each.serial for each in keep} | {each.thumbprint for each in shown}

        return await self._pairs.new(seen)

    async def receive(
        self, name: str, value: Secret, expires_at: datetime | None, keep: tuple[Token, ...] = ()
    ) -> Minted:
        """See `ClientValue.receive`. A key that others have made is tested to its primes."""
        if self._options.transit_key:
            raise Refused("the key pair is made in Transit (`transit_key`), so none can be brought")
        await to_thread.run_sync(LocalSigner, value)
        return await super().receive(name, value, expires_at, keep)

    async def minted(self, slot: Slot, name: str, secret: Secret) -> Minted:
        """See `ClientValue.minted`. The name of the key goes with it."""
        pair = await self._pairs.opened(secret)
        own = {
            "algorithm": self._options.algorithm,
            "iss": self._options.assertion_issuer or slot.client_id,
            "aud": (await self._server.located(self._options)).aud,
        }
        kid = {"kid": pair.thumbprint} if self._options.kid != "none" else {}
        beside = {**await self.beside(slot), **pair.beside, **own, **kid}
        return Minted(self.handle(slot, name, pair.thumbprint), secret, beside)

    async def install(self, minted: Minted) -> Token:
        """Give the application the public key, unless it has it already."""
        slot, by = self.slot_of(minted.token), self._api.deadline()
        pem = (await self._pairs.opened(minted.secret)).pem
        if not self._api.allowed:
            raise NeedsPerson(how_to_paste(slot, pem))
        wanted = public_key(pem).thumbprint
        record = await self.application(slot)
        if record.thumbprint != wanted or record.inactive:
            record = await self.put(slot, pem, by)
        if record.thumbprint != wanted:
            said = f"application {record.id} was told a public key, and shows another one"
            raise Refused(said, remedy="does somebody else change it, in Halo or with a second rotator?")
        return replace(minted.token, serial=wanted, issued_at=self._server.clock.now())

    async def revoke(self, token: Token, secret: Secret | None = None) -> Outcome:
        """See `ClientValue.revoke`."""
        await self._pairs.spend(token.serial)
        return await super().revoke(token, secret)

    async def is_dead(self, token: Token, secret: Secret | None) -> bool | None:
        """See `SlotProvider.is_dead`. What we cannot sign with, trimmed in Transit perhaps, is not presented."""
        if secret is not None:
            await self._pairs.opened(secret)
        return await super().is_dead(token, secret)

    def judged(self, record: ApplicationRecord) -> Iterator[Remark]:
        """See `ClientValue.judged`."""
        if record.demands_assertion is False:
            yield Remark(
                f"application {record.id} does not demand the assertion, so the secret alone opens it",
                "tick the JWT assertion of the application in Halo",
            )
        yield from of_assertions(record, self._client)

    def holds(self, record: ApplicationRecord, token: Token) -> bool:
        """By the public key that the application shows."""
        return record.thumbprint == token.serial and not record.inactive

    async def discard(self) -> str:
        """The public half of a key that nobody has."""
        return (await self._pairs.opened(await self.stranger())).pem

    async def verify(self, token: Token, secret: Secret) -> Verdict:
        """An exchange of what the key signs, then the test call."""
        try:
            await self._pairs.opened(secret)
        except CannotPresent:
            raise
        except Refused as fault:
            return Rejected(fault.reason, final=True)
        return await super().verify(token, secret)

    async def presented(self, client: ClientOptions, secret: Secret) -> tuple[Secret | None, Secret | None]:
        """An assertion; the client's secret goes with it where settings have one."""
        return await self._server.vouched(client, (await self._pairs.opened(secret)).signer), None

    async def stranger(self) -> Secret:
        """See `ClientValue.stranger`. It is a local key, wherever ours are: one of Transit's would stay there."""
        return await to_thread.run_sync(make_key, Algorithm(self._options.algorithm), FEWEST_BITS)
