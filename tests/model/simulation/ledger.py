"""What the journal of one credential has authorised so far, read off every document that landed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from rotator.rotation.ownership import is_stray
from rotator.rotation.record import HoldReason, Phase, PublishedValue, Record, Token
from rotator.rotation.token_names import parse
from tests.model.simulation.kinds import Kind
from tests.model.simulation.target import Live, Target


@dataclass
class Ledger:
    """Authorisations never lapse: a late effect is judged by whether it was ever allowed."""

    latest: Record | None = None
    stems: set[str] = field(default_factory=set)
    mint_names: set[str] = field(default_factory=set)
    sends_allowed: Counter[tuple[str, int]] = field(default_factory=Counter)
    sends_left: Counter[tuple[str, int]] = field(default_factory=Counter)  # that went out
    publications: set[tuple[str, int]] = field(default_factory=set)  # fingerprint, expected version
    fences: set[int] = field(default_factory=set)
    condemned: set[str] = field(default_factory=set)
    installable: set[str] = field(default_factory=set)  # ids of candidates that were staged, and the target not told of
    put_back: set[str] = field(default_factory=set)  # ids of what was published when a candidate failed
    restorable: set[str] = field(default_factory=set)  # ids of what an undo goes back to
    doomed: set[str] = field(default_factory=set)  # names and ids of rejected attempts
    chosen: dict[str, str] = field(default_factory=dict)  # mint name -> the one token that was staged under it
    rejected_at: dict[str, float] = field(default_factory=dict)  # mint name -> when its rejection was journalled
    emergencies: dict[tuple[str, int], float] = field(default_factory=dict)  # rotation -> when it last was one
    begun: dict[tuple[str, int], float] = field(default_factory=dict)  # rotation -> when it was first requested
    not_taken_back: set[str] = field(default_factory=set)  # ids of published values that an only slot takes no more

    def landed(self, record: Record, now: float) -> None:
        """A document became the newest at `now`, in true seconds."""
        if self.latest and record.current and _gives_up_the_old(self.latest, record):
            self.not_taken_back.add(record.current.token.id)
        self.latest = record
        rotation = (record.stem, record.rotation)
        if record.stem:
            self.stems.add(record.stem)
            self.sends_allowed[rotation] = max(self.sends_allowed[rotation], record.sends)
        if record.emergency:
            self.emergencies[rotation] = now
        match record.phase:
            case Phase.UNDOING if record.predecessor:
                self.restorable.add(record.predecessor.token.id)
            case Phase.REQUESTED:
                self.mint_names.add(record.mint_name)
                self.begun.setdefault(rotation, now)
            case Phase.STAGED | Phase.AWAITING if record.candidate:
                if record.candidate.pending:
                    self.installable.add(record.candidate.token.id)
                self.chosen[record.mint_name] = record.candidate.token.id
            case Phase.REJECTED:
                self.rejected_at.setdefault(record.mint_name, now)
                self.doomed |= {record.mint_name} | ({record.candidate.token.id} if record.candidate else set())
                self.put_back |= {record.current.token.id} if record.current else set()
            case Phase.VERIFIED if record.abandoned:
                self.fences.add(record.expected_version or 0)
            case Phase.VERIFIED if record.candidate:
                self.publications.add((record.candidate.fingerprint, record.expected_version or 0))
            case Phase.CONDEMNED if record.predecessor:
                self.restorable.discard(record.predecessor.token.id)
                self.condemned.add(record.predecessor.token.id)

    def adopts(self, record: Record) -> PublishedValue | None:
        """What an operator's word has made ours, if this record says so: any other publication was `verified` first."""
        before, current = self.latest, record.current
        if current is None or (before and before.phase not in (Phase.SETTLED, Phase.HELD)):
            return None
        old = before.current if before else None
        same = old is not None and (old.token.id, old.place, old.at) == (current.token.id, current.place, current.at)
        return None if same else current

    def contradictions(self, after: Record, target: Target) -> Iterator[tuple[str, str]]:
        """I2, I3, I8: what the journal claims is true, and its numbers never go back."""
        before = self.latest
        if before is None or before.lineage != after.lineage:
            return
        began = before.phase is Phase.SETTLED and after.phase is Phase.REQUESTED
        if before.paused and before.paused.until is None and after.paused and began and not after.emergency:
            yield "P", "a rotation begins although it is paused"
        if after.rotation < before.rotation:
            yield "I8", f"rotation goes from {before.rotation} to {after.rotation}"
        left = {each.value.token.id for each in after.unended}
        if before.predecessor and after.predecessor is None and before.predecessor.token.id not in left:
            old = before.predecessor.token.id
            yield from (("I2", f"{x.id} is called dead and is alive") for x in _alive(target) if x.id == old)
        if before.phase is Phase.REJECTED and after.phase in (Phase.REQUESTED, Phase.SETTLED):
            name, since, stays = before.mint_name, self.rejected_at[before.mint_name], _gives_up_the_old(before, after)
            ended = (x for x in _alive(target) if x.name == name and x.minted_at < since and ends(x, before, target))
            burned = (x for x in ended if not (stays and target.kind(x.credential) is Kind.ONE_SLOT))
            yield from (("I3", f"{x.id} is called burned and is alive") for x in burned)

    def may_revoke(self, token: Token) -> bool:
        """Condemned, rejected, a double of what was staged, or a stray by the newest record."""
        if token.id in self.condemned or token.id in self.doomed or token.name in self.doomed:
            return True
        if token.id != self.chosen.get(token.name, token.id):
            return True
        name = parse(token.name)
        return bool(name and name.stem in self.stems and self.latest and is_stray(self.latest, token))


def _alive(target: Target) -> Iterator[Live]:
    return (x for x in target.tokens.values() if target.alive(x) and not x.deleted)


def _gives_up_the_old(before: Record, after: Record) -> bool:
    """Whether a failed candidate makes way for the next one although the published value is not back.

    The target does not take it, or Vault has lost it, and a person who was told so has released the hold.
    """
    held = before.held
    lost = held is not None and held.reason is HoldReason.FOREIGN_WRITE and held.phase is Phase.REJECTED
    return (before.phase is Phase.REJECTED or lost) and after.refused_at not in (None, before.refused_at)


def ends(live: Live, record: Record, target: Target) -> bool:
    """Whether anything but the next value ends it: not what nobody can revoke, nor what fills an only slot for good.

    That is what stays in it when nothing is put back, as nothing was published, or it is over.
    """
    kind = target.kind(live.credential)
    old = target.tokens.get(record.current.token.id) if record.current else None
    return kind is not Kind.EXPIRING and not (kind is Kind.ONE_SLOT and (old is None or target.expired(old)))
