"""The steps that next_step may decide. Which calls each makes is said in procedures/."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from rotator.rotation.record import HoldReason, Trigger


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before `until`; None: a person must act."""

    until: datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class Request:
    """Begin a rotation, after a look at the consumer path."""

    why: Trigger
    detail: str
    asked_by: str = ""
    emergency: bool = False
    effect: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Escalate:
    """Turn the rotation in flight into an emergency: no grace."""

    asked_by: str
    effect: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Mint:
    """Mint under the journalled name and stage the value at once."""

    name: str
    effect: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Look:
    """A mint may have been sent: look for its name. `resend`: nothing found authorises one more request."""

    name: str
    resend: bool
    effect: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Install:
    """Put the staged value on the target."""

    effect: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Poll:
    """See whether a person has done their part; `remind`: say it again if not."""

    remind: bool
    effect: ClassVar[bool] = True  # where settings now let us, the step is ours after all


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
    """Rewrite the consumer path unchanged, so that a paused actor's publish loses its check-and-set."""

    expected: int
    effect: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Condemn:
    """Judge whether the predecessor may go: prove the published value again, weigh the evidence of use."""

    effect: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Revoke:
    """End the condemned predecessor and prove it dead."""

    effect: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class LookWhetherEnded:
    """See whether a person has ended a predecessor that was left to them."""

    token: str
    effect: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Burn:
    """Revoke whatever lives under the attempt's name, then try again or give up."""

    name: str
    give_up: bool
    effect: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Sweep:
    """Empty the staged slot; `strays`: also look for tokens of this credential that the record does not know."""

    strays: bool
    effect: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Restore:
    """Bring the value before back: take its revocation back where there is one, and read it from Vault."""

    effect: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Hold:
    """Stop and call a person. `emergency`: what an emergency has of its own is used up."""

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
    | LookWhetherEnded
    | Burn
    | Sweep
    | Restore
    | Hold
)
Step = Wait | Act
