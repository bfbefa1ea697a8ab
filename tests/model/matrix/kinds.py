"""The sorts of target that the matrix has, on the fakes, and the truth that its promises ask them for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rotator.rotation.record import Token
from rotator.rotation.secret import Secret
from tests.kit.provider import ExpiringProvider, FakeProvider, Target
from tests.kit.slots import SlotProvider, Slots
from tests.model.matrix.clocks import Time


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


@dataclass
class Truth:
    """The target of one world. `provider` is one credential's view of it."""

    kind: Kind
    time: Time

    def __post_init__(self) -> None:
        if self.kind in SLOTTED:
            self.slots = Slots(self.time.now, 2 if self.kind is Kind.TWO_SLOTS else 1)
            self.provider: Any = SlotProvider(self.slots)
        else:
            self.target = Target(self.time.now, named=self.kind is Kind.NAMED, seed="canary")
            self.stranger = self.target.mint("rotator-home-blog-bot-other-r1-a1", None).token
            self.provider = ExpiringProvider(self.target) if self.kind is Kind.EXPIRING else FakeProvider(self.target)

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
