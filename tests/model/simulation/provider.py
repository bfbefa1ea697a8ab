"""The provider edge on the model of a target: one credential's view, by the sort of target it lives on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import inf
from typing import Any

from rotator.ports import (
    Accepted,
    Capabilities,
    Inspection,
    Minted,
    MinterRefused,
    NeedsPerson,
    Outcome,
    Refused,
    Rejected,
    Transient,
    Unknown,
    Verdict,
)
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret
from rotator.rotation.token_names import begins
from tests.kit import promises
from tests.kit.kinds import CAN, DATED, INSTALLED, KEY_SETS, NAMED, OF_ONE_GRANT, Kind
from tests.model.simulation import wire
from tests.model.simulation.target import Live, Target
from tests.model.simulation.world import World

LEEWAY = timedelta(seconds=4)
UNDER_WAY = 60.0  # seconds: for so long the answer to another process's change is waited for


@dataclass
class SimProvider:
    """The provider port for one credential. `checks` is asked before a request leaves."""

    world: World
    target: Target
    name: str
    checks: Any  # invariants.Checks, which knows this model

    def __post_init__(self) -> None:
        self.kind = self.target.kind(self.name)

    @property
    def capabilities(self) -> Capabilities:
        """See `Provider.capabilities`."""
        if self.kind is Kind.BY_VALUE and self.world.swarm.families:
            return OF_ONE_GRANT
        return NAMED if self.kind is Kind.TOKENS and self.world.swarm.named else CAN[self.kind]

    async def mint(self, name: str, expires_at: datetime | None, keep: tuple[Token, ...] = ()) -> Minted:
        """See `Provider.mint`."""
        who = self._who
        if self.target.by_hand.get(self.name) == "mint":
            raise NeedsPerson("make a value and bring it")
        if self.kind is Kind.REGISTERED and not self._may_change():
            raise NeedsPerson("get another registration access token")
        self.checks.mint_leaves(self.name, name)

        def effect() -> Minted:
            if self.world.chance(self.world.swarm.refused):
                self.world.fault("target_refuses", self.name)
                raise Refused("not today")
            live = self._made(name, expires_at, who, keep)
            return Minted(live.token, Secret(live.value), {"user": "u"}, {"twin": Secret(f"sek-twin-{live.value[4:]}")})

        return await self._send("mint", effect, writes=self.kind not in INSTALLED)

    async def receive(
        self, name: str, value: Secret, expires_at: datetime | None, keep: tuple[Token, ...] = ()
    ) -> Minted:
        """See `SupportsSupply.receive`: nothing leaves, the target is told later."""
        if self.kind not in INSTALLED:
            raise Refused("the target makes the value")
        self.checks.mint_named(self.name, name)
        live = self._made(name, expires_at, self._who, keep, value.reveal())
        return Minted(live.token, value)

    def _made(self, name: str, expires_at: datetime | None, who: str, keep: tuple[Token, ...], value: str = "") -> Live:
        if self.kind not in INSTALLED:
            return self.target.add(name, expires_at, who, self.name)
        slot: str | None = ""
        if self.kind not in KEY_SETS:
            keep = frozenset(x.id for x in keep) if self.capabilities.overlap else frozenset[str]()
            slot = self.target.free_slot(self.name, keep)
        if slot is None:
            raise Refused("no slot is free")
        return self.target.make(name, expires_at, who, self.name, slot, value)

    async def install(self, minted: Minted) -> Token:
        """See `Provider.install`."""
        who = self._who
        if self.kind not in INSTALLED:
            raise Refused("the target makes the value")
        if self.target.by_hand.get(self.name) == "install":
            raise NeedsPerson("put the staged value on the target")
        self.checks.install_leaves(self.name, minted)

        def effect() -> Token:
            live = self.target.by_value[minted.secret.reveal()]
            if live.ended and self.kind is Kind.ONE_SLOT and self.world.swarm.remembers:
                raise Refused("it was used before")
            self.target.install(live, who)
            return replace(minted.token, issued_at=self.world.date())

        if self.kind is Kind.REGISTERED:
            return await self._change("install", effect)
        return await self._send("install", effect, writes=True, timely=True)

    async def find(self, prefix: str) -> tuple[Token, ...]:
        """See `Provider.find`."""

        def effect() -> tuple[Token, ...]:
            listed = (x for x in self.target.tokens.values() if begins(x.name, prefix) and self.target.lists(x))
            return tuple(x.token for x in listed)

        return await self._send("find", effect) if self.capabilities.can_list else ()

    async def verify(self, token: Token, secret: Secret) -> Verdict:
        """See `Provider.verify`."""

        def effect() -> Verdict:
            live = self.target.by_value.get(secret.reveal())
            if live is None or not self.target.accepts(live.value):
                if live and self.target.alive(live):
                    self.world.fault("target_settling", self.name)
                return Rejected("401")
            live.last_used = self.world.now // 60 * 60
            if live.id != token.id:
                return Rejected("the secret belongs to another token", final=True)
            live.proven = True
            return Accepted()

        try:
            return await self._send("verify", effect, minter=False)
        except Transient as fault:
            return Unknown(fault.reason, fault.retry_after)

    async def inspect(self, token: Token) -> Inspection:
        """See `Provider.inspect`."""
        if self.kind in DATED:
            return Inspection(not self._over(token), expires_at=token.expires_at + LEEWAY if token.expires_at else None)

        def effect() -> Inspection:
            live = self.target.tokens.get(token.id)
            if live is None or live.deleted:
                return Inspection(exists=False)
            return self.target.tells(live)

        return await self._send("inspect", effect)

    async def revoke(self, token: Token, secret: Secret | None = None) -> Outcome:
        """See `Provider.revoke`."""
        if self.kind is Kind.ONE_SLOT:
            return Outcome.ALREADY
        if self.kind in DATED and (secret is None or self.kind is Kind.EXPIRING):
            if self._over(token):
                return Outcome.ALREADY
            raise Refused("it cannot be revoked, it ends by expiry")
        if self.kind is Kind.BY_VALUE and secret is not None:
            return await self._revoke_by_value(token, secret)
        who = self._who
        self.checks.revoke_leaves(self.name, token)

        def effect() -> Outcome:
            live = self.target.tokens.get(token.id)
            gone = live is None or live.deleted or not live.there
            return Outcome.ALREADY if gone else self.target.end(live, who)

        if self.kind is Kind.REGISTERED:
            try:
                return await self._change("revoke", effect)
            except NeedsPerson as fault:  # it is no end of the key, whatever they do
                raise Refused(fault.reason) from None
        return await self._send("revoke", effect, writes=True, timely=True)

    async def _revoke_by_value(self, token: Token, secret: Secret) -> Outcome:
        """RFC 7009: who shows a value ends that one, and hears no more than that the request came."""
        who, value = self._who, secret.reveal()
        shown = self.target.by_value.get(value)
        self.checks.revoke_leaves(self.name, shown.token if shown else token)

        def effect() -> Outcome:
            live = self.target.by_value.get(value)
            if live is not None and self.target.alive(live) and not self.world.swarm.deaf:
                self.target.end(live, who)
            return Outcome.DONE

        return await self._send("revoke", effect, writes=True, timely=True)

    async def restore(self, token: Token) -> Outcome:
        """See `Provider.restore`."""
        who = self._who
        self.checks.restore_leaves(self.name, token)

        def effect() -> Outcome:
            live = self.target.tokens.get(token.id)
            if live is None:
                raise Refused("the record is gone")
            return self.target.restore(live, who)

        return await self._send("restore", effect, writes=True)

    async def identify(self, secret: Secret) -> Token:
        """See `SupportsIdentify.identify`."""

        def effect() -> Token:
            live = self.target.by_value.get(secret.reveal())
            if live is None or live.deleted or live.ended:
                raise Refused("nobody knows it")
            return live.token

        return await self._send("identify", effect)

    async def is_dead(self, token: Token, secret: Secret | None) -> bool | None:
        """See `Provider.is_dead`."""
        if self.kind in DATED and (secret is None or self.kind is Kind.EXPIRING):
            return self._over(token) or (None if self.capabilities.can_revoke else False)

        def effect() -> bool | None:
            if self.world.chance(self.world.swarm.lags):
                self.world.fault("target_lags", self.name)
                return None
            live = self.target.tokens.get(token.id)
            return live is None or not self.target.alive(live)

        return await self._send("is_dead", effect)

    # --- a registration access token --------------------------------------------------------------------------------

    def _may_change(self) -> bool:
        """Whether Vault has a token that the server takes; a person is on the way if not."""
        registration, world = self.target.registrations[self.name], self.world
        if registration.held == registration.valid:
            return True
        if world.now - registration.changing < UNDER_WAY:
            raise Transient("another process changes the client")
        self.checks.hold(promises.loses("the registration access token", answers=registration.unwritten))
        world.fault("registration_lost", self.name)
        world.later(30.0 if world.calm else world.rng.uniform(5, 150), registration.renew)
        return False

    async def _change(self, verb: str, effect: Callable[[], wire.T]) -> wire.T:
        """One change, and the next token written before anything else. A lost answer loses it."""
        registration, fresh = self.target.registrations[self.name], 0
        if not self._may_change():
            raise NeedsPerson("get another registration access token")
        spent, registration.changing = registration.held, self.world.now

        def change() -> wire.T:
            nonlocal fresh
            fresh = registration.change(spent)
            return effect()

        result = await self._send(verb, change, writes=True, timely=True)
        registration.keep(spent, fresh)
        registration.changing = -inf
        return result

    def _over(self, token: Token) -> bool:
        """By its date, the leeway for clocks that are taken for equal, and this process's clock."""
        return token.expires_at is not None and token.expires_at + LEEWAY <= self._clock_now()

    def _clock_now(self) -> datetime:
        assert self.world.running is not None
        return self.world.running.owner.clock.now()

    @property
    def _who(self) -> str:
        assert self.world.running is not None
        return self.world.running.owner.holder

    def _send(
        self,
        verb: str,
        effect: Callable[[], wire.T],
        *,
        writes: bool = False,
        minter: bool = True,
        timely: bool = False,
    ) -> Awaitable[wire.T]:
        world = self.world

        def unless_busy() -> wire.T:
            if minter and self.target.minter_refused:
                world.fault("target_minter_refused", self.name)
                raise MinterRefused("401 for the minter")
            if world.chance(world.swarm.busy):
                retry_after = world.rng.choice((None, None, 3.0, 20.0))
                world.fault("target_429" if retry_after else "target_5xx", self.name)
                raise Transient("busy", retry_after=retry_after)
            if writes and world.chance(world.swarm.locked):
                world.fault("target_409", self.name)
                raise Transient("409, a lock race")
            return effect()

        return wire.send(world, "target", verb, self.name, unless_busy, writes=writes, timely=timely)
