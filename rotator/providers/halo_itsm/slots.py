"""Slots of HaloITSM applications: what API keys, client secrets and assertion keys have in common.

A value is made here, put into a slot of an application later, and ended by being overwritten. Where only a person can
do that, the instructions for them follow Halo's own guides. Client secrets and assertion keys have one slot per
application: with one application, the new value ends the old one; two applications take turns, and the one whose turn
is over is switched off.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from uuid import uuid4

from rotator.ports import (  # fmt: skip
    CannotPresent,
    Capabilities,
    Inspection,
    Minted,
    MinterRefused,
    Outcome,
    Refused,
    Rejected,
    Transient,
    Unknown,
    Verdict,
)
from rotator.providers.base import Remark
from rotator.providers.halo_itsm.application_api import ApplicationApi, ApplicationRecord
from rotator.providers.halo_itsm.application_checks import of_client, of_two
from rotator.providers.halo_itsm.config import ApplicationOptions, Slot
from rotator.providers.oauth.config import ClientOptions
from rotator.providers.oauth.server import OAuthServer
from rotator.providers.oauth.token_endpoint import FINAL, UNKNOWN, ClientDenied, missing_scopes
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret

_WAY = "in HaloITSM open Configuration > Integrations > Halo API > View Applications > {name} > Edit"


def how_to_paste(slot: Slot, pem: str) -> str:
    """Put our public key there."""
    tick = "tick the JWT assertion, replace its public key by the one below, leave all else as it is, press Save"
    return f"{_way(slot)}; {tick}; the new key is noticed by itself.\n{pem.strip()}"


def how_to_generate(slot: Slot, what: str) -> str:
    """Make a value there and bring it here."""
    press = f"press Generate for {what}, copy the value (it is shown once), leave all else as it is, press Save"
    return f"{_way(slot)}; {press}; then hand the value over with `rotate supply` and the name of this credential"


def how_to_overwrite(slot: Slot) -> str:
    """End a value there."""
    return f"the old value is still accepted: {_way(slot)}; generate the key that was in use before anew, press Save"


def how_to_put_back(slot: Slot, what: str) -> str:
    """An old value cannot be told to Halo by anybody but a person."""
    return f"{what} of {_name(slot)} is not the published one any more: {_way(slot)}; set it again, press Save"


def _way(slot: Slot) -> str:
    return _WAY.format(name=_name(slot))


def _name(slot: Slot) -> str:
    told = f"the application with client id {slot.client_id}"
    return f"{told} (id {slot.application})" if slot.application else told


def new_value() -> Secret:
    """A fresh value in the shape of Halo's own, two joined UUIDs: 244 random bits."""
    return Secret(f"{uuid4()}-{uuid4()}")


