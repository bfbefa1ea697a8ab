"""One asker of `rotate now` in this process: what was asked, what has come of it; see rotation/rotation_request.py."""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio

from rotator.rotation.credential import Pause
from rotator.rotation.record import Phase, Record
from rotator.rotation.rotation_request import RequestAnswer, RotationRequest, answer, find, left_to_person
from rotator.rotation.steps import Wait


@dataclass(slots=True, eq=False)
class PendingRequest:
    """An ask that waits for its answer. `patient`: until the predecessor is dead.

    Everybody who asks has one of their own, so that no two mix up their patience or the time they asked at. They join
    in the record: one rotation answers all who asked before its value was published.
    """

    ask: RotationRequest
    patient: bool
    request: str = ""  # its id in Vault: there is no answer before a record has taken it up; empty: it is in no Vault
    done: anyio.Event = field(default_factory=anyio.Event)
    answer: RequestAnswer = RequestAnswer.OPEN
    record: Record | None = None
    latest: Record | None = None  # after the last transition that who waits has heard of
    refused: str = ""  # why nothing comes of it
    wait: Wait | None = None  # nothing can come of it before
    closed: str = ""  # why there will be no answer here
    hopeless: bool = False  # it was closed because nothing can be done about the credential as things are

    def hears(self, record: Record, paused: Pause | None = None) -> bool:
        """Whether the record settles it. `paused`: a pause of the installation."""
        said, taken_up = answer(record, self.ask, paused), find(record, self.request)
        if self.request and taken_up is None and said not in (RequestAnswer.DONE, RequestAnswer.PUBLISHED):
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
        """Whether the new value is live, and the predecessor's end is waited for."""
        return self.answer is RequestAnswer.PUBLISHED and (self.patient or self.ask.emergency)

    @property
    def waits(self) -> bool:
        """Whether nothing can come of it before a grace is over, its own or one that was on."""
        before = self.record is not None and self.record.phase is Phase.PUBLISHED and self.answer is RequestAnswer.OPEN
        return self.in_grace or (before and not self.ask.emergency)

    def close(self, reason: str, *, hopeless: bool = False) -> None:
        """End it without an answer."""
        self.closed, self.hopeless = reason, hopeless
        self.done.set()
