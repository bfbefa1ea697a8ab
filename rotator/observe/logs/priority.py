"""The priority of a line for the journal: `<3>` in front of it, as sd-daemon(3) has it, where the journal reads us."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import TextIO

_NUMBERS = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7))


def is_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether the journal is at the other end: systemd says which file it is by device and inode."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return environment.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def marked(text: str, level: int) -> str:
    """Each line with its priority; the journal takes the mark away."""
    mark = next(f"<{number}>" for least, number in _NUMBERS if level >= least)
    return mark + text.replace("\n", f"\n{mark}")
