"""Targets at which another journal mints under our names, as one process knows them. All credentials there are held."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from rotator.rotation import foreign_journal
from rotator.rotation.credential import Credential
from rotator.rotation.record import HoldReason, Phase, Record, Token
from rotator.rotation.steps import Hold


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What was found, at which credential, and in which lineage. A claim begins a new lineage."""

    text: str
    name: str
    lineage: str


@dataclass(slots=True)
class ForeignJournals:
    """The evidence, by target. A listing is compared only with records that were read after it."""

    monotonic: Callable[[], float]
    _listed: dict[str, tuple[float, dict[str, list[Token]]]] = field(default_factory=dict)  # possible evidence
    _evidence: dict[str, _Evidence] = field(default_factory=dict)
    _lineages: dict[str, str] = field(default_factory=dict)  # of each record, before there was evidence

    def listed(self, target: str) -> bool:
        """Whether the target's tokens were listed."""
        return target in self._listed

    def take(self, target: str, tokens: Iterable[Token]) -> None:
        """Take a listing that was just made."""
        listed, telling = tuple(tokens), dict[str, list[Token]]()
        for stem, (_, token) in foreign_journal.newest(listed).items():
            telling[stem] = [token]
        for stem, token in foreign_journal.latest(listed).items():
            telling[stem].append(token)
        self._listed[target] = (self.monotonic(), telling)

    def forget(self) -> None:
        """Drop the listings, because the journal may have gone back to an older state."""
        self._listed.clear()

    def observed(self, credential: Credential, record: Record) -> None:
        """Take a hold for this reason as evidence for the whole target."""
        held = record.held
        if held and held.reason is HoldReason.TWO_VAULTS and credential.target not in self._evidence:
            self._evidence[credential.target] = _Evidence(held.text, credential.name, record.lineage)

    def objection(self, credential: Credential, record: Record, read_at: float) -> Hold | None:
        """The hold for a record that was read at `read_at`, if there is evidence; else None.

        A cut-over that has begun is completed, because consumers are cut off until then.
        """
        target, name = credential.target, credential.name
        found = self._evidence.get(target)
        if found and found.name == name and found.lineage != record.lineage:  # claimed by this or another process
            del self._evidence[target]
            found = None
        if record.phase is Phase.HELD:
            self.observed(credential, record)
            return None
        found = found or self._sought(credential, record, read_at)
        if found is None:
            self._lineages[name] = record.lineage
            return None
        before = self._lineages.setdefault(name, record.lineage)
        if record.cut_over_at is not None or before != record.lineage:
            return None
        return Hold(HoldReason.TWO_VAULTS, found.text)

    def _sought(self, credential: Credential, record: Record, read_at: float) -> _Evidence | None:
        listed_at, telling = self._listed.get(credential.target, (float("inf"), {}))
        seen = telling.get(foreign_journal.own_stem(record), ()) if read_at >= listed_at else ()
        said = [foreign_journal.said(each, what) for each in seen if (what := foreign_journal.anothers(record, each))]
        if not said:
            return None
        found = _Evidence(said[0], credential.name, record.lineage)
        self._evidence[credential.target] = found
        return found
