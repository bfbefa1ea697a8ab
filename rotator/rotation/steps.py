"""The steps that `next_step` decides. procedures/ says which calls each one makes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from rotator.rotation.record import HoldReason, Trigger


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before `until`; None: until a person acts."""

    until: datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class Request:
    """Begin a rotation, after a look at the consumer path."""

    why: Trigger
    detail: str
    asked_by: str = ""
    emergency: bool = False
    in_spite_of: str = ""  # what the calendar says against it, and why it begins all the same
    effect: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Escalate:
    """Make the rotation under way an emergency: its predecessor gets no grace."""

    asked_by: str
    effect: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Mint:
    """Mint under the journalled name, and stage the value at once."""

    name: str
    effect: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Look:
    """Look for the name of a mint that may have been sent. `resend`: if nothing is found, one more is authorised."""

    name: str
    resend: bool
    effect: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Install:
    """Put the staged value on the target."""

    effect: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Poll:
    """Look whether a person has acted. `remind`: remind them if not."""

    remind: bool
    effect: ClassVar[bool] = True  # the settings may have changed so that we can act ourselves


@dataclass(frozen=True, slots=True)
class Verify:
    """Read the staged value back from Vault and prove it on the target."""

    effect: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Publish:
    """Write the candidate to the consumer path over `expected`, unless it is there already."""

    expected: int
    reprove: bool
    effect: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Fence:
    """Rewrite the consumer path unchanged, so that the check-and-set of a paused process fails."""

    expected: int
    effect: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Condemn:
    """Decide whether the predecessor may be ended: prove the published value again, and look at the last use.

    `watched`: this process has watched the whole grace by a monotonic clock, whatever the wall clocks say. `overdue`:
    the next rotation is due, and does not wait for a predecessor that ends by its own date as well.
    """

    effect: ClassVar[bool] = False
    watched: bool = False
    overdue: bool = False


@dataclass(frozen=True, slots=True)
class Revoke:
    """End the condemned predecessor and prove it dead."""

    effect: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Reopen:
    """Make a value that was left to its date the predecessor again, in an emergency: it is revoked once more."""

    token: str
    effect: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class LookWhetherEnded:
    """Look whether an older value has ended that was left to a person or to its date."""

    token: str
    effect: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Burn:
    """End whatever is alive under the attempt's name, then try again or give up."""

    name: str
    give_up: bool
    effect: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Sweep:
    """Empty the staged slot. `strays`: also end tokens of this credential that the record does not know."""

    strays: bool
    effect: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Restore:
    """Restore the value before: take back its revocation, if there was one, and read it from Vault."""

    effect: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Hold:
    """Stop until a person acts. `emergency`: the mint budget of emergencies is used up."""

    reason: HoldReason
    text: str
    emergency: bool = False
    effect: ClassVar[bool] = False


Act = (
    Request
    | Escalate
    | Mint
    | Look
    | Install
    | Poll
    | Verify
    | Publish
    | Fence
    | Condemn
    | Revoke
    | Reopen
    | LookWhetherEnded
    | Burn
    | Sweep
    | Restore
    | Hold
)
Step = Wait | Act
