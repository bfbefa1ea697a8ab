"""What API keys, client secrets and assertion keys of HaloITSM applications have in common: a value is made here,
put into a slot of an application later, and ended by being written over.

Which slot is free, and how a value is proven, is each kind's; the calls are application_api.py's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime
from uuid import uuid4

from rotator.ports import Capabilities, Inspection, Minted, Outcome, Refused, Verdict  # fmt: skip
from rotator.providers.halo_itsm.application_api import ApplicationApi
from rotator.providers.halo_itsm.application_record import ApplicationRecord
from rotator.providers.halo_itsm.config import ApplicationOptions, Slot
from rotator.providers.oauth.server import OAuthServer
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret


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
            old_is_safe_to_present=self._server.keys.old_is_safe_to_present,
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

    def beside(self, slot: Slot) -> dict[str, str]:
        """What consumers need to know besides: in blue/green, the client id changes with the value."""
        keys = self._server.keys
        return {"client_id": slot.client_id, "token_url": keys.token_request_url, "resource_url": keys.url}

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
    async def install(self, minted: Minted) -> Token:
        """See `Provider.install`."""

    @abstractmethod
    async def verify(self, token: Token, secret: Secret) -> Verdict:
        """See `Provider.verify`."""

    @abstractmethod
    async def revoke(self, token: Token) -> Outcome:
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