class SlotProvider(ABC):
    """One credential's view of its applications. A token's id is `<application>/<slot>/<mint name>`."""

    slots: tuple[Slot, ...]

    def __init__(self, server: OAuthServer, api: ApplicationApi, options: ApplicationOptions) -> None:
        """`api` does nothing unless settings allow it."""
        self._server = server
        self._api = api
        self._client = options

    @property
    def capabilities(self) -> Capabilities:
        """With one slot, putting the new value there ends the old one; what a person makes, we do not install."""
        return Capabilities(
            needs_install=self._api.allowed,
            overlap=len(self.slots) > 1,
            old_is_safe_to_present=self._server.config.old_is_safe_to_present,
        )

    def slot_of(self, token: Token) -> Slot:
        """Where this token is. What a person brought bears no slot in its id: it is where it always was."""
        application, _, rest = token.id.partition("/")
        field = rest.partition("/")[0]
        fits = (each for each in self.slots if (each.application, each.field) == (application, field))
        return next(fits, self.slots[0])

    def handle(self, slot: Slot, name: str, serial: str = "") -> Token:
        """The handle of a value that is to be put into this slot. Until that is done, it has no date."""
        return Token(f"{slot.application}/{slot.field}/{name}", name, serial)

    async def application(self, slot: Slot) -> ApplicationRecord:
        """The slot's application as it is now."""
        return await self._api.get(slot.application, slot.client_id)

    async def beside(self, slot: Slot) -> dict[str, str]:
        """What consumers need to know besides: in blue/green, the client id changes with the value."""
        config = await self._server.located(self._client)
        return {"client_id": slot.client_id, "token_url": config.token_request_url, "resource_url": config.url}

    # what a look before a rotation tells

    async def preview(self, lifetime: timedelta | None, keep: tuple[Token, ...]) -> AsyncIterator[Remark]:
        """What the next rotation would find in the applications. `lifetime` and `keep`: as a rotation would have them.
        Raises Transient, MinterRefused."""
        places = {(slot.application, slot.client_id): slot for slot in self.slots}
        if not self._api.readable:
            names = " and ".join(map(_name, places.values()))
            said = f"not looked at: {names}; the first rotation will show whether it is there, with its rights"
            remedy = "set `management` on the target; while manage_applications = false, it is used to look and no more"
            yield Remark(said, remedy, note=True)
            return
        records = []
        for slot in places.values():
            try:
                records.append(await self._api.named(slot.application, slot.client_id))
            except MinterRefused:
                raise
            except Refused as fault:
                yield Remark(fault.what, fault.remedy, grave=True)
        for record in records:
            for each in of_client(record, self._client, proven=bool(keep)):
                yield each
        if records and all(each.inactive for each in records):
            ids = " and ".join(each.id for each in records)
            yield Remark(
                f"application {ids} is inactive: nobody could use a new value", "activate it in Halo", grave=True
            )
        if len(records) == len(places):
            async for each in self.looked(tuple(records), lifetime, keep):
                yield each

    # the same for all of them

    async def find(self, prefix: str) -> tuple[Token, ...]:
        """Nothing: an application says that there is a value, not whose it is."""
        return ()

    async def restore(self, token: Token) -> Outcome:
        """Refused: what was written over is gone."""
        raise Refused("a value that was written over cannot be brought back; rotate to a new one")

    async def inspect(self, token: Token) -> Inspection:
        """What the application shows of the slot, when it still holds this value."""
        if not self._api.allowed:
            return Inspection(exists=True, expires_at=token.expires_at)
        record, slot = await self.application(self.slot_of(token)), self.slot_of(token)
        if not self.holds(record, token):
            return Inspection(exists=False)
        return Inspection(True, last_used=record.used(slot.field), expires_at=record.expires(slot.field))

    async def is_dead(self, token: Token, secret: Secret | None) -> bool | None:
        """Whether the value is refused when it is presented; without it, whether its slot holds another one."""
        if secret is not None:
            return await self.refused(token, secret)
        return not self._api.allowed or not self.holds(await self.application(self.slot_of(token)), token)

    # each kind's own

    @abstractmethod
    async def mint(self, name: str, expires_at: datetime | None, keep: tuple[Token, ...] = ()) -> Minted:
        """See `Provider.mint`."""

    @abstractmethod
    def looked(
        self, records: tuple[ApplicationRecord, ...], lifetime: timedelta | None, keep: tuple[Token, ...]
    ) -> AsyncIterator[Remark]:
        """What the applications tell this kind about its next rotation; see `preview`."""

    @abstractmethod
    async def install(self, minted: Minted) -> Token:
        """See `Provider.install`."""

    @abstractmethod
    async def verify(self, token: Token, secret: Secret) -> Verdict:
        """See `Provider.verify`."""

    @abstractmethod
    async def revoke(self, token: Token, secret: Secret | None = None) -> Outcome:
        """See `Provider.revoke`."""

    @abstractmethod
    def holds(self, record: ApplicationRecord, token: Token) -> bool:
        """Whether the slot holds this value, as far as the application shows."""

    @abstractmethod
    async def refused(self, token: Token, secret: Secret) -> bool | None:
        """Present the value; None when the answer says nothing about it."""

    @abstractmethod
    async def control(self) -> None:
        """The negative control: a value that nobody knows must be refused. Raises Refused when it is not."""


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

    async def revoke(self, token: Token, secret: Secret | None = None) -> Outcome:
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

    async def looked(
        self, records: tuple[ApplicationRecord, ...], lifetime: timedelta | None, keep: tuple[Token, ...]
    ) -> AsyncIterator[Remark]:
        """See `SlotProvider.looked`."""
        for each in of_two(*records) if len(records) > 1 else ():
            yield each
        for record in records:
            for each in self.judged(record):
                yield each

    @abstractmethod
    def judged(self, record: ApplicationRecord) -> Iterator[Remark]:
        """What one application tells this kind."""

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
        if lacking := missing_scopes(client, granted, echoes=self._server.config.echoes_scope):
            return Rejected(lacking, final=True)
        return await self._server.probe(client, granted)

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
        await self._server.guarded(self._client)
        if await self.refused(Token(""), await self.stranger()) is False:
            said = "this token endpoint accepts anyone: it gave a token for a value that nobody knows"
            raise Refused(said, remedy="let the application demand what it is to be proven by")
