"""Owns what the journal of one credential has authorised so far, read off every document that landed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from rotator.rotation.names import parse
from rotator.rotation.record import Phase, Record, Token
from rotator.rotation.strays import is_stray


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
    doomed: set[str] = field(default_factory=set)  # names and ids of rejected attempts
    emergencies: set[tuple[str, int]] = field(default_factory=set)

    def landed(self, record: Record) -> None:
        """A document became the newest."""
        self.latest = record
        rotation = (record.stem, record.rotation)
        if record.stem:
            self.stems.add(record.stem)
            self.sends_allowed[rotation] = max(self.sends_allowed[rotation], record.sends)
        if record.emergency:
            self.emergencies.add(rotation)
        match record.phase:
            case Phase.REQUESTED:
                self.mint_names.add(record.mint_name)
            case Phase.REJECTED:
                self.doomed |= {record.mint_name} | ({record.candidate.token.id} if record.candidate else set())
            case Phase.VERIFIED if record.abandoned:
                self.fences.add(record.expected_version or 0)
            case Phase.VERIFIED if record.candidate:
                self.publications.add((record.candidate.fingerprint, record.expected_version or 0))
            case Phase.CONDEMNED if record.predecessor:
                self.condemned.add(record.predecessor.token.id)

    def may_revoke(self, token: Token) -> bool:
        """Condemned, rejected, or a stray by the newest record."""
        if token.id in self.condemned or token.id in self.doomed or token.name in self.doomed:
            return True
        name = parse(token.name)
        return bool(name and name.stem in self.stems and self.latest and is_stray(self.latest, token))
