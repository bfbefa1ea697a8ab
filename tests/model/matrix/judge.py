"""Where the promises are held in a cell: at every call, and after whatever happens by itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from rotator.engine.reconciler import Transition
from rotator.ports import Accepted, Lease, Minted
from rotator.providers.oauth import kept_token
from rotator.rotation import events as ev
from rotator.rotation.answers import read_staged
from rotator.rotation.credential import VaultPath
from rotator.rotation.messages import describe
from rotator.rotation.record import Phase, Record
from rotator.rotation.secret import Secret
from tests.kit import promises
from tests.kit.ledger import Ledger
from tests.kit.promises import UNDER_WAY, Violation, hold, secret
from tests.kit.store import FakeVault
from tests.model.matrix.clocks import Time
from tests.model.matrix.kinds import CUT_OVER, GRACED, SLOTTED, Kind, Truth
from tests.model.matrix.registered import KEY as REGISTRATION_KEY
from tests.model.matrix.registered import REGISTRATION

KEY = b"key of the fingerprints"
JOURNAL, SLOT = VaultPath("secret", "rotator/journal/blog/bot"), VaultPath("secret", "rotator/staged/blog/bot")
CONSUMER, ELSEWHERE = VaultPath("secret", "apps/bot"), VaultPath("secret", "apps/elsewhere")
PUBLISHED = frozenset({CONSUMER, ELSEWHERE})
SLACK = 0.01  # seconds: dates count microseconds
MOST_MINTS = 3  # per rotation


@dataclass
class Judge:
    """What was proven and published so far. Every check raises Violation."""

    vault: FakeVault
    truth: Truth
    time: Time
    read: Callable[[Mapping[str, Any]], tuple[Record, Lease]]  # what a journal document stands for
    grace: Callable[[], float]  # seconds, the shortest that settings have asked for
    ledger: Ledger = field(default_factory=Ledger)
    lost: set[str] = field(default_factory=set)  # documents that somebody wiped or wrote over
    overwrites: bool = False  # settings allow to write over the values of others
    proven: set[str] = field(default_factory=set)  # values
    replaced: dict[str, tuple[float, float]] = field(default_factory=dict)  # value -> when, its grace
    disowned: bool = False  # the target refused for good what is published: where it lists nothing, nobody ends it

    # --- before a call leaves ---------------------------------------------------------------------------------------

    def calls(self, verb: str, args: tuple[Any, ...]) -> None:
        """What the target is asked for was written down first."""
        match verb:
            case "mint":
                self.ledger.sends(args[0])
                hold(promises.named(self.ledger, args[0]))
                hold(promises.counted(self.ledger, args[0]))
            case "revoke":
                token = self.truth.of(*args)
                hold(promises.revokes(self.ledger, token))
                hold(promises.spares(self.latest, token))
                if self.latest and self.truth.ends_published(token) and not self.latest.emergency:
                    hold(promises.learns(self.latest, token.id))
            case "restore":
                hold(promises.restores(self.ledger, args[0]))
            case "install":
                minted: Minted = args[0]
                held = {
                    text for key in self.vault.keys.values() for doc in key.versions.values() for text in _values(doc)
                }
                durable = minted.secret.reveal() in held or "staged" in self.lost
                hold(promises.tells(self.ledger, minted.token.id, durable=durable))

    def leaves(self, place: VaultPath, values: Mapping[str, object], cas: int) -> None:
        """A slot is written for a journalled attempt, a consumer path as a `verified` record says."""
        if place == SLOT and isinstance(handle := values["token"], dict):
            hold(promises.stages(self.ledger, handle["name"]))
        if place in PUBLISHED:
            value = values.get("token")
            mark = value if isinstance(value, Secret) else Secret(str(value))
            hold(promises.writes(self.ledger, mark.fingerprint(KEY), cas))

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
            self._published(values, before)
        self.look()
        return version

    def _journalled(self, values: Mapping[str, Any]) -> None:
        record, _ = self.read(values)
        hold(promises.secretless("the journal", repr(record)))
        hold(promises.claims(self.ledger, record, self.truth))
        hold(promises.minted(record.sends, MOST_MINTS, record.rotation))
        self.ledger.landed(record, self.time.seconds)

    def _published(self, new: Mapping[str, Any], old: Mapping[str, Any]) -> None:
        value, was, token = str(new.get("token")), str(old.get("token", "")), str(new.get("provider_id"))
        hold(promises.publishes(token, proven=value in self.proven, accepted=True, barred=self.ledger.barred))
        hold(promises.numbers(int(old.get("rotation") or 0), int(new.get("rotation") or 0)))
        hold(promises.overwrites(old, new, foreign=was.startswith("foreign") and not self.overwrites))
        if was and was != value and secret(was) and not self.refused:  # there is no grace for what was refused
            self.replaced.setdefault(was, (self.time.seconds, self.grace()))
        self.replaced.pop(value, None)

    def told(self, transition: Transition) -> None:
        """A transition, and its words."""
        if isinstance(transition.event, ev.Disproved) and self.truth.sort is Kind.TWO_SLOTS:
            self.disowned = True
        said = describe(transition.before, transition.event, transition.after)
        hold(promises.secretless(type(transition.event).__name__, f"{transition}{said}"))

    # --- at every instant -------------------------------------------------------------------------------------------

    def look(self) -> None:
        """What consumers read is accepted, and what they read before, for as long as was promised."""
        value, blind = self.read_now(), "journal" in self.lost  # which slot is free?
        under_way = self.truth.sort in CUT_OVER and self.latest is not None and self.latest.phase in UNDER_WAY
        cut_off = self.truth.sort in SLOTTED and (self.refused or under_way or blind)
        cut_off = cut_off or self.taken
        if secret(value) and not cut_off:
            hold(promises.reads("consumers", "a value", accepted=self.truth.accepts(value)))
        if self.truth.sort not in GRACED or self.ledger.emergencies or blind:
            return
        for old, (at, grace) in self.replaced.items():
            early = self.time.seconds < at + grace - SLACK and not self.truth.accepts(old)
            hold(promises.graces("the predecessor", early=early))

    @property
    def latest(self) -> Record | None:
        """The newest record."""
        return self.ledger.latest

    @property
    def refused(self) -> bool:
        """Whether the target has refused for good what is published: its place may be taken."""
        return self.latest is not None and self.latest.refused_at is not None

    @property
    def taken(self) -> bool:
        """Whether what is published may have ended along with its predecessor: until a record that knows it is over."""
        together = self.truth.sort is Kind.BY_VALUE and self.truth.target.together
        return together and (self.refused or self.latest is None or not self.latest.ends_together)

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

    @property
    def has_registration(self) -> bool:
        """Whether Vault has the registration access token that the server takes."""
        return self.vault.get(REGISTRATION).text(REGISTRATION_KEY) == self.truth.client.token

    @property
    def may_change(self) -> bool:
        """Whether the registration can be changed: there is a token, and none that an answer called refused."""
        if self.truth.sort is not Kind.REGISTERED:
            return True
        return self.has_registration and not kept_token.is_refused(self.vault.get(REGISTRATION))

    def loses(self) -> None:
        """I3: a registration access token is lost with an answer that never arrived, or by what people do to it."""
        answers = len(self.truth.client.lost) + ("registration" in self.lost)
        hold(promises.loses("the registration access token", answers=answers))

    def forget(self) -> None:
        """The journal is gone, and with it what it knew."""
        self.ledger.latest = None

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
        hold(promises.lingers(record, self.time.now()))
        value = self.read_now()
        current = Secret(value).fingerprint(KEY) == record.current.fingerprint and self.truth.accepts(value)
        hold(promises.reads("consumers", "not the current value, or one", accepted=current))
        if "journal" not in self.lost and not self.disowned:
            hold(self.left_over(record))
        slot = self.vault.keys.get(SLOT)
        kept = [each for each in slot.versions.values() if each] if slot else []
        if record.slot_full or (any(secret(json.dumps(each)) for each in kept) and "staged" not in self.lost):
            self.broken("I3", "a staged value is left in Vault")

    def left_over(self, record: Record) -> promises.Broken:
        """I3: what of ours lives and is not known."""
        ours = (each for each in self.truth.tokens.values() if each.name.startswith(record.stem))
        return promises.strays(record, ours, self.truth)

    def broken(self, promise: str, text: str) -> NoReturn:
        """Stop here."""
        raise Violation(f"{promise}: {text}")

    def staged_value(self) -> Secret | None:
        """What a person finds in the slot."""
        found = read_staged(self.vault.get(SLOT))
        return found.secret if found else None


def _values(doc: Mapping[str, object] | None) -> set[str]:
    return {text for key in ("value", "token") if doc and isinstance(text := doc.get(key), str)}
