"""Counts, times and foreign texts in sentences, and the commands that lift a hold."""

from __future__ import annotations

import re
from datetime import datetime

from rotator.rotation.record import HoldReason

LONGEST = 4000  # characters of one line; the longest honest one is what a person has to do, with a public key
CELL = 300  # of one cell in a table

# A public key keeps its lines, because people copy it; it has no room for other words.
_PEM = re.compile(r"(\n?-----BEGIN [A-Z ]{1,40}-----\n(?:[A-Za-z0-9+/=]{1,100}\n){1,200}-----END [A-Z ]{1,40}-----)")


def visible(text: str, longest: int = LONGEST) -> str:
    """The text made safe to show: each character that is not printable is spelt out, as in `\\x1b` or `\\u202e`.

    Otherwise a terminal obeys control characters, a line end forges a line of ours, and a bidirectional override
    reverses words.
    """
    left = len(text) - longest
    if left > 0:
        text = f"{text[:longest]}… ({left} more characters)"
    if text.isprintable():
        return text
    parts = _PEM.split(text)
    return "".join(part if number % 2 else _spelt(part) for number, part in enumerate(parts))


def _spelt(text: str) -> str:
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def when(at: datetime | None) -> str:
    """A time in words."""
    return f"{at:%F %T}Z" if at else "an unknown time"


def counted(number: int, noun: str) -> str:
    """A count with its noun, as in `1 target` and `2 targets`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


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
    """The command that lifts a hold. `emergency`: the mint budget of emergencies is used up."""
    spent = emergency and reason is HoldReason.MINT_BUDGET
    return (_SPENT if spent else _LIFTED.get(reason, _CLEARED)).format(name=name)


_MENDED = {
    HoldReason.FOREIGN_WRITE: "put ours back, then rotate release {name}",
    HoldReason.DELETED: "bring the deleted version back (bao kv undelete), then rotate release {name}",
    HoldReason.MINT_BUDGET: "mend what made the attempts fail, then rotate release {name}",
    HoldReason.TWO_VAULTS: "rotate claim if this Vault is the only one; [daemon] read_only = true if it is a copy",
    HoldReason.STILL_USED: "let whoever uses the old value read Vault, then rotate release {name}, which ends it",
}
_ANY = "put it right (rotate explain {name} says what), then rotate release {name}"


def mended(reason: HoldReason, name: str, *, adopts: bool = False) -> str:
    """What a person should do about a hold, with the command to type. `adopts`: a foreign value may be adopted."""
    keep = f"rotate adopt {name} to keep what is there, or " if adopts and reason is HoldReason.FOREIGN_WRITE else ""
    return keep + _MENDED.get(reason, _ANY).format(name=name)
