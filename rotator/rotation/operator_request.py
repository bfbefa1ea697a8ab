"""A request of an operator: as it waits in Vault, and as a record remembers it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class RequestVerb(StrEnum):
    """The verb of a request."""

    ROTATE = "rotate"
    PAUSE = "pause"
    RESUME = "resume"
    RELEASE = "release"
    UNDO = "undo"


@dataclass(frozen=True, slots=True)
class OperatorRequest:
    """A request of an operator for one credential. It is written to Vault before it is acknowledged."""

    id: str
    verb: RequestVerb
    at: datetime
    by: str
    emergency: bool = False  # no grace: every value that was alive at `at` is ended
    patient: bool = False  # waits until the current grace is over
    reason: str = ""  # of a pause
    until: datetime | None = None  # of a pause
    live: tuple[str, ...] = ()  # ids of tokens that were published or in grace at `at`

    def __str__(self) -> str:
        what = "emergency" if self.emergency and self.verb is RequestVerb.ROTATE else self.verb.value
        return f"{what}, asked for by {self.by} at {self.at:%F %T}Z"


ANSWERED_BY = timedelta(hours=1)  # by a process with the credential in its settings; later than that, no process has it


@dataclass(frozen=True, slots=True)
class Unclaimed:
    """A request for a credential that left the settings, so that nobody carries it out."""

    credential: str
    request: OperatorRequest

    @property
    def until(self) -> datetime:
        """Until when we wait for a process with other settings; then the request is given up."""
        return self.request.at + ANSWERED_BY

    @property
    def said(self) -> str:
        """What becomes of the request, and what to do, in words."""
        kept = [token for token in self.request.live if token]
        alive = f"; alive when it was typed, and nobody ends them: {', '.join(kept)}" if kept else ""
        end = "`rotate strays --reap --unclaimed`, or put the credential back into the settings and ask again"
        return f"{self.request}: the credential left the settings{alive}: {end}"


@dataclass(frozen=True, slots=True)
class TakenUp:
    """A request that a record took up. `refused`: why it was declined, else empty."""

    id: str
    at: datetime
    refused: str = ""


@dataclass(frozen=True, slots=True)
class RequestTaken:
    """An event: an operator's request was moved from Vault's requests into the record."""

    at: datetime
    request: OperatorRequest


@dataclass(frozen=True, slots=True)
class RequestDeclined:
    """An event: an operator's request was read and declined."""

    at: datetime
    request: OperatorRequest
    reason: str
