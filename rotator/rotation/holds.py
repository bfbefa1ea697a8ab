"""The command that lifts a hold, by its reason."""

from __future__ import annotations

from rotator.rotation.record import HoldReason

_LIFTED = {
    HoldReason.MINT_BUDGET: (
        "`rotate release {name}` begins the count anew; for a leak `rotate revoke {name}` has a count of its own"
    ),
    HoldReason.STILL_USED: "`rotate release {name}` lets it go all the same",
}
_CLEARED = "then `rotate release {name}`"


def lifted(reason: HoldReason, name: str) -> str:
    """What to type, of a hold of the credential of this name."""
    return _LIFTED.get(reason, _CLEARED).format(name=name)
