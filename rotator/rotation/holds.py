"""What a person does about a hold, and the command that lifts it, by its reason."""

from __future__ import annotations

from rotator.rotation.record import HoldReason

_LIFTED = {
    HoldReason.MINT_BUDGET: (
        "`rotate release {name}` begins the count anew; for a leak `rotate revoke {name}` has a count of its own"
    ),
    HoldReason.TWO_VAULTS: (
        "`rotate claim` if this Vault is the only one; `[daemon] read_only = true` in the settings if it is a copy"
    ),
    HoldReason.STILL_USED: "`rotate release {name}` lets it go all the same",
}
_CLEARED = "then `rotate release {name}`"


_SPENT = "`rotate release {name}` begins the count anew, and the emergency goes on"


def lifted(reason: HoldReason, name: str, *, emergency: bool = False) -> str:
    """What to type, of a hold of the credential of this name. `emergency`: its own mints are used up."""
    spent = emergency and reason is HoldReason.MINT_BUDGET
    return (_SPENT if spent else _LIFTED.get(reason, _CLEARED)).format(name=name)


_MENDED = {
    HoldReason.FOREIGN_WRITE: "rotate adopt {name} to keep what is there, or put ours back and rotate release {name}",
    HoldReason.DELETED: "bring the deleted version back (bao kv undelete), then rotate release {name}",
    HoldReason.MINT_BUDGET: "mend what made the attempts fail, then rotate release {name}",
    HoldReason.TWO_VAULTS: "rotate claim if this Vault is the only one; [daemon] read_only = true if it is a copy",
    HoldReason.STILL_USED: "let whoever uses the old value read Vault, then rotate release {name}, which ends it",
}
_ANY = "put it right (rotate explain {name} says what), then rotate release {name}"


def mended(reason: HoldReason, name: str) -> str:
    """What a person should do about a hold, with the command that follows."""
    return _MENDED.get(reason, _ANY).format(name=name)
