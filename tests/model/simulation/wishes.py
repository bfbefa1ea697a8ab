"""W1: what somebody asked for, and was told that it would be done, is carried out, or told as given up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from rotator.rotation import events as ev
from rotator.rotation.operator_request import OperatorRequest, RequestVerb
from rotator.rotation.record import HoldReason, Phase, Record
from tests.kit.ledger import Ledger


@dataclass(frozen=True)
class Wish:
    """A request that was acknowledged. `at` in true seconds."""

    name: str
    request: OperatorRequest
    at: float


@dataclass
class Wishes:
    """All of a history. `taken`: what was told of a request when a record took it up."""

    made: list[Wish] = field(default_factory=list)
    taken: dict[str, ev.Event] = field(default_factory=dict)
    given_up: set[str] = field(default_factory=set)  # in words: what nobody carries out any more

    def heard(self, event: ev.Event) -> None:
        """A transition was told."""
        asked = getattr(event, "request", None)
        if asked:
            self.taken[asked if isinstance(asked, str) else asked.id] = event

    def unclaimed(self, name: str, ledger: Ledger, waiting: Callable[[Wish], bool]) -> str:
        """A wish for a credential that left the settings of which nothing is left, and nobody was told; or none."""
        known = {*self.taken, *(each.id for each in (ledger.latest.taken if ledger.latest else ()))}
        for wish in (each for each in self.made if each.name == name and each.request.id not in known):
            if not self._told(wish) and not waiting(wish):
                return f"{wish.request.verb} of {wish.at:.1f} for {name}, which left the settings, was forgotten"
        return ""

    def _told(self, wish: Wish) -> bool:
        """Whether it was told as given up."""
        return any(said.startswith(f"{wish.name}: given up: {wish.request}:") for said in self.given_up)

    def lost(self, name: str, ledger: Ledger, alive: Callable[[str], bool]) -> str:
        """A wish of which nothing came and nobody was told, when all is at rest; empty: there is none."""
        record = ledger.latest
        if record is None:
            return ""
        for wish in (each for each in self.made if each.name == name):
            asked, known = wish.request, self.taken.get(wish.request.id)
            if known is None and self._told(wish):
                continue  # while it was not in the settings
            if known is None and not any(each.id == asked.id for each in record.taken):
                return f"{asked.verb} of {wish.at:.1f} for {name} was acknowledged and forgotten"
            if asked.verb is not RequestVerb.ROTATE or isinstance(known, ev.RequestDeclined) or record.paused:
                continue
            if asked.emergency and _used_up(record):
                return f"the emergency of {wish.at:.1f} for {name} is held for what the schedule minted"
            if record.phase is not Phase.SETTLED or record.failure:
                continue  # it goes on, or says why not; for how long is L1's and I2's to judge
            if record.asked is not None:
                return f"{record.asked} is asked for still"
            left = [each for each in asked.live if alive(each)] if asked.emergency else []
            if left:
                return f"the emergency of {wish.at:.1f} for {name} is over, and {', '.join(left)} live"
        return ""


def _used_up(record: Record) -> bool:
    held = record.held is not None and record.held.reason is HoldReason.MINT_BUDGET
    urgent = record.emergency or (record.asked is not None and record.asked.emergency)
    return held and urgent and len(record.emergency_mints) < 6
