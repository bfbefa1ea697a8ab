"""What a person does about a fault that a look at a target has met."""

from __future__ import annotations

from rotator.ports import Fault, MinterRefused, NeedsPerson, Refused, StoreRefused, Transient, UnusableKey

RIGHTS = "give the minter and the token the rights they need"
CLIENT = "compare the credential's settings and the target's with what is registered there"


def remedy_for(trouble: Exception, otherwise: str) -> str:
    """The remedy for a fault."""
    match trouble:
        case Fault(remedy=remedy) if remedy:
            return remedy
        case MinterRefused():
            return "put a valid secret where the target's `minter` or `management` points, or name another"
        case NeedsPerson():
            return "do that before the next rotation, which would wait for it"
        case StoreRefused():
            return "see what the target and the credential point to in Vault, and our right to read it"
        case Transient():
            return "is the target up, its url right, and the way to it open?"
        case UnusableKey():
            return "compare the credential's `signing_key`, `certificate` and `algorithm`"
        case Refused():
            return otherwise
    return "see the target's own log"
