"""What the journal of one credential has authorised so far, read off every document that landed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from rotator.rotation.foreign_journal import overtaken
from rotator.rotation.ownership import known
from rotator.rotation.phases import VerifiedState
from rotator.rotation.record import HoldReason, Phase, PublishedValue, Record, Token
from rotator.rotation.token_names import Parsed, parse
from tests.kit.kinds import DATED, Kind

_Part = tuple[str, int] | tuple[str, int, int]  # a rotation, or one attempt of it
_MINTING = frozenset({Phase.REQUESTED, Phase.AWAITING, Phase.REJECTED, Phase.HELD})


class Live(Protocol):
    """A token as every model of a target keeps it. `deleted`: nothing is left of it; `minted_at` in true seconds."""

    id: Any
    name: Any
    minted_at: Any
    credential: Any
    deleted: Any


class Target(Protocol):
    """What a model of a target is asked about its tokens."""

    tokens: Mapping[str, Any]  # by id

    def kind(self, credential: str) -> Kind:
        """How the values of this credential are kept."""
        ...

    def alive(self, token: Any) -> bool:
        """Whether who presents it gets in, now or when it has settled."""
        ...

    def expired(self, token: Any) -> bool:
        """Whether it is over by its own date."""
        ...


@dataclass
class Ledger:
    """Authorisations never lapse: a late effect is judged by whether it was ever allowed."""

    latest: Record | None = None
    stems: set[str] = field(default_factory=set)
    requests: set[tuple[str, int]] = field(default_factory=set)  # to mint: name, and number in its rotation
    authorised: Counter[_Part] = field(default_factory=Counter)  # how many of them
    sent: Counter[_Part] = field(default_factory=Counter)  # how many went out
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
    leaked: set[str] = field(default_factory=set)  # ids of what an emergency is to end
    not_taken_back: set[str] = field(default_factory=set)  # ids of published values that an only slot takes no more

    def landed(self, record: Record, now: float) -> None:
        """A document became the newest at `now`, in true seconds."""
        if self.latest and record.current and gives_up_the_old(self.latest, record):
            self.not_taken_back.add(record.current.token.id)
        if self.latest is None or self.latest.lineage != record.lineage:
            self.leaked = set()  # the journal was lost, and what it knew of a leak
        self.latest = record
        rotation = (record.stem, record.rotation)
        if record.stem:
            self.stems.add(record.stem)
        if record.emergency:
            self.emergencies[rotation] = now
        if record.asked and record.asked.emergency:
            self.leaked |= known(record) & set(record.asked.live)  # a journal may be lost before it is taken up
        match record.phase:
            case Phase.UNDOING if record.predecessor:
                self.restorable.add(record.predecessor.token.id)
            case Phase.REQUESTED:
                self._authorises(record.mint_name, record.sends)
                self.begun.setdefault(rotation, now)
            case Phase.STAGED | Phase.AWAITING if record.candidate:
                if record.candidate.pending:
                    self.installable.add(record.candidate.token.id)
                self.chosen[record.mint_name] = record.candidate.token.id
            case Phase.REJECTED:
                self.rejected_at.setdefault(record.mint_name, now)
                self.doomed |= {record.mint_name} | ({record.candidate.token.id} if record.candidate else set())
                self.put_back |= {record.current.token.id} if record.current else set()
            case Phase.VERIFIED if isinstance(state := record.state, VerifiedState):
                if state.abandoned:
                    self.fences.add(state.expected_version)
                else:
                    self.publications.add((state.candidate.fingerprint, state.expected_version))
            case Phase.CONDEMNED if record.predecessor:
                self.leaked |= {record.predecessor.token.id} if record.emergency else set()
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

    def _authorises(self, mint_name: str, number: int) -> None:
        rotation, attempt = _parts(mint_name)
        self.authorised[rotation] = max(self.authorised[rotation], number)
        self.authorised[attempt] += (mint_name, number) not in self.requests
        self.requests.add((mint_name, number))

    def names(self, mint_name: str) -> bool:
        """Whether a record has named it."""
        return self.authorised[_parts(mint_name)[1]] > 0

    def sends(self, mint_name: str) -> None:
        """A mint request goes out."""
        self.sent.update(_parts(mint_name))

    def overdrawn(self, mint_name: str) -> bool:
        """Whether more requests have gone out than records authorised: under this name, or in its rotation."""
        return any(self.sent[part] > self.authorised[part] for part in _parts(mint_name))

    @property
    def barred(self) -> set[str]:
        """What is not to be published."""
        return (self.condemned | self.doomed) - self.restorable

    def may_revoke(self, token: Token) -> bool:
        """Condemned, rejected, a double of what was staged, what ends by its date, or a stray by the newest record."""
        if token.id in self.condemned or token.id in self.doomed or token.name in self.doomed:
            return True
        if token.id != self.chosen.get(token.name, token.id):
            return True
        latest = self.latest
        if latest and latest.phase is Phase.REQUESTED and token.name == latest.mint_name:
            return True  # its value could not be staged: only who made it has it
        if latest and latest.ends_at and latest.predecessor and token.id == latest.predecessor.token.id:
            return True
        return latest is not None and _is_over(latest, token)


def _parts(mint_name: str) -> tuple[_Part, _Part]:
    found = parse(mint_name) or Parsed("", 0, 0)
    return (found.stem, found.rotation), (found.stem, found.rotation, found.attempt)


def _is_over(record: Record, token: Token) -> bool:
    """Whether it is of an attempt that makes nothing any more, and the record does not know it."""
    name = parse(token.name)
    if name is None or name.stem != record.stem or token.id in known(record) or overtaken(record, token):
        return False
    here, there = (record.rotation, record.attempt), (name.rotation, name.attempt)
    return there < here or (there == here and record.phase not in _MINTING)


def gives_up_the_old(before: Record, after: Record) -> bool:
    """Whether a failed candidate makes way for the next one although the published value is not back.

    The target does not take it, or Vault has lost it, and a person who was told so has released the hold.
    """
    held = before.held
    lost = held is not None and held.reason is HoldReason.FOREIGN_WRITE and held.state.phase is Phase.REJECTED
    return (before.phase is Phase.REJECTED or lost) and after.refused_at not in (None, before.refused_at)


def ends(live: Live, record: Record, target: Target) -> bool:
    """Whether anything but the next value ends it: not what ends by its own date when its value is lost, if nobody
    can revoke it at all, nor what fills an only slot for good.

    That is what stays in it when nothing is put back, as nothing was published, or it is over.
    """
    kind = target.kind(live.credential)
    old = target.tokens.get(record.current.token.id) if record.current else None
    return kind not in DATED and not (kind is Kind.ONE_SLOT and (old is None or target.expired(old)))
