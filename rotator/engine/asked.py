"""Owns one asker of `rotate now` in this process: what was asked, what has come of it; rules are rotation/ask.py's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import anyio

from rotator.rotation.ask import Answer, Ask, answer
from rotator.rotation.record import Record
from rotator.rotation.steps import Wait


@dataclass(slots=True, eq=False)
class Asked:
    """An ask that waits for its answer. `patient`: until the predecessor is dead.

    Everybody who asks has one of their own, so that no two mix up their patience or the time they asked at. They join
    in the record: one rotation answers all who asked before its value was published.
    """

    ask: Ask
    patient: bool
    done: anyio.Event = field(default_factory=anyio.Event)
    answer: Answer = Answer.OPEN
    record: Record | None = None
    latest: Record | None = None  # after the last transition that who waits has heard of
    wait: Wait | None = None  # nothing can come of it before
    closed: str = ""  # why there will be no answer here
    hopeless: bool = False  # it was closed because nothing can be done about the credential as things are

    def hears(self, record: Record) -> bool:
        """Whether the record settles it."""
        said = answer(record, self.ask)
        self.record, self.answer = record, said
        return said is not Answer.OPEN and not self.in_grace

    @property
    def in_grace(self) -> bool:
        """Whether the new value is live, and the predecessor's end is waited for."""
        return self.answer is Answer.PUBLISHED and (self.patient or self.ask.emergency)

    def close(self, reason: str, *, hopeless: bool = False) -> None:
        """End it without an answer."""
        self.closed, self.hopeless = reason, hopeless
        self.done.set()


def foremost(asks: Iterable[Asked]) -> Ask | None:
    """The one that a visit works for: an emergency before others, then the latest."""
    return max((each.ask for each in asks), key=lambda ask: (ask.emergency, ask.at), default=None)
