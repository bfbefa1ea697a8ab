"""A request of an operator, as it waits in Vault and as a record keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class RequestVerb(StrEnum):
    """What is asked for."""

    ROTATE = "rotate"
    PAUSE = "pause"
    RESUME = "resume"
    RELEASE = "release"
    UNDO = "undo"


@dataclass(frozen=True, slots=True)
class OperatorRequest:
    """What an operator asked for, of one credential. It is in Vault before it is acknowledged."""

    id: str
    verb: RequestVerb
    at: datetime
    by: str
    emergency: bool = False  # no grace: every value that was live at `at` is to die
    patient: bool = False  # a grace that is on is waited for
    reason: str = ""  # of a pause
    until: datetime | None = None  # of a pause
    live: tuple[str, ...] = ()  # tokens whose values were published, or in grace, at `at`

    def __str__(self) -> str:
        what = "emergency" if self.emergency and self.verb is RequestVerb.ROTATE else self.verb.value
        return f"{what}, asked for by {self.by} at {self.at:%F %T}Z"


ANSWERED_BY = timedelta(hours=1)  # by whoever has the credential in its settings; then nobody has


@dataclass(frozen=True, slots=True)
class Unclaimed:
    """A request for a credential that left the settings: as they are, nobody carries it out."""

    credential: str
    request: OperatorRequest

    @property
    def until(self) -> datetime:
        """Another process may have other settings: until then it is waited for, and then given up."""
        return self.request.at + ANSWERED_BY

    @property
    def said(self) -> str:
        """What becomes of it, and what to do."""
        kept = [token for token in self.request.live if token]
        alive = f"; alive when it was typed, and nobody ends them: {', '.join(kept)}" if kept else ""
        end = "`rotate strays --reap --unclaimed`, or put the credential back into the settings and ask again"
        return f"{self.request}: the credential left the settings{alive}: {end}"


@dataclass(frozen=True, slots=True)
class TakenUp:
    """A request that a record has taken up. `refused`: why nothing comes of it."""

    id: str
    at: datetime
    refused: str = ""
