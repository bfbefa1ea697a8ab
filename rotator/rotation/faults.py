"""Faults of Vault and of targets: Transient, Refused, Conflict, and the refusals that the engine distinguishes."""

from __future__ import annotations

from rotator.rotation.wording import visible

_LONGEST = 4000  # characters; the longest honest one is the last output of a hook


class Fault(Exception):  # noqa: N818 ("fault" is the design's word; it blames nobody)
    """A call that failed. `reason` is a short sentence without secrets; it is logged and journalled.

    Foreign text in it is made printable, put on one line and shortened.

    `what` is `reason` without its last part, `remedy`. `remedy` says what to do; it may be empty.
    """

    def __init__(self, what: str, *, retry_after: float | None = None, remedy: str = "") -> None:
        self.what = what = visible(what, _LONGEST)
        self.remedy = remedy = visible(remedy, _LONGEST)
        self.reason = f"{what}: {remedy}" if remedy else what
        super().__init__(self.reason)
        self.retry_after = retry_after  # seconds that the other side asked us to wait


class Transient(Fault):
    """The effect may or may not have happened. Look before you do it again."""


class Refused(Fault):
    """The other side understood and refused. The same request will be refused again."""


class Duplicate(Refused):
    """The target says that the name is taken, by an earlier mint of ours or by somebody else."""


class MinterRefused(Refused):
    """The target refuses the minter's credentials: every call to it must stop."""


class OwnTokenRefused(MinterRefused):
    """The target refuses a credential that mints its own successor: the value that consumers have."""


class NeedsPerson(Refused):
    """Only a person can do this. `reason` tells them what to do, and where."""


class NeedsAccess(Refused):
    """We can do this ourselves once a person has given us back what we need for it; `remedy` says how."""


class TargetNotConfigured(Refused):
    """A token is at a target that the settings no longer name."""


class CannotPresent(Refused):
    """A value cannot be presented to the target from here. This says nothing about the value. `reason` has a remedy."""


class UnusableKey(Refused):
    """A configured key cannot be used as configured. No request was sent."""


class OnlyLooks(Refused):
    """The settings forbid this process to act (`read_only`). Nothing was tried."""


class StoreRefused(Refused):
    """Vault refuses us: our login ended and cannot be renewed, or its policy lacks a right."""


class Conflict(Fault):
    """A check-and-set failed: another process wrote in between."""
