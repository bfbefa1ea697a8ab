"""The promises about values that the target is told: who may, when, and for how long Vault and target disagree."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rotator.ports import Minted
from rotator.rotation.record import Phase, Record
from tests.kit import promises
from tests.kit.kinds import Kind
from tests.kit.promises import UNDER_WAY
from tests.model.simulation.target import Live

if TYPE_CHECKING:
    from tests.model.simulation.invariants import Checks


@dataclass(slots=True)
class Window:
    """A time during which consumers held a value that the target refused, because of us or of a person in our place."""

    name: str
    began: float
    by_hand: bool
    calm: bool
    seconds: float = 0.0

    @property
    def whose(self) -> str:
        """Whose doing it was, and in what weather."""
        return "by a person's hand" if self.by_hand else "in fair weather" if self.calm else "among faults"


@dataclass
class CutOver:
    """Watches one-slot cut-overs, and what goes into slots and sets."""

    checks: Checks
    open: dict[str, Window] = field(default_factory=dict)
    windows: list[Window] = field(default_factory=list)
    told_by: dict[str, Record | None] = field(default_factory=dict)  # id -> the record when its latest request left

    def leaves(self, name: str, minted: Minted) -> None:
        """A request leaves."""
        ledger, token = self.checks.ledgers[name], minted.token
        durable = name in self.checks.lost_slots or self._durable(name, minted)
        self.checks.hold(promises.tells(ledger, token.id, durable=durable))
        self.told_by[token.id] = ledger.latest

    def _durable(self, name: str, minted: Minted) -> bool:
        value = minted.secret.reveal()
        docs = [self.checks.slot(name), *(self.checks.vault.docs.get(place) for place in self.checks.owner)]
        kept = [x.values or {} for doc in docs if doc for x in doc.versions.values()]
        return any(value in (values.get("value"), values.get("token")) for values in kept)

    def landed(self, live: Live, before: Live | None, by: str) -> None:
        """A value took its place on the target."""
        name, kind = live.credential, self.checks.target.kind(live.credential)
        over = before is None or before.ended == "person" or self.checks.target.expired(before)
        if before and kind is Kind.TWO_SLOTS and by != "person" and not over and name not in self.checks.lost_journals:
            self.checks.revoked(before)
        if before and kind is Kind.ONE_SLOT and by != "person" and self.read_now(name) is before:
            self._may_cut_over(name, live, before, by)
        self.look(name)

    def _may_cut_over(self, name: str, live: Live, before: Live, by: str) -> None:
        record = self._authority(name, live)
        lost = record is not self.checks.ledgers[name].latest
        authorised = record is not None and record.phase in UNDER_WAY and live.id in _may_be_told(record, lost=lost)
        self.checks.hold(promises.keeps(f"{by}, by {live.id},", before.id, read=not authorised))

    def _authority(self, name: str, live: Live) -> Record | None:
        """The newest record; that of the moment at which the request left, if its journal was lost on the way."""
        latest, told_by = self.checks.ledgers[name].latest, self.told_by.get(live.id)
        return latest if latest and told_by and latest.lineage == told_by.lineage else told_by

    def journalled(self, name: str, record: Record) -> None:
        """I1: when no cut-over is under way, what we published is accepted."""
        if self.checks.target.kind(name) is not Kind.ONE_SLOT or record.phase in UNDER_WAY:
            return
        if name in self.checks.lost_journals:
            return  # with the journal went the knowledge that a cut-over was under way
        live = self.read_now(name)
        if live and live.id in self.checks.ledgers[name].not_taken_back:
            return  # loudly so, and until the next value is published
        if live and live.ended != "person" and not self.checks.target.by_hand.get(name):
            self.checks.hold(promises.reads("consumers", live.id, accepted=not self._refused(live)))

    def look(self, name: str, published: Live | None = None) -> None:
        """Whether Vault and target agree by now. `published`: what is written at this moment."""
        if self.checks.target.kind(name) is not Kind.ONE_SLOT:
            return
        live, world = published or self.read_now(name), self.checks.world
        apart = live is not None and self._refused(live)
        if live and live.valid_from > world.now:
            world.later(live.valid_from - world.now + 0.001, lambda: self.look(name))
        if apart and live and name not in self.open:
            by_hand = live.ended == "person" or bool(self.checks.target.by_hand.get(name))
            self.open[name] = Window(name, world.now, by_hand, world.calm)
        if not apart and (window := self.open.pop(name, None)):
            window.seconds = world.now - window.began
            self.windows.append(window)
            world.tell("*", f"Vault and target disagreed for {window.seconds:.3f} s", name)

    def excuses(self, name: str, value: str) -> bool:
        """Whether a consumer may be refused: during a cut-over, and until it has read what was published since."""
        live = self.read_now(name)
        return name in self.open or live is None or live.value != value

    def _refused(self, live: Live) -> bool:
        return not self.checks.target.accepts(live.value) and not self.checks.target.expired(live)

    def read_now(self, name: str) -> Live | None:
        """The token of ours whose value consumers read, if it is ours."""
        place = self.checks.live_path.get(name)
        top = self.checks.vault.top(place) if place else None
        if top is None or top.deleted or top.author == "person":
            return None
        return self.checks.target.by_value.get(str((top.values or {}).get("token")))


def _may_be_told(record: Record, *, lost: bool) -> set[str]:
    """The ids of the candidate, and, if the journal was lost when that had failed, of what was being put back."""
    old = record.current if lost and record.phase is Phase.REJECTED else None
    return {x.token.id for x in (record.candidate, old) if x}
