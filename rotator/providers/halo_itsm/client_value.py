"""What client secrets and assertion keys have in common: one slot per application, proven at the token endpoint.

With one application, the new value ends the old one; two take turns, and the one whose turn is over is switched off.
"""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime

from rotator.ports import CannotPresent, Minted, Outcome, Refused, Rejected, Transient, Unknown, Verdict
from rotator.providers.halo_itsm.application_record import ApplicationRecord
from rotator.providers.halo_itsm.config import Slot
from rotator.providers.halo_itsm.slots import SlotProvider, new_value
from rotator.providers.oauth.config import ClientOptions
from rotator.providers.oauth.token_response import FINAL, UNKNOWN, ClientDenied, missing_scopes
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret


class ClientValue(SlotProvider):
    """What a client proves itself with at the token endpoint: one slot in each application."""

    async def choose(self, keep: tuple[Token, ...]) -> Slot:
        """The slot for the next value: the only one, or the one whose application nobody uses, or the published value's
        when its application shows that it is gone. Raises Refused.

        Never the predecessor's, which comes second: its end would be the end of what was put in its place.
        """
        taken = [self.slot_of(each) for each in keep]
        free = [each for each in self.slots if each not in taken]
        if free or len(self.slots) == 1:
            return free[-1] if free else self.slots[0]  # whoever began by hand began with the first: it comes last
        if not self.holds(await self.application(taken[0]), keep[0]):
            return taken[0]
        raise Refused("both applications hold a value that must live on: wait until the predecessor has been retired")

    async def mint(self, name: str, expires_at: datetime | None, keep: tuple[Token, ...] = ()) -> Minted:
        """Make a value; nobody hears of it yet. It never expires."""
        slot = await self.choose(keep)
        if self._api.allowed:
            await self.ready(slot)
        return await self.minted(slot, name, await self.new(keep))

    async def receive(
        self, name: str, value: Secret, expires_at: datetime | None, keep: tuple[Token, ...] = ()
    ) -> Minted:
        """Take a value that a person brings; where we may, it is put into its slot like one of our own."""
        slot = await self.choose(keep)
        if self._api.allowed:
            await self.ready(slot)
        return await self.minted(slot, name, value)

    async def ready(self, slot: Slot) -> None:
        """Look before anything is made that the application may be changed. Raises Refused with words."""
        record = await self.application(slot)
        if record.inactive and len(self.slots) == 1:
            said = f"application {record.id} is inactive, so nobody could use the new value"
            raise Refused(said, remedy="activate it in Halo")

    async def put(self, slot: Slot, value: str | Secret, by: float) -> ApplicationRecord:
        """Put a value into the slot by then, see `ApplicationApi.deadline`, and see to it that its application is
        active."""
        record = await self.application(slot)
        active: dict[str, str | bool | Secret] = {"inactive": False} if record.inactive else {}
        after = await self._api.change(record, {slot.field: value, **active}, by)
        if after.inactive:
            said = f"application {after.id} was asked to become active, and shows itself inactive"
            raise Refused(said, remedy="activate it in Halo")
        return after

    async def revoke(self, token: Token) -> Outcome:
        """With one slot it has been written over by its successor. Of two applications, the token's is switched off,
        and the value written over; but never the only active one."""
        if len(self.slots) == 1 or not self._api.allowed:
            return Outcome.ALREADY
        slot, by = self.slot_of(token), self._api.deadline()
        record = await self.application(slot)
        if record.inactive or not self.holds(record, token):
            return Outcome.ALREADY
        other = await self.application(next(each for each in self.slots if each != slot))
        if other.inactive:
            said = f"application {record.id} is the only active one, so it is not switched off"
            raise Refused(said, remedy=f"activate application {other.id} in Halo")
        await self._api.change(record, {slot.field: await self.discard(), "inactive": True}, by)
        return Outcome.DONE

    @abstractmethod
    async def new(self, keep: tuple[Token, ...]) -> Secret:
        """A fresh value, none of the `keep`."""

    @abstractmethod
    async def minted(self, slot: Slot, name: str, secret: Secret) -> Minted:
        """The value with its handle and what is published beside it. Raises Refused for one that is of no use."""

    # proofs

    @abstractmethod
    async def presented(self, client: ClientOptions, secret: Secret) -> tuple[Secret | None, Secret | None]:
        """The assertion and the client secret of a token request."""

    async def verify(self, token: Token, secret: Secret) -> Verdict:
        """A token request with this value, then the test call."""
        try:
            client = self._client.known_as(self.slot_of(token).client_id)
            granted = await self._server.exchange(client, *await self.presented(client, secret))
        except ClientDenied as refusal:
            return Rejected(refusal.reason, final=refusal.error in FINAL)
        except CannotPresent:
            raise
        except (Transient, Refused) as fault:
            return Unknown(fault.reason, fault.retry_after)
        if lacking := missing_scopes(client, granted, echoes=self._server.keys.echoes_scope):
            return Rejected(lacking, final=True)
        return await self._server.probe(client, granted.access_token)

    async def refused(self, token: Token, secret: Secret) -> bool | None:
        """See `SlotProvider.refused`. One request: nobody knows what a server makes of many."""
        client = self._client.known_as(self.slot_of(token).client_id)
        try:
            await self._server.exchange(client, *await self.presented(client, secret))
        except ClientDenied as refusal:
            return True if refusal.error in UNKNOWN else None
        return False

    async def stranger(self) -> Secret:
        """A value that no application has."""
        return new_value()

    async def discard(self) -> str | Secret:
        """What goes into a slot so that nobody can use it."""
        return await self.stranger()

    async def control(self) -> None:
        """See `SlotProvider.control`; the probe must refuse a caller without an access token, too."""
        if trouble := await self._server.unguarded(self._client):
            raise Refused(trouble)
        if await self.refused(Token(""), await self.stranger()) is False:
            said = "this token endpoint accepts anyone: it gave a token for a value that nobody knows"
            raise Refused(said, remedy="let the application demand what it is to be proven by")
