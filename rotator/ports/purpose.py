"""The purpose of the calls that a task makes to targets, known wherever they are sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from rotator.rotation.purpose import Purpose as Purpose

_PURPOSE: ContextVar[Purpose] = ContextVar("purpose", default=Purpose.REST)


@contextmanager
def calls_for(purpose: Purpose) -> Iterator[None]:
    """All calls inside the block, and in the tasks that are begun there, are for this."""
    before = _PURPOSE.set(purpose)
    try:
        yield
    finally:
        _PURPOSE.reset(before)


def current_purpose() -> Purpose:
    """What a call made here is for; REST where nobody said."""
    return _PURPOSE.get()
