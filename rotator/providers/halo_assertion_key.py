"""Owns what HaloITSM's answers mean for the key pair of a client that signs assertions: one public key per application.

Consumers get the private half and sign for themselves. `kid` is the key's thumbprint, so it changes with the key.
"""

from __future__ import annotations

from dataclasses import replace

from anyio import to_thread

from rotator.ports import Capabilities, Minted, NeedsPerson, Refused, Rejected, Verdict
from rotator.providers import halo_application_words as words
from rotator.providers.halo_application_api import ApplicationApi
from rotator.providers.halo_application_keys import PUBLIC_KEY, HaloAssertionKeyKeys, Slot
from rotator.providers.halo_application_record import ApplicationRecord
from rotator.providers.halo_client_value import ClientValue
from rotator.providers.oauth_keys import ClientKeys
from rotator.providers.oauth_site import OAuthSite
from rotator.providers.signing import FEWEST_BITS, Algorithm, LocalSigner, make_key, public_key
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret


class HaloAssertionKey(ClientValue):
    """One credential's view of its application. A token's serial is the thumbprint of its public key."""

    def __init__(self, site: OAuthSite, api: ApplicationApi, options: HaloAssertionKeyKeys) -> None:
        """`options` say which applications, and what the key is like."""
        super().__init__(site, api, options)
        self._options = options
        self._parsed: tuple[Secret, LocalSigner] | None = None
        self.slots = options.places(PUBLIC_KEY)

    @property
    def capabilities(self) -> Capabilities:
        """The key pair is made here, even if a person has to tell Halo the public half."""
        return replace(super().capabilities, installs=True)

    async def new(self) -> Secret:
        """See `ClientValue.new`."""
        return await self._new_key(self._options.bits)

    async def minted(self, slot: Slot, name: str, secret: Secret) -> Minted:
        """See `ClientValue.minted`. The name of the key goes with it."""
        thumbprint = public_key(await self._public_pem(secret)).thumbprint
        own = {
            "algorithm": self._options.algorithm,
            "iss": self._options.assertion_issuer or slot.client_id,
            "aud": self._site.keys.aud,
        }
        kid = {"kid": thumbprint} if self._options.kid != "none" else {}
        return Minted(self.handle(slot, name, thumbprint), secret, {**self.beside(slot), **own, **kid})

    async def install(self, minted: Minted) -> Token:
        """Tell the application the public half, unless it knows it already."""
        slot, pem = self.slot_of(minted.token), await self._public_pem(minted.secret)
        if not self._api.allowed:
            raise NeedsPerson(words.paste(slot, pem))
        wanted = public_key(pem).thumbprint
        record = await self.application(slot)
        if record.thumbprint != wanted or record.inactive:
            record = await self.put(slot, pem)
        if record.thumbprint != wanted:
            raise Refused(f"application {record.id} was told a public key, and shows another one")
        return replace(minted.token, serial=wanted, issued_at=self._site.clock.now())

    def holds(self, record: ApplicationRecord, token: Token) -> bool:
        """By the public key that the application shows."""
        return record.thumbprint == token.serial and not record.inactive

    async def discard(self) -> str:
        """The public half of a key that nobody has."""
        return await self._public_pem(await self.stranger())

    async def verify(self, token: Token, secret: Secret) -> Verdict:
        """An exchange of what the key signs, then the test call."""
        try:
            await self._signer(secret)
        except Refused as fault:
            return Rejected(fault.reason, final=True)
        return await super().verify(token, secret)

    async def presented(self, client: ClientKeys, secret: Secret) -> tuple[Secret | None, Secret | None]:
        """An assertion; the client's secret goes with it where settings have one."""
        return await self._site.vouched(client, await self._signer(secret)), None

    async def stranger(self) -> Secret:
        """See `ClientValue.stranger`."""
        return await self._new_key(FEWEST_BITS)

    async def _new_key(self, bits: int) -> Secret:
        return await to_thread.run_sync(make_key, Algorithm(self._options.algorithm), bits)

    async def _signer(self, secret: Secret) -> LocalSigner:
        """Raises Refused for what is no private key. Parsed once: consumers are cut off while we look at it."""
        if self._parsed is None or not self._parsed[0].matches(secret):
            self._parsed = secret, await to_thread.run_sync(LocalSigner, secret)
        return self._parsed[1]

    async def _public_pem(self, secret: Secret) -> str:
        return await (await self._signer(secret)).public_pem()
