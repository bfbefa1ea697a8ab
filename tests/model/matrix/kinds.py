"""The sorts of target that the matrix has, on the fakes, and the truth that its promises ask them for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from rotator.ports import Capabilities, Inspection, Minted, Outcome, Refused
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret
from tests.kit.provider import FakeProvider, Target
from tests.kit.slots import SlotProvider, Slots
from tests.model.matrix.clocks import Time

LEEWAY = timedelta(seconds=30)


def secret(text: str) -> bool:
    """Whether there is a secret of ours in it."""
    return "canary-secret" in text or "slot-canary" in text


class Kind(StrEnum):
    """How a target keeps the values of the credential."""

    NAMED = "named, overlapping"
    EXPIRING = "expiring"
    ONE_SLOT = "one slot"
    TWO_SLOTS = "two slots"
    PERSON = "one slot, a person installs"


CUT_OVER = frozenset({Kind.ONE_SLOT, Kind.PERSON})
SLOTTED = frozenset({*CUT_OVER, Kind.TWO_SLOTS})
GRACED = frozenset({Kind.NAMED, Kind.TWO_SLOTS})


class Expiring(FakeProvider):
    """Nobody can list or revoke: each token ends by its own date."""

    @property
    def capabilities(self) -> Capabilities:
        """See `Provider.capabilities`."""
        return Capabilities(can_revoke=False, old_is_safe_to_present=False)

    async def find(self, prefix: str) -> tuple[Token, ...]:
        """See `Provider.find`."""
        return ()

    async def inspect(self, token: Token) -> Inspection:
        """See `Provider.inspect`."""
        end = (token.expires_at or self._target.now()) + LEEWAY
        return Inspection(exists=self._target.now() < end, expires_at=end)

    async def revoke(self, token: Token) -> Outcome:
        """See `Provider.revoke`."""
        if (await self.inspect(token)).exists:
            raise Refused("it ends by expiry")
        return Outcome.ALREADY

    async def is_dead(self, token: Token, secret: Secret | None) -> bool | None:
        """See `Provider.is_dead`."""
        return not (await self.inspect(token)).exists


class Slotted(SlotProvider):
    """A slot tells what it holds, without being shown the value; one that must live on is not taken."""

    async def mint(self, name: str, expires_at: datetime | None, keep: tuple[Token, ...] = ()) -> Minted:
        """See `Provider.mint`."""
        kept = {token.serial for token in keep if self._holds(token)}
        if len(kept) == self.target.number > 1:
            raise Refused("no slot is free")
        return await super().mint(name, expires_at, keep)

    async def revoke(self, token: Token) -> Outcome:
        """See `Provider.revoke`."""
        return await super().revoke(token) if self._holds(token) else Outcome.ALREADY

    async def is_dead(self, token: Token, secret: Secret | None) -> bool | None:
        """See `Provider.is_dead`."""
        return await super().is_dead(token, secret) if secret else not self._holds(token)

    def _holds(self, token: Token) -> bool:
        held = self.target.kept.get(token.serial)
        return held is not None and held.reveal().endswith(f"-{token.id}")


@dataclass
class Truth:
    """The target of one world. `provider` is one credential's view of it."""

    kind: Kind
    time: Time

    def __post_init__(self) -> None:
        if self.kind in SLOTTED:
            self.slots = Slots(self.time.now, 2 if self.kind is Kind.TWO_SLOTS else 1)
            self.provider: Any = Slotted(self.slots)
        else:
            self.target = Target(self.time.now, named=self.kind is Kind.NAMED, seed="canary")
            self.stranger = self.target.mint("rotator-home-blog-bot-other-r1-a1", None).token
            self.provider = Expiring(self.target) if self.kind is Kind.EXPIRING else FakeProvider(self.target)

    def accepts(self, value: str) -> bool:
        """Whether consumers who present it get in."""
        return (self.slots if self.kind in SLOTTED else self.target).accepts(Secret(value))

    @property
    def minted(self) -> int:
        """How many tokens there were, ours."""
        return self.slots.made if self.kind in SLOTTED else len(self.target.issued) - 1

    def left_over(self, current: Token, value: str) -> list[str]:
        """What lives beside what is published, and is ours."""
        if self.kind is Kind.EXPIRING:
            return []  # they end by themselves
        if self.kind in SLOTTED:
            kept = [each for each in self.slots.kept.values() if not each.matches(Secret(value))]
            return [each.reveal() for each in kept if not each.reveal().startswith("discarded")]
        return [x.id for x in self.target.living() if x.id not in (current.id, self.stranger.id)]

    def spoil(self) -> None:
        """The next candidate will not be accepted."""
        if self.kind in SLOTTED:
            self.slots.refuses = True
        else:
            self.target.issued[-1].revoked_at = self.time.now()
