"""Counts and times in words, the same in every sentence."""

from __future__ import annotations

from datetime import datetime


def when(at: datetime | None) -> str:
    """A time in words."""
    return f"{at:%F %T}Z" if at else "an unknown time"


def counted(number: int, noun: str) -> str:
    """How many of something, as in `1 target` and `2 targets`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
