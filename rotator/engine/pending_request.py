"""A caller of `rotate now` in this process: the request and its answer; see rotation/rotation_request.py."""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio

from rotator.rotation.credential import Pause
from rotator.rotation.record import Phase, Record
from rotator.rotation.rotation_request import RequestAnswer, RotationRequest, answer, find, left_to_person
from rotator.rotation.steps import Wait


@dataclass(slots=True, eq=False)
class PendingRequest:
    """A request that waits for its answer. `patient`: until the predecessor is dead.

    Every caller has one of its own, with its own time and patience. One rotation answers all requests that were made
    before its value was published.
    """

    ask: RotationRequest
    patient: bool
    done: anyio.Event = field(default_factory=anyio.Event)
    answer: RequestAnswer = RequestAnswer.OPEN
    record: Record | None = None
    latest: Record | None = None  # after the last transition that the caller was told of
    refused: str = ""  # why it was declined
    wait: Wait | None = None  # until when it cannot be answered
    closed: str = ""  # why it gets no answer from this process
    hopeless: bool = False  # closed because the credential cannot be reconciled

    def hears(self, record: Record, paused: Pause | None = None) -> bool:
        """Take the record; returns whether it answers the request. `paused`: a pause of many credentials."""
        said, taken_up = answer(record, self.ask, paused), find(record, self.ask.id)
        if self.ask.id and taken_up is None and said not in (RequestAnswer.DONE, RequestAnswer.PUBLISHED):
            said = RequestAnswer.OPEN
        if said is RequestAnswer.PUBLISHED and record.phase is Phase.SETTLED and (self.patient or self.ask.emergency):
            said = RequestAnswer.AWAITING if left_to_person(record, self.ask) else said
        self.refused = taken_up.refused if taken_up else ""
        self.record, self.answer = (
            record,
            RequestAnswer.IN_GRACE if self.refused and said is RequestAnswer.OPEN else said,
        )
        return self.answer is not RequestAnswer.OPEN and not self.in_grace

    @property
    def in_grace(self) -> bool:
        """Whether the new value is published and the request waits for the predecessor's end."""
        return self.answer is RequestAnswer.PUBLISHED and (self.patient or self.ask.emergency)

    @property
    def waits(self) -> bool:
        """Whether it cannot be answered before a grace is over, its own or an earlier one."""
        before = self.record is not None and self.record.phase is Phase.PUBLISHED and self.answer is RequestAnswer.OPEN
        return self.in_grace or (before and not self.ask.emergency)

    def close(self, reason: str, *, hopeless: bool = False) -> None:
        """Close it without an answer."""
        self.closed, self.hopeless = reason, hopeless
        self.done.set()
