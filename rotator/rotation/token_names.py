"""Mint names: how our tokens are named at a target, and how a name is parsed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

LINEAGE = 6
"""Random bytes of a record's lineage: two records of one stem would take each other's published tokens for strays.

A stem cuts a long name, so many credentials may differ by their lineage alone. Of a hundred thousand such, three bytes
make some three hundred pairs alike; with six it happens in one fleet of fifty thousand.
"""
_NAME = re.compile(r"(?P<stem>.+)-r(?P<rotation>\d+)-a(?P<attempt>\d+)")


def family(prefix: str, installation: str) -> str:
    """The prefix of every mint name of this installation."""
    return f"{prefix}-{installation}-"


def stem(prefix: str, installation: str, name: str, lineage: str) -> str:
    """The prefix of every mint name of one credential: lower-case letters, digits and dashes.

    It contains the record's lineage: after a lost journal numbers begin at 1 again, but names never repeat.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].rstrip("-")
    return f"{family(prefix, installation)}{slug}-{lineage}"


def mint_name(stem: str, rotation: int, attempt: int) -> str:
    """The name that one attempt mints under."""
    return f"{stem}-r{rotation}-a{attempt}"


@dataclass(frozen=True, slots=True)
class Parsed:
    """The parts of a mint name."""

    stem: str
    rotation: int
    attempt: int


@lru_cache(maxsize=10_000)
def parse(name: str) -> Parsed | None:
    """Parse a mint name; None if it is not one."""
    found = _NAME.fullmatch(name)
    return Parsed(found["stem"], int(found["rotation"]), int(found["attempt"])) if found else None


def begins(name: str, prefix: str) -> bool:
    """Whether a mint name begins with `prefix`: `x-r1` begins `x-r1-a1`, but not `x-r12-a1`."""
    cut_number = prefix[-1:].isdigit() and name[len(prefix) :][:1].isdigit()
    return name.startswith(prefix) and not cut_number
