"""Owns the model of a target and the provider edge on it: names or display names, revocation, expiry, settling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rotator.ports import (
    Accepted,
    Capabilities,
    Duplicate,
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
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret
from tests.simulation import wire
from tests.simulation.world import World


@dataclass(slots=True)
class Live:
    """A token as the target keeps it. Times are true seconds."""

    id: str
    name: str
    value: str
    valid_from: float
    expires: datetime | None
    minter: str
    minted_at: float = 0.0
    ended: str = ""  # who revoked it: a process, or "person"
    deleted: bool = False
    last_used: float | None = None
    proven: bool = False


@dataclass
class Target:
    """Every token there ever was, by id and by value; `watch` hears of mints, proofs and ends as they take effect."""

    world: World
    minted: Callable[[Live], None]
    revoked: Callable[[Live], None]
    tokens: dict[str, Live] = field(default_factory=dict)
    by_value: dict[str, Live] = field(default_factory=dict)
    minter_refused: bool = False

    def accepts(self, value: str) -> bool:
        """Whether a consumer who presents this value gets in."""
        token = self.by_value.get(value)
        return token is not None and self.alive(token) and token.valid_from <= self.world.now

    def alive(self, token: Live) -> bool:
        """Neither revoked nor expired."""
        return not token.ended and not self.expired(token)

    def expired(self, token: Live) -> bool:
        """Over by its own lifetime."""
        return token.expires is not None and token.expires <= self.world.date()

    def add(self, name: str, expires: datetime | None, minter: str) -> Live:
        """Mint. Raises Duplicate when names are chosen by the client and this one is taken."""
        world = self.world
        if world.swarm.named and any(x.name == name and not x.deleted for x in self.tokens.values()):
            raise Duplicate("duplicate name")
        number = len(self.by_value) + 1
        live = Live(
            id=name if world.swarm.named else f"t{number}",
            name=name,
            value=f"sek-{number}-{world.word()}",
            valid_from=world.now + (0.0 if world.calm else world.rng.uniform(0, world.swarm.settle)),
            expires=expires,
            minter=minter,
            minted_at=world.now,
        )
        self.tokens[live.id] = self.by_value[live.value] = live
        world.tell(minter, f"minted {live.id}", name)
        self.minted(live)
        return live

    def end(self, token: Live, by: str) -> Outcome:
        """Revoke."""
        if token.ended:
            return Outcome.ALREADY
        token.ended = by
        self.world.tell(by, f"revoked {token.id}")
        if by != "person":
            self.revoked(token)
        if self.world.swarm.purge:
            self.world.later(self.world.rng.uniform(5, 60), lambda: setattr(token, "deleted", True))
        return Outcome.DONE


@dataclass
class SimProvider:
    """The provider port for one credential. `checks` is asked before a request leaves."""

    world: World
    target: Target
    name: str
    checks: Any  # invariants.Checks, which knows this model

    @property
    def capabilities(self) -> Capabilities:
        """See `Provider.capabilities`."""
        return Capabilities(named_mint=self.world.swarm.named, lists=True, restores=True, reports_last_use=True)

    async def mint(self, name: str, expires_at: datetime | None, spared: tuple[Token, ...] = ()) -> Minted:
        """See `Provider.mint`."""
        who = self._who
        self.checks.mint_leaves(self.name, name)

        def effect() -> Minted:
            if self.world.chance(self.world.swarm.refused):
                self.world.fault("target_refuses", self.name)
                raise Refused("not today")
            live = self.target.add(name, expires_at, who)
            return Minted(Token(live.id, name, "", self.world.date(), expires_at), Secret(live.value), {"user": "u"})

        return await self._send("mint", effect, writes=True)

    async def install(self, minted: Minted) -> Token:
        """Refused: the target makes the value."""
        raise Refused("the target makes the value")

    async def find(self, prefix: str) -> tuple[Token, ...]:
        """See `Provider.find`."""

        def effect() -> tuple[Token, ...]:
            listed = (x for x in self.target.tokens.values() if x.name.startswith(prefix) and self.target.alive(x))
            return tuple(Token(x.id, x.name, "", None, x.expires) for x in listed)

        return await self._send("find", effect)

    async def verify(self, token: Token, secret: Secret) -> Verdict:
        """See `Provider.verify`."""

        def effect() -> Verdict:
            live = self.target.by_value.get(secret.reveal())
            if live is None or live.id != token.id or not self.target.accepts(live.value):
                if live and self.target.alive(live):
                    self.world.fault("target_settling", self.name)
                return Rejected("401")
            live.proven = True
            return Accepted()

        try:
            return await self._send("verify", effect, minter=False)
        except Transient as fault:
            return Unknown(fault.reason, fault.retry_after)

    async def inspect(self, token: Token) -> Inspection:
        """See `Provider.inspect`."""

        def effect() -> Inspection:
            live = self.target.tokens.get(token.id)
            if live is None or live.deleted:
                return Inspection(exists=False)
            used = None if live.last_used is None else self.world.date(live.last_used - self.world.now)
            return Inspection(True, bool(live.ended), used, live.expires)

        return await self._send("inspect", effect)

    async def revoke(self, token: Token) -> Outcome:
        """See `Provider.revoke`."""
        who = self._who
        self.checks.revoke_leaves(self.name, token)

        def effect() -> Outcome:
            live = self.target.tokens.get(token.id)
            return Outcome.ALREADY if live is None or live.deleted else self.target.end(live, who)

        return await self._send("revoke", effect, writes=True)

    async def restore(self, token: Token) -> Outcome:
        """See `Provider.restore`; the engine does not use it yet."""
        raise Refused("not modelled")

    async def is_dead(self, token: Token, secret: Secret | None) -> bool | None:
        """See `Provider.is_dead`."""

        def effect() -> bool | None:
            if self.world.chance(self.world.swarm.lags):
                self.world.fault("target_lags", self.name)
                return None
            live = self.target.tokens.get(token.id)
            return live is None or not self.target.alive(live)

        return await self._send("is_dead", effect)

    @property
    def _who(self) -> str:
        assert self.world.running is not None
        return self.world.running.owner.holder

    async def _send(
        self, verb: str, effect: Callable[[], wire.T], *, writes: bool = False, minter: bool = True
    ) -> wire.T:
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

        return await wire.send(world, "target", verb, self.name, unless_busy, writes=writes)
