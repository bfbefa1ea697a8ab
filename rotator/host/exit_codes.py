"""What a command's exit code says: the one table, which README shows and `rotate --help` names."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class Exit(IntEnum):
    """The end of a command. What is not done counts more than what is, and its own work more than its hooks'."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    HELD = 3
    HOOK_FAILED = 4
    VALUE_REFUSED = 5
    UNDECIDED = 75
    SETTINGS = 78


MEANINGS = {
    Exit.DONE: "done or nothing to do",
    Exit.FAILED: "failed",
    Exit.USAGE: "usage",
    Exit.HELD: "held (a person must look)",
    Exit.HOOK_FAILED: "done but a hook failed",
    Exit.VALUE_REFUSED: "a published value is refused or has expired",
    Exit.UNDECIDED: "undecided, busy or cut short",
    Exit.SETTINGS: "faulty settings",
}
IN_WORDS = ", ".join(f"{code.value} {said}" for code, said in MEANINGS.items())
GRAVITY = (Exit.FAILED, Exit.HELD, Exit.UNDECIDED, Exit.HOOK_FAILED, Exit.DONE)  # the gravest of many decides


def gravest(codes: Iterable[int]) -> Exit:
    """Of the exit codes of several credentials, the one that the command ends with."""
    found = set(codes)
    return next((code for code in GRAVITY if code in found), Exit.DONE)
