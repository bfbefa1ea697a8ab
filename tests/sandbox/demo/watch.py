"""What the viewer's table shows: each credential by its journal in Vault, beside what its target says.

It asks Vault and the targets itself; a dead daemon does not blind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from rotator.ports import Entry
from rotator.rotation.credential import Credential
from rotator.rotation.decide import next_step
from rotator.rotation.record import Phase, Record
from rotator.rotation.steps import Step, Wait
from rotator.rotation.token_names import parse
from rotator.settings import Settings
from rotator.vault import journal_codec
from tests.sandbox.demo.cast import DESK
from tests.sandbox.demo.words import WHERE
from tests.sandbox.environment import World
from tests.sandbox.openbao import OpenBaoError


@dataclass(frozen=True, slots=True)
class Row:
    """One credential. `alive`: how many of its tokens or values the target would accept now."""

    name: str
    phase: str
    rotation: int
    alive: int
    age: str
    next: str


@dataclass(frozen=True, slots=True)
class HaloToken:
    """A record of Halo's list that bears one of our mint names."""

    name: str
    stem: str
    alive: bool


@dataclass(frozen=True, slots=True)
class View:
    """One look: journal entries by credential, Halo's list, and how many values the desk takes."""

    entries: Mapping[str, Entry]
    tokens: tuple[HaloToken, ...]
    accepted: Mapping[str, int]

    def record(self, name: str) -> Record:
        """The credential's record; an empty one before the first visit."""
        return self.entries[name].record or Record("")

    def alive(self, name: str) -> int:
        """How many of the credential's tokens or values its target accepts."""
        if name in self.accepted:
            return self.accepted[name]
        stem = self.record(name).stem
        return sum(token.alive and token.stem == stem for token in self.tokens)

    def settled(self, name: str) -> bool:
        """Whether the credential has a published value and nothing in flight."""
        record = self.record(name)
        return record.phase is Phase.SETTLED and record.current is not None and not record.slot_full


class Watch:
    """Looks, as the root user of Vault, the administrator of Halo, and a client of the desk."""

    def __init__(self, world: World, settings: Settings) -> None:
        self._world = world
        self.settings = settings
        self._documents: dict[tuple[str, int], dict[str, Any]] = {}

    def look(self) -> View:
        """The world as it is now. Raises OpenBaoError or OSError when a server does not answer."""
        entries = {name: self.entry(name) for name in self.settings.credentials}
        now = datetime.now(UTC)
        tokens = tuple(each for item in self._world.halo.tokens() if (each := _token(item, now)))
        return View(entries, tokens, {name: self._accepted(name, entries[name].record) for name in DESK})

    def _accepted(self, name: str, record: Record | None) -> int:
        """The desk lists nothing, so the values that the record believes in are tried."""
        believed = (record.current, record.predecessor) if record else ()
        documents = [self._document(name, each.version) for each in believed if each]
        return sum(self._world.answers(journal_codec) == 200 for journal_codec in documents)

    def _document(self, name: str, version: int) -> dict[str, Any]:
        if (name, version) not in self._documents:
            place = f"{self._world.mount}/data/{self._world.credentials[name]['path']}?version={version}"
            self._documents[name, version] = self._world.bao.call("GET", place)["data"]["data"]
        return self._documents[name, version]

    def entry(self, name: str) -> Entry:
        """The credential's journal entry."""
        try:
            answer = self.journal(name)
        except OpenBaoError as error:
            if error.status != 404:
                raise
            return Entry(name, 0, None)
        return journal_codec.decode(name, answer["metadata"]["version"], answer["data"])

    def journal(self, name: str) -> dict[str, Any]:
        """The journal document with its metadata, as Vault gives it."""
        vault = self.settings.vault
        answer = self._world.bao.call("GET", f"{vault.mount}/data/{vault.prefix}/journal/{name}")["data"]
        return dict(answer)

    def rows(self, view: View, pid: int) -> list[Row]:
        """The table of one look; `pid` is the living daemon's, 0 when it is dead."""
        now = datetime.now(UTC)
        return [self._row(view, credential, now, pid) for credential in self.settings.credentials.values()]

    def _row(self, view: View, credential: Credential, now: datetime, pid: int) -> Row:
        record, holder = view.record(credential.name), view.entries[credential.name].lease.holder
        left_behind = bool(holder) and f"/{pid}/" not in holder
        coming = next_words(next_step(credential, record, now), record, now, WHERE[credential.target])
        if left_behind or not pid:
            coming = "its daemon died at work: the next goes on" if left_behind else "no daemon runs"
        age = span(now - record.current.at) if record.current else "-"
        return Row(credential.name, record.phase.value, record.rotation, view.alive(credential.name), age, coming)


_ACTS = {
    "Request": "begin a rotation",
    "Mint": "make a successor",
    "Look": "look on {where} for the mint whose answer was lost",
    "Install": "tell {where} of the staged value",
    "Verify": "prove the staged value on {where}",
    "Publish": "publish it where consumers read",
    "Condemn": "prove the published value again",
    "Revoke": "revoke the predecessor, prove it dead",
    "Burn": "revoke what the lost mint left behind",
    "Sweep": "empty the staged slot",
}


def next_words(step: Step, record: Record, now: datetime, where: str) -> str:
    """What happens next, in words for the viewer."""
    if not isinstance(step, Wait):
        name = type(step).__name__
        return _ACTS.get(name, name.lower()).format(where=where)
    if step.until is None:
        return step.reason
    soon = f"in {span(max(timedelta(), step.until - now))}"
    if record.phase is Phase.INSTALLED:
        return f"{soon}: every server of {where} knows it by then"
    if record.ends_at is not None and step.until == record.ends_at:
        return f"{soon}: the predecessor's life is over"
    if record.phase is Phase.PUBLISHED:
        return f"{soon}: the predecessor's grace is over"
    return f"{soon}: due by its schedule" if record.phase is Phase.SETTLED and not record.failure else f"{soon}: go on"


def span(length: timedelta) -> str:
    """A length of time in its largest unit."""
    seconds = int(length.total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _token(item: Mapping[str, Any], now: datetime) -> HaloToken | None:
    metadata, spec = item["metadata"], item["spec"]
    name = parse(metadata["name"])
    if name is None:
        return None
    end = spec.get("expiresAt")
    over = bool(end) and datetime.fromisoformat(end) <= now
    dead = spec.get("revoked") or metadata.get("deletionTimestamp") or over
    return HaloToken(metadata["name"], name.stem, not dead)
