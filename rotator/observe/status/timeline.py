"""What happened to each credential lately, as far as this process saw it; the whole story is in the receipts."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime

from rotator.engine.reconciler import Transition
from rotator.observe.logs.redaction import Redactor, redact
from rotator.rotation.messages import EventSeverity

_KEPT = 40  # per credential
_CREDENTIALS = 5000  # of which anything is kept


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One transition in words. `seconds`: how long the step took."""

    at: datetime
    event: str
    severity: EventSeverity
    rotation: int
    said: str
    seconds: float


@dataclass(slots=True)
class Timeline:
    """An observer."""

    _moments: dict[str, deque[TimelineEntry]] = field(default_factory=dict)
    _redact: Redactor = redact

    def __call__(self, transition: Transition) -> None:
        """Keep a transition."""
        told = transition.told
        rotation, said = transition.after.rotation, self._redact(told.said)
        moment = TimelineEntry(transition.event.at, told.name, told.severity, rotation, said, transition.seconds)
        # Whoever moved last is last in order, so the quietest is forgotten first.
        kept = self._moments.pop(transition.credential.name, None) or deque(maxlen=_KEPT)
        kept.appendleft(moment)
        self._moments[transition.credential.name] = kept
        if len(self._moments) > _CREDENTIALS:
            del self._moments[next(iter(self._moments))]

    def of(self, name: str) -> tuple[TimelineEntry, ...]:
        """The newest first."""
        return tuple(self._moments.get(name, ()))
