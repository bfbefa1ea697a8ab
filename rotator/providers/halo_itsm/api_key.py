"""API keys of HaloITSM: two slots in each application, with dates of creation, last use and expiry.

A key is recognised by its date of creation: if the slot has another date, it holds another key, which is not ours.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from rotator.ports import (
    Accepted,
    Capabilities,
    Minted,
    NeedsPerson,
    Outcome,
    Refused,
    Transient,
    Unknown,
    Verdict,
)
from rotator.providers.base import Remark
from rotator.providers.halo_itsm.application_api import ApplicationApi, ApplicationRecord
from rotator.providers.halo_itsm.application_checks import of_key_life
from rotator.providers.halo_itsm.config import API_KEY_USE_STEP, API_KEYS, ApiKeyOptions, Slot
from rotator.providers.halo_itsm.slots import (
    SlotProvider,
    how_to_generate,
    how_to_overwrite,
    how_to_put_back,
    new_value,
)
from rotator.providers.http.auth import ApiKey
from rotator.providers.http.client import HttpResponse
from rotator.providers.oauth.server import OAuthServer
from rotator.providers.oauth.token_endpoint import hint
from rotator.providers.refusals import ProbeCall
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret
from rotator.rotation.wording import when

_FRESH = timedelta(hours=1)  # a key this young may be about to be used
_SPREAD = timedelta(minutes=2)  # a new key may be unknown in places for this long


class HaloApiKey(SlotProvider):
    """One credential's view of its application. A token's serial is the date of its making as Halo writes it; before it
    is installed, that of the key which it will replace."""

    def __init__(self, server: OAuthServer, api: ApplicationApi, options: ApiKeyOptions) -> None:
        """`options` say which application, and how the key is presented."""
        super().__init__(server, api, options)
        self._options = options
        self.slots = options.places(*API_KEYS)

    @property
    def capabilities(self) -> Capabilities:
        """Where a person ends the old key, presenting it is the only way to check that."""
        usual = super().capabilities
        if not self._api.allowed:
            return replace(usual, old_is_safe_to_present=True)
        return replace(usual, reports_last_use=True, last_use_resolution=API_KEY_USE_STEP)

    async def mint(self, name: str, expires_at: datetime | None, keep: tuple[Token, ...] = ()) -> Minted:
        """Make a key and choose its slot, without a call. Raises Refused when no slot is free."""
        if not self._api.allowed:
            raise NeedsPerson(how_to_generate(self.slots[0], "the API key that is not in use"))
        return await self._minted(name, new_value(), expires_at, keep)

    async def receive(
        self, name: str, value: Secret, expires_at: datetime | None, keep: tuple[Token, ...] = ()
    ) -> Minted:
        """Take a key that a person supplies. Its slot is unknown, unless we put it there ourselves."""
        if not self._api.allowed:
            token = Token(f"{self.slots[0].application}/by-hand/{name}", name, "", self._server.clock.now(), expires_at)
            return Minted(token, value, await self.beside(self.slots[0]))
        return await self._minted(name, value, expires_at, keep)

    async def _minted(self, name: str, value: Secret, expires_at: datetime | None, keep: tuple[Token, ...]) -> Minted:
        record = await self.application(self.slots[0])
        if record.inactive:
            said = f"application {record.id} is inactive, so nobody could use a key of it"
            raise Refused(said, remedy="activate it in Halo")
        self._check_life(record, expires_at)
        slot = await self._choose(record, keep)
        return Minted(self.handle(slot, name, record.stamp(slot.field)), value, await self.beside(slot))

    async def install(self, minted: Minted) -> Token:
        """Put the key into its slot, unless it is there already. Raises Refused when another key is there."""
        if not self._api.allowed:
            raise NeedsPerson(how_to_put_back(self.slot_of(minted.token), "an API key"))
        token, slot, by = minted.token, self.slot_of(minted.token), self._api.deadline()
        before = await self.application(slot)
        if before.stamp(slot.field) == token.serial:
            after = await self._api.change(before, {slot.field: minted.secret}, by)
        elif await self._is_ours(before, slot, minted.secret):
            after = before  # the answer of an earlier request was lost
        else:
            said = f"{_said(slot)} of application {before.id} was made anew by somebody else meanwhile"
            raise Refused(said, remedy="the next attempt chooses a slot anew")
        if after.stamp(slot.field) in ("", token.serial):
            said = f"application {after.id} took no {_said(slot)}, as the date of its making has not moved"
            raise Refused(said, remedy="may the management application's agent make keys of it?")
        made, end = after.generated(slot.field), after.expires(slot.field)
        return replace(token, serial=after.stamp(slot.field), issued_at=made, expires_at=end)

    async def _is_ours(self, record: ApplicationRecord, slot: Slot, secret: Secret) -> bool:
        """Whether the key in the slot is ours. Raises Transient while that is unknown."""
        verdict = await self.verify(Token(""), secret)
        if isinstance(verdict, Accepted):
            return True
        made = record.generated(slot.field)
        if isinstance(verdict, Unknown) or (made and self._server.clock.now() < made + _SPREAD):
            raise Transient(f"cannot tell yet whose {_said(slot)} is: {verdict.reason}")
        return False

    def holds(self, record: ApplicationRecord, token: Token) -> bool:
        """By the date of making. What was never installed is nowhere; what a person brought may be in either slot."""
        if token.issued_at is None or not token.serial:
            return False
        return record.stamp(self.slot_of(token).field) == token.serial

    async def revoke(self, token: Token, secret: Secret | None = None) -> Outcome:
        """Overwrite the slot with an unknown key, if it still holds this one."""
        if not self._api.allowed:
            return Outcome.ALREADY
        slot, by = self.slot_of(token), self._api.deadline()
        record = await self.application(slot)
        if not self.holds(record, token):
            return Outcome.ALREADY
        waste = await self._api.waste(record.id, slot.field) or new_value()
        await self._api.change(record, {slot.field: waste}, by)
        return Outcome.DONE

    async def is_dead(self, token: Token, secret: Secret | None) -> bool | None:
        """See `SlotProvider.is_dead`. Raises NeedsPerson when only a person can end it."""
        dead = await super().is_dead(token, secret)
        if dead is False and not (self._api.allowed and token.serial):
            raise NeedsPerson(how_to_overwrite(self.slots[0]))
        return dead

    async def looked(
        self, records: tuple[ApplicationRecord, ...], lifetime: timedelta | None, keep: tuple[Token, ...]
    ) -> AsyncIterator[Remark]:
        """See `SlotProvider.looked`. A slot that is taken now may be free when a published key is due."""
        for record in records:
            for each in of_key_life(record, lifetime):
                yield each
            if len(keep) > 1 or not self._api.allowed:
                continue  # the predecessor's slot is free at its end
            try:
                await self._choose(record, keep)
            except Refused as fault:
                yield Remark(fault.what, fault.remedy, grave=not keep)

    # which slot

    async def _choose(self, record: ApplicationRecord, keep: tuple[Token, ...]) -> Slot:
        now, kept = self._server.clock.now(), {self.slot_of(each) for each in keep if self._lives(record, each)}
        ranked, said = [], []
        for slot in self.slots:
            rank, why = (None, "holds a key that must live on") if slot in kept else self._rank(record, slot, now)
            if rank is None and slot not in kept and await self._given_up(record, slot):
                rank = (2, 0.0)
            said.append(f"{_said(slot)} {why}")
            if rank is not None:
                ranked.append((rank, slot.field, slot))
        if not ranked:
            raise Refused(
                f"application {record.id} has no free slot: {'; '.join(said)}",
                remedy="generate the one anew that nobody needs, and wait an hour",
            )
        return min(ranked)[2]

    async def _given_up(self, record: ApplicationRecord, slot: Slot) -> bool:
        """Whether the slot holds the unknown key that we overwrote it with."""
        waste = await self._api.waste(record.id, slot.field)
        return waste is not None and await self.refused(Token(""), waste) is False

    def _lives(self, record: ApplicationRecord, token: Token) -> bool:
        end = record.expires(self.slot_of(token).field)
        return self.holds(record, token) and (end is None or end > self._server.clock.now())

    def _rank(self, record: ApplicationRecord, slot: Slot, now: datetime) -> tuple[tuple[int, float] | None, str]:
        """The rank of a slot as a choice, lowest first; None: it must not be used, and why."""
        field = slot.field
        made, end, used = record.generated(field), record.expires(field), record.used(field)
        if made is None:
            return (0, 0.0), "is empty"
        if end is not None and end <= now:
            return (1, end.timestamp()), "has expired"
        if used is None and made + _FRESH <= now:
            return (3, made.timestamp()), "was never used"
        if used is not None and used + self._options.idle <= now:
            return (4, used.timestamp()), "was not used for long"
        return None, f"was last used at {when(used)}" if used else f"was made at {when(made)}, less than an hour ago"

    def _check_life(self, record: ApplicationRecord, expires_at: datetime | None) -> None:
        days, now = record.key_days, self._server.clock.now()
        if days is not None and expires_at is not None and expires_at - now > timedelta(days=days, minutes=1):
            raise Refused(
                f'keys of application {record.id} live for {days} days: set lifetime = "{days}d" or less, and rotate'
                " within it, or raise the days in Halo"
            )

    # proofs

    async def verify(self, token: Token, secret: Secret) -> Verdict:
        """The test call with the key."""
        return await self._server.refusals.verdict(self._probe(token), secret)

    async def refused(self, token: Token, secret: Secret) -> bool | None:
        """See `SlotProvider.refused`."""
        return await self._server.refusals.dead(self._probe(token), secret)

    async def control(self) -> None:
        """See `SlotProvider.control`; the probe must refuse a caller without a key, too."""
        await self._server.refusals.control(self._probe())

    def _probe(self, token: Token | None = None) -> ProbeCall:
        options = self._options

        async def show(value: Secret | None) -> HttpResponse:
            auth = ApiKey(value, options.header, options.prefix) if value else None
            return await self._server.read(options.probe, auth)

        way = options.probe, options.header, options.prefix
        until = token.expires_at if token else None
        return ProbeCall(way, repr(self.slots[0]), show, options.identity, "key", partial(hint, options), until)


def _said(slot: Slot) -> str:
    return f"API key {slot.field[-1]}"
