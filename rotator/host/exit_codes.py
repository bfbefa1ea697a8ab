"""The exit codes of commands. README shows this table and `rotate --help` prints it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class Exit(IntEnum):
    """The outcome of a command. Undone work outranks done work, and its own work outranks its hooks'."""

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
GRAVITY = (
    Exit.FAILED,
    Exit.HELD,
    Exit.UNDECIDED,
    Exit.HOOK_FAILED,
    Exit.DONE,
)  # the most serious one, first in this order, decides


def gravest(codes: Iterable[int]) -> Exit:
    """The exit code of a command that worked on several credentials."""
    found = set(codes)
    return next((code for code in GRAVITY if code in found), Exit.DONE)
