"""The promises, held against the truth of Vault and target at every call and after whatever happens by itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from rotator.engine.reconciler import Transition
from rotator.ports import Accepted, Lease, Minted
from rotator.rotation import events as ev
from rotator.rotation.answers import read_staged
from rotator.rotation.credential import VaultPath
from rotator.rotation.messages import describe
from rotator.rotation.record import Phase, Record, Token
from rotator.rotation.secret import Secret
from rotator.rotation.token_names import parse
from tests.kit.store import FakeVault
from tests.model.matrix.clocks import Time
from tests.model.matrix.kinds import CUT_OVER, GRACED, SLOTTED, Kind, Truth, secret

KEY = b"key of the fingerprints"
JOURNAL, SLOT = VaultPath("secret", "rotator/journal/blog/bot"), VaultPath("secret", "rotator/staged/blog/bot")
CONSUMER, ELSEWHERE = VaultPath("secret", "apps/bot"), VaultPath("secret", "apps/elsewhere")
PUBLISHED = frozenset({CONSUMER, ELSEWHERE})
UNDER_WAY = frozenset({Phase.STAGED, Phase.AWAITING, Phase.INSTALLED, Phase.VERIFIED, Phase.REJECTED, Phase.HELD})
SLACK = 0.01  # seconds: dates count microseconds
MOST_MINTS = 3  # per rotation


class Violation(AssertionError):  # noqa: N818 (the word of the field)
    """A promise was broken; the text starts with its number."""


@dataclass
class Promises:
    """What was authorised, proven, published so far. Every check raises Violation."""

    vault: FakeVault
    truth: Truth
    time: Time
    read: Callable[[Mapping[str, Any]], tuple[Record, Lease]]  # what a journal document stands for
    grace: Callable[[], float]  # seconds, the shortest that settings have asked for
    latest: Record | None = None
    lost: set[str] = field(default_factory=set)  # documents that somebody wiped or wrote over
    overwrites: bool = False  # settings allow to write over the values of others
    authorised: dict[str, int] = field(default_factory=dict)  # mint name -> requests that the journal allows
    sent: dict[str, int] = field(default_factory=dict)
    publications: set[tuple[str, int]] = field(default_factory=set)  # fingerprint, over which version
    fences: set[int] = field(default_factory=set)
    doomed: set[str] = field(default_factory=set)  # ids that a record condemned or rejected
    wanted_back: set[str] = field(default_factory=set)  # ids that an undo republishes
    installable: set[str] = field(default_factory=set)
    proven: set[str] = field(default_factory=set)  # values
    replaced: dict[str, tuple[float, float]] = field(default_factory=dict)  # value -> when, its grace
    urgent: bool = False
    disowned: bool = False  # the target refused for good what is published: where it lists nothing, nobody ends it

    # --- before a call leaves ---------------------------------------------------------------------------------------

    def calls(self, verb: str, args: tuple[Any, ...]) -> None:
        """I4, I6, I7, I9: what the target is asked for was written down first."""
        check = {"mint": self._mints, "revoke": self._revokes, "restore": self._restores, "install": self._installs}
        if verb in check:
            check[verb](args[0])

    def _mints(self, name: str) -> None:
        self.sent[name] = self.sent.get(name, 0) + 1
        if self.sent[name] > self.authorised.get(name, 0):
            self.broken("I4", f"mints {name} more often than the journal authorised")

    def _revokes(self, token: Token) -> None:
        name = parse(token.name)
        older = name and self.latest and (name.rotation, name.attempt) < (self.latest.rotation, self.latest.attempt)
        if token.id not in self.doomed and not older:
            self.broken("I4", f"revokes {token.id}, which no record condemns")
        if self.latest and self.latest.current and self.latest.current.token.id == token.id:
            self.broken("I9", f"revokes {token.id}, which is current")

    def _restores(self, token: Token) -> None:
        if token.id not in self.wanted_back:
            self.broken("I7", f"restores {token.id}, which nobody wants back")

    def _installs(self, minted: Minted) -> None:
        if minted.token.id not in self.installable:
            self.broken("I4", f"tells the target {minted.token.id}, which no record names")
        held = {text for key in self.vault.keys.values() for doc in key.versions.values() for text in _values(doc)}
        if not held & {minted.secret.reveal()} and "staged" not in self.lost:
            self.broken("I4", f"tells the target {minted.token.id}, which is nowhere in Vault")

    def leaves(self, place: VaultPath, values: Mapping[str, object], cas: int) -> None:
        """I4: a slot is written for a journalled attempt, a consumer path as a `verified` record says."""
        if place == SLOT:
            handle = values["token"]
            if isinstance(handle, dict) and handle["name"] not in self.authorised:
                self.broken("I4", f"stages {handle['name']}, which no record names")
        if place in PUBLISHED:
            value = values.get("token")
            text = value.reveal() if isinstance(value, Secret) else str(value)
            mark = Secret(text).fingerprint(KEY)
            if (mark, cas) not in self.publications and cas not in self.fences:
                self.broken("I4", f"writes {place} over {cas} without a `verified` record that says so")

    # --- after it had its effect ------------------------------------------------------------------------------------

    def did(self, verb: str, args: tuple[Any, ...], result: Any) -> Any:
        """The target has done it."""
        if verb == "verify" and isinstance(result, Accepted):
            self.proven.add(args[1].reveal())
        self.look()
        return result

    def landed(self, place: VaultPath, version: int) -> int:
        """A write of ours is in Vault."""
        values, before = self._at(place, version), self._at(place, version - 1)
        if place == JOURNAL:
            self._journalled(values)
        if place in PUBLISHED and values != before:
            self._published(place, values, before)
        self.look()
        return version

    def _journalled(self, values: Mapping[str, Any]) -> None:
        """I5; and what this record authorises."""
        (record, _), before = self.read(values), self.latest
        if secret(repr(record)):
            self.broken("I5", "the journal holds a secret")
        self.latest = record
        self.urgent = self.urgent or record.emergency
        if (
            record.phase is Phase.REQUESTED
            and not record.uncertain
            and (not before or _sends(record) != _sends(before))
        ):
            self.authorised[record.mint_name] = self.authorised.get(record.mint_name, 0) + 1
        if record.sends > MOST_MINTS:
            self.broken("I6", f"{record.sends} mints in one rotation")
        if record.undo and record.predecessor:
            self.wanted_back.add(record.predecessor.token.id)
        if record.phase in (Phase.STAGED, Phase.AWAITING) and record.candidate:
            self.installable.add(record.candidate.token.id)
        if record.phase is Phase.REJECTED:
            self.installable |= {record.current.token.id} if record.current else set()
            self.doomed |= {record.mint_name} | ({record.candidate.token.id} if record.candidate else set())
        if record.phase is Phase.CONDEMNED and record.predecessor:
            self.doomed.add(record.predecessor.token.id)
        if record.phase is Phase.VERIFIED and record.candidate and record.expected_version is not None:
            if record.abandoned:
                self.fences.add(record.expected_version)
            else:
                self.publications.add((record.candidate.fingerprint, record.expected_version))

    def _published(self, place: VaultPath, new: Mapping[str, Any], old: Mapping[str, Any]) -> None:
        """I1, I1a, I7, I8: proven, accepted, of a greater number, nobody else's work lost."""
        value, was = str(new.get("token")), str(old.get("token", ""))
        if value not in self.proven:
            self.broken("I1a", "publishes a value that was never proven")
        if new.get("provider_id") in self.doomed - self.wanted_back:
            self.broken("I7", f"publishes {new['provider_id']}, which is condemned or rejected")
        if int(old.get("rotation") or 0) > int(new.get("rotation") or 0):
            self.broken("I8", f"the rotation number goes from {old['rotation']} to {new.get('rotation')}")
        theirs = {key for key in old if key.startswith("theirs") and old[key] != new.get(key)}
        if theirs or (was.startswith("foreign") and not self.overwrites):
            self.broken("I8", f"writes over what somebody else wrote: {sorted(theirs) or 'a value'}")
        if was and was != value and secret(was) and not self.refused:  # there is no grace for what was refused
            self.replaced.setdefault(was, (self.time.seconds, self.grace()))
        self.replaced.pop(value, None)

    def told(self, transition: Transition) -> None:
        """I5: an event holds no secret, nor do its words."""
        if isinstance(transition.event, ev.Disproved) and self.truth.kind is Kind.TWO_SLOTS:
            self.disowned = True
        said = describe(transition.before, transition.event, transition.after)
        if secret(f"{transition}{said}"):
            self.broken("I5", f"{type(transition.event).__name__} tells a secret")

    # --- at every instant -------------------------------------------------------------------------------------------

    def look(self) -> None:
        """I1: what consumers read is accepted. I10: what they read before is, for as long as was promised."""
        value = self.read_now()
        under_way = self.truth.kind in CUT_OVER and self.latest is not None and self.latest.phase in UNDER_WAY
        blind = "journal" in self.lost  # which slot is free?
        cut_off = self.truth.kind in SLOTTED and (self.refused or under_way or blind)
        if secret(value) and not cut_off and not self.truth.accepts(value):
            self.broken("I1", "consumers read a value that the target refuses")
        if self.truth.kind not in GRACED or self.urgent or "journal" in self.lost:
            return
        for old, (at, grace) in self.replaced.items():
            if self.time.seconds < at + grace - SLACK and not self.truth.accepts(old):
                self.broken("I10", f"the predecessor ended {self.time.seconds - at:.0f} s into {grace:.0f} s of grace")

    @property
    def refused(self) -> bool:
        """Whether the target has refused for good what is published: its place may be taken."""
        return self.latest is not None and self.latest.refused_at is not None

    @property
    def place(self) -> VaultPath:
        """Where consumers read: where it was last published to."""
        return self.latest.current.place if self.latest and self.latest.current else CONSUMER

    @property
    def unnoticed(self) -> bool:
        """Whether consumers read what somebody else has put there, and the record does not say so."""
        current = self.latest.current if self.latest else None
        value = self.read_now()
        return not value or (current is not None and Secret(value).fingerprint(KEY) != current.fingerprint)

    def forget(self) -> None:
        """The journal is gone, and with it what it knew."""
        self.latest = None

    def read_now(self) -> str:
        """What consumers read."""
        doc = self.vault.keys.get(self.place)
        if doc is None or doc.newest in doc.deleted:
            return ""
        return str((doc.versions.get(doc.newest) or {}).get("token", ""))

    def _at(self, place: VaultPath, version: int) -> Mapping[str, Any]:
        key = self.vault.keys[place]
        return {} if version in key.deleted else key.versions.get(version) or {}

    # --- in the end -------------------------------------------------------------------------------------------------

    def rest(self) -> None:
        """L1, I1, I3: it has converged, consumers have the current value, and nothing of ours is left beside it."""
        record = self.latest
        if record is None or record.phase is not Phase.SETTLED or record.current is None:
            self.broken("L1", f"does not settle: {record and (record.phase, record.failure)}")
        if record.predecessor or record.slot_full:
            self.broken("I2", "a predecessor, or a staged value, is left")
        value = self.read_now()
        if Secret(value).fingerprint(KEY) != record.current.fingerprint or not self.truth.accepts(value):
            self.broken("I1", "consumers do not have the current value, or the target refuses it")
        left = self.truth.left_over(record.current.token, value)
        if left and "journal" not in self.lost and not self.disowned:
            self.broken("I3", f"{len(left)} left over: {left}")
        slot = self.vault.keys.get(SLOT)
        kept = [each for each in slot.versions.values() if each] if slot else []
        if any(secret(json.dumps(each)) for each in kept) and "staged" not in self.lost:
            self.broken("I3", "a staged value is left in Vault")

    def broken(self, promise: str, text: str) -> NoReturn:
        """Stop here."""
        raise Violation(f"{promise}: {text}")

    def staged_value(self) -> Secret | None:
        """What a person finds in the slot."""
        found = read_staged(self.vault.get(SLOT))
        return found.secret if found else None


def _values(doc: Mapping[str, object] | None) -> set[str]:
    return {text for key in ("value", "token") if doc and isinstance(text := doc.get(key), str)}


def _sends(record: Record) -> tuple[str, int]:
    return record.mint_name, record.sends
