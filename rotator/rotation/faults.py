"""What may go wrong with the world: three faults, and the kinds of refusal the engine tells apart."""

from __future__ import annotations

from rotator.rotation.wording import visible

_LONGEST = 4000  # characters; the end of what a hook said is the longest


class Fault(Exception):  # noqa: N818 (the design's word; "error" would say whose it is)
    """Something the world did to us. `reason` is a short sentence without secrets; it is logged and journalled.

    What others wrote stands in it as text: on one line, printable, of a bearable length.

    `what` is it without its end, `remedy`, which says what to do; empty where the fault's kind says enough.
    """

    def __init__(self, what: str, *, retry_after: float | None = None, remedy: str = "") -> None:
        self.what = what = visible(what, _LONGEST)
        self.remedy = remedy = visible(remedy, _LONGEST)
        self.reason = f"{what}: {remedy}" if remedy else what
        super().__init__(self.reason)
        self.retry_after = retry_after  # seconds the other side asked us to wait


class Transient(Fault):
    """Undecided: the effect may or may not have happened; look before doing it again."""


class Refused(Fault):
    """The other side understood and said no; the same request will be refused again."""


class Duplicate(Refused):
    """The target says that the chosen name is taken: an earlier mint of ours, or a stranger's."""


class MinterRefused(Refused):
    """The target refuses the identity that mints: stop every call to it."""


class OwnTokenRefused(MinterRefused):
    """The identity that mints is the published value itself: its target refuses what consumers have."""


class NeedsPerson(Refused):
    """Only a person can do it; `reason` says to them what to do, and where."""


class TargetNotConfigured(Refused):
    """A token lives on a target that the settings no longer name."""


class CannotPresent(Refused):
    """A value cannot be shown to the target from here, which says nothing about it; `reason` says why, and a remedy."""


class UnusableKey(Refused):
    """A key that the settings name cannot be used as they say; nobody was asked."""


class OnlyLooks(Refused):
    """Settings say that this process never acts; nothing was tried."""


class StoreRefused(Refused):
    """Vault refuses us: our login is dead and cannot be renewed, or its policy withholds a right."""


class Conflict(Fault):
    """A check-and-set lost: somebody else wrote in between."""
