"""Where the promises are held against a history, and what excuses a break; what they say is the kit's."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, NoReturn

from rotator.ports import Minted
from rotator.rotation.credential import Credential, OnForeign, VaultPath
from rotator.rotation.record import Phase, PublishedValue, Record, Token
from rotator.rotation.secret import Secret
from rotator.rotation.token_names import parse
from rotator.vault import journal_codec
from tests.kit import promises
from tests.kit.kinds import Kind
from tests.kit.ledger import Ledger
from tests.kit.promises import Violation
from tests.model.simulation.budget import Budget
from tests.model.simulation.calendars import heeded, outlived
from tests.model.simulation.cutover import CutOver
from tests.model.simulation.journal import place_of
from tests.model.simulation.target import Live, Target
from tests.model.simulation.vault import Kept, Vault, Version
from tests.model.simulation.world import World

KEY = b"0123456789abcdef0123456789abcdef"
SLACK = 4.0  # seconds: Vault's clock is told in whole seconds, and clocks within two seconds count as one
COPY = "Z"  # begins the names of the processes of a copied installation
HEEDED = 200.0  # seconds until all who can read Vault have heard of a pause of everything, though they were stopped
BY_OTHERS = ("person", "family")  # who ends a token against our will
UNSURE = 78.0  # seconds: 0.6 of the lease and the patience of one step


@dataclass
class Checks:
    """Holds the truth of the models against what the engine does. Every check raises Violation."""

    world: World
    wanted: Mapping[str, Credential]
    ledgers: dict[str, Ledger] = field(default_factory=lambda: defaultdict(Ledger))
    owner: dict[VaultPath, str] = field(default_factory=dict)  # consumer path -> credential
    live_path: dict[str, VaultPath] = field(default_factory=dict)  # where consumers read
    replaced: dict[str, tuple[float, float, Record]] = field(default_factory=dict)  # value -> when, grace, by what
    graces: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    astride: set[str] = field(default_factory=set)  # tokens that a visit which began before Vault went back ends
    erased: set[str] = field(default_factory=set)  # a person deleted the number, and the journal was lost
    looks: dict[tuple[str, VaultPath], float] = field(default_factory=dict)
    revocations: dict[str, float] = field(default_factory=dict)  # token -> when the first request to revoke it left
    left: dict[tuple[VaultPath, str], float] = field(default_factory=dict)  # since when a value stands there no more
    overwrites: dict[tuple[str, VaultPath, int], bool] = field(
        default_factory=dict
    )  # by whom, over what: as it was let
    mints: Counter[tuple[str, int]] = field(default_factory=Counter)
    budgets: dict[str, Budget] = field(default_factory=lambda: defaultdict(Budget))
    unsure_since: float | None = None
    unsealed: float = -1.0  # when Vault was so last
    lost_slots: set[str] = field(default_factory=set)  # version numbers began anew: an older request may name a new one
    lost_journals: set[str] = field(default_factory=set)
    ever: dict[str, Credential] = field(default_factory=dict)  # every credential that settings ever had
    consumers: list[Any] = field(default_factory=list)
    by_word: set[str] = field(default_factory=set)  # tokens that a person's command ends, confirmed as it was proposed
    forsaken: set[str] = field(default_factory=set)  # ... while no settings had the path that publishes them
    disputed: bool = False  # Vault was restored, or is one of two: numbers come again, and so do names
    dependencies: Any = None  # history.py's
    renamed: set[str] = field(default_factory=set)
    left_settings: dict[str, float] = field(default_factory=dict)  # when each name did so last
    gone_back: float = -1.0  # when Vault did
    read_only: bool = False  # of a copy whose settings say so
    paused_since: float | None = None  # when a pause of everything was acknowledged, which is on until it is resumed
    vault: Vault = field(init=False)
    target: Target = field(init=False)
    cut_over: CutOver = field(init=False)

    def __post_init__(self) -> None:
        self.cut_over = CutOver(self)
        self.ever.update(self.wanted)

    def goes_back(self) -> None:
        """Vault is what it was: the ledgers too, but what was authorised since may land."""
        self.disputed, self.gone_back = True, self.world.now
        for name, ledger in self.ledgers.items():
            entry = self.vault.top(place_of(name))
            values = (entry.values or {}) if entry else {}
            ledger.latest = None
            if values:
                coded = self.world.swarm.codec
                record = journal_codec.decode(name, 1, values).record if coded else values["record"]
                assert isinstance(record, Record)
                ledger.latest = record
            self.lost_slots.add(name)
            self.lost_journals.add(name)
        for place in self.owner:
            if top := self.vault.top(place):
                top.author = "person"

    # --- requests that leave ----------------------------------------------------------------------------------------

    def mint_leaves(self, name: str, mint_name: str) -> None:
        """A request to make a value."""
        self.mint_named(name, mint_name)
        self.ledgers[name].sends(mint_name)
        if not self.disputed:
            self.hold(promises.counted(self.ledgers[name], mint_name))
        self._sure()

    def mint_named(self, name: str, mint_name: str) -> None:
        """A value that a person brings costs no mint."""
        self.hold(promises.named(self.ledgers[name], mint_name))

    def write_leaves(self, name: str, place: VaultPath, values: Mapping[str, object], cas: int) -> None:
        """A request to write the slot, or a consumer path."""
        self._sure()
        ledger = self.ledgers[name]
        if place not in self.owner:
            handle = values["token"]
            if isinstance(handle, dict):
                self.hold(promises.stages(ledger, handle["name"]))
            return
        assert self.world.running is not None
        process = self.world.running.owner
        self.overwrites[process.holder, place, cas] = process.begun[name].on_foreign is OnForeign.OVERWRITE
        self.hold(promises.writes(ledger, self._identify(values)[0], cas))

    def revoke_leaves(self, name: str, token: Token) -> None:
        """A request to end a token."""
        ledger = self.ledgers[name]
        self.revocations.setdefault(token.id, self.world.now)
        if token.id in self.by_word:
            return
        self.hold(promises.revokes(ledger, token))
        astride = self._read_before_vault_went_back(name)
        (self.astride.add if astride else self.astride.discard)(token.id)
        if not astride:
            self.hold(promises.spares(ledger.latest, token))
        self._sure()

    def _read_before_vault_went_back(self, name: str) -> bool:
        """Whether whoever acts has the journal from before: its next write tells it, by check-and-set."""
        thread = self.world.running
        return thread is not None and thread.read.get(name, self.gone_back) < self.gone_back

    def restore_leaves(self, name: str, token: Token) -> None:
        """A request to take a revocation back."""
        self.hold(promises.restores(self.ledgers[name], token))
        self._sure()

    def install_leaves(self, name: str, minted: Minted) -> None:
        """A request to tell the target a value."""
        self.cut_over.leaves(name, minted)
        self._sure()

    def looked(self, place: VaultPath, who: str) -> None:
        """A process has read this place strongly."""
        self.looks[who, place] = self.world.now

    def _sure(self) -> None:
        """I11: Vault sealed, or the journal of a newer schema, means read-only, unless its own write came through."""
        process = self.world.running.owner if self.world.running else None
        if self.read_only:
            self.broken("RO", "a copy that settings call read-only acts")
        since = self.unsure_since
        if process and process.logged_out:
            since = min(since or process.logged_out, process.logged_out)
        if process and since is not None:
            self.hold(promises.acts(self.world.now - max(since, process.thawed, process.wrote), UNSURE))

    # --- effects that land ------------------------------------------------------------------------------------------

    def minted(self, live: Live) -> None:
        """I6: at most three mints per rotation, and per credential and day as many as settings, or a person, allow."""
        name = parse(live.name)
        if live.minter == "person" or name is None or self.disputed:
            return
        credential = next(x for x in self.ever.values() if any(name.stem == s for s in self.ledgers[x.name].stems))
        self.mints[name.stem, name.rotation] += 1
        made = self.mints[name.stem, name.rotation]
        self.hold(promises.minted(made, credential.limits.mints_per_rotation, name.rotation))
        if credential.name in self.lost_journals:
            return
        since, record = self.world.now - 86400 + 2 * self.world.swarm.skew, self.ledgers[credential.name].latest
        budget, most = self.budgets[credential.name], credential.limits.mints_per_day
        if number := budget.minted(self.world.now, since, name.rotation, record, most):
            self.broken("I6", f"mint {number} of one day: {live.name}")

    def installed(self, live: Live, before: Live | None, by: str) -> None:
        """I1: what takes the place of a value that consumers read is about to be published."""
        self.cut_over.landed(live, before, by)

    def slot(self, name: str) -> Kept | None:
        """The credential's staged slot."""
        return self.vault.docs.get(VaultPath("kv", f"rotator/staged/{name}"))

    def written(self, place: VaultPath, version: Version, before: Version | None) -> None:
        """Dispatch: journal, consumer path, or slot."""
        name = place.path.rpartition("/")[2]
        if self.read_only:
            self.broken("RO", f"a copy that settings call read-only writes {place}")
        if place == place_of(name):
            self._journalled(name, version.values or {})
        elif place in self.owner:
            if version.author != "person":
                self._published(self.owner[place], place, version, before)
            self._stands(place, version.values or {}, before)

    def destroyed(self, place: VaultPath, versions: tuple[int, ...]) -> None:
        """I4: a candidate that the journal still counts on is not destroyed."""
        name = place.path.rpartition("/")[2]
        latest = self.ledgers[name].latest
        if latest is None or latest.candidate is None or name in self.lost_slots:
            return
        doc = self.vault.docs.get(place)
        kept = doc.versions.get(latest.candidate.slot_version) if doc else None
        handle = (kept.values or {}).get("token") if kept else None
        if isinstance(handle, dict) and latest.candidate.slot_version in versions:
            self.hold(promises.destroys(latest, handle["id"]))

    def forgotten(self, place: VaultPath) -> None:
        """Somebody deletes all versions of a place."""
        self._stands(place, {}, self.vault.top(place))

    def _stands(self, place: VaultPath, values: Mapping[str, object], before: Version | None) -> None:
        old = before and (before.values or {}).get("token")
        if before and old and old != values.get("token"):
            self.left[place, str(old)] = before.at if before.deleted else self.world.now

    def _published(self, name: str, place: VaultPath, version: Version, before: Version | None) -> None:
        """I1, I1a, I7, I8: proven, accepted, not condemned, of a greater number, nobody else's work lost."""
        old, new = dict(before.values or {}) if before and not before.deleted else {}, dict(version.values or {})
        if old == new:
            return  # a fence
        _, token = self._identify(new)
        if token is None:
            self.broken("I1", "publishes a value that the target never made")
        entered = token.told == "person" and self.target.alive(token)  # anew since it was proven, it settles again
        refused = not self.target.accepts(token.value) and not self.target.expired(token)
        refused = refused and token.ended not in BY_OTHERS and not token.ended.startswith(COPY)
        accepted, barred = not refused or entered, () if self.disputed else self.ledgers[name].barred
        self.hold(promises.publishes(token.id, proven=token.proven, accepted=accepted, barred=barred))
        self._foreign_survives(place, version.author, before, new)
        rewritten = before is not None and before.author == "person"
        erased = name in self.lost_journals and (rewritten or name in self.erased)
        if not erased:
            self.hold(promises.numbers(_number(old), _number(new)))
        self._note_publication(name, place, old)
        self.replaced.pop(token.value, None)  # put back by an undo, its grace begins anew when it is replaced again
        self.cut_over.look(name, token)
        self.world.tell(version.author, f"published {token.id} at {place}", name)

    def _note_publication(self, name: str, place: VaultPath, old: Mapping[str, Any]) -> None:
        latest = self.ledgers[name].latest
        grace = min(after for _, after in self.graces[name])
        if latest and latest.current:
            for live in self.target.tokens.values():
                if live.id == latest.current.token.id:
                    self.replaced.setdefault(live.value, (self.world.now, grace, latest))
        self.live_path[name] = place

    def _foreign_survives(self, place: VaultPath, author: str, before: Version | None, new: Mapping[str, Any]) -> None:
        """I8: a foreign write is never overwritten unless the writer's settings let it; foreign keys always survive."""
        old = dict(before.values or {}) if before else {}
        if before and not before.deleted:
            self.hold(promises.overwrites(old, new, foreign=False))
        ours = str(old.get("token", "")) in self.target.by_value
        if before is None or before.author != "person" or (ours and not before.deleted):
            return
        if before.deleted and before.at >= self.looks.get((author, place), -1.0):
            return  # a soft deletion does not move the version: after our last look nothing can fence it
        allowed = self.overwrites.get((author, place, self.vault.docs[place].newest))
        self.hold(promises.overwrites({}, new, foreign=not allowed and ("token" in old or before.deleted)))

    def revoked(self, live: Live) -> None:
        """I1, I9, I10: not what consumers read now, not a stranger's, not before its grace is over."""
        by = live.ended
        self.hold(promises.estranges(live.id, stranger=live.minter == "person"))
        read = (self.vault.top(each.place) for each in self.wanted.values())
        if live.id in self.by_word and live.value not in {(top.values or {}).get("token") for top in read if top}:
            self.forsaken.add(live.id)
        for name, place in self.live_path.items():
            top = self.vault.top(place)
            if top is None or top.deleted or (top.values or {}).get("token") != live.value:
                continue
            left = min(self.looks.get((by, place), -1.0), self.revocations.get(live.id, self.world.now))
            if self.revocations.get(live.id, self.world.now) < self.gone_back:
                continue  # the request had left when it was not published
            if live.id in self.astride and self.looks.get((by, place), -1.0) < self.gone_back:
                continue  # nor was it, when whoever ends it looked
            if live.id in self.by_word and place not in {each.place for each in self.wanted.values()}:
                continue  # settings name the path no more, under any name
            if live.id in self.by_word:
                self.broken("W3", f"a command as it was printed ends {live.id}, which is published for {name}")
            if top.author != "person" or top.at < left:
                self.hold(promises.keeps(by, live.id, read=True))
        if live.value not in self.replaced or live.id in self.by_word or self.disputed:
            return
        at, grace, _ = self.replaced[live.value]
        early = self.world.now < at + grace - SLACK and not self._urgent(live)
        self.hold(promises.graces(live.id, early=early))

    def _journalled(self, name: str, values: Mapping[str, object]) -> None:
        """I5: the journal holds no secret; what it claims is ledger.py's to judge."""
        if self.world.swarm.codec:
            self.hold(promises.secretless("the journal", json.dumps(values)))
            record = journal_codec.decode(name, 1, values).record
        else:
            record = values["record"]
        assert isinstance(record, Record)
        ledger = self.ledgers[name]
        self._paused(ledger.latest, record)
        heeded(self, name, ledger.latest, record)
        if not self.disputed:
            self.hold(promises.claims(ledger, record, self.target))
        self._quiet(name, ledger.latest, record)
        adopted = ledger.adopts(record)
        ledger.landed(record, self.world.now)
        if adopted:
            self._adopted(name, record, adopted)
        self.cut_over.journalled(name, record)
        self.budgets[name].journalled(record)
        self.world.tell("*", f"journal: {record.phase} r{record.rotation} a{record.attempt}", name)

    def _paused(self, before: Record | None, after: Record) -> None:
        """P: a pause of everything is heeded by all, whenever they, or a credential, have joined."""
        began = (before is None or before.phase is Phase.SETTLED) and after.phase is Phase.REQUESTED
        since = self.paused_since
        swarm = self.world.swarm
        heeded = HEEDED if swarm.pause or swarm.slow or swarm.vault_lost or swarm.restarts else HEEDED / 4
        if not began or after.emergency or since is None:
            return
        process = self.world.running.owner if self.world.running else None
        could_read = max(since, self.unsealed, process.admitted if process else since)
        if self.world.now - could_read > heeded:
            self.broken("P", f"a rotation begins {self.world.now - since:.0f} s after everything was paused")

    def _quiet(self, name: str, before: Record | None, after: Record) -> None:
        """I2: by a quiet rule the predecessor goes when it is used no more, or at its deadline."""
        quiet, old = self.ever[name].retire.quiet, after.predecessor
        began = before is not None and before.phase is Phase.PUBLISHED and after.phase is Phase.CONDEMNED
        if not began or quiet is None or old is None or after.emergency or "deadline" in after.evidence:
            return
        live = self.target.tokens.get(old.token.id)
        if live is None or not self.target.alive(live):
            return
        # A use of the last second came while the target was being asked.
        used = 1.0 <= self.world.now - live.used_at < quiet.total_seconds() / 2
        if used and "last used" in after.evidence and not after.undo:
            self.broken("I2", f"{old.token.id} may go as quiet, and is in use: {after.evidence}")

    def _adopted(self, name: str, record: Record, current: PublishedValue) -> None:
        """It is ours, and consumers read it where it is; what was published before was replaced when it was written.

        Where that version has gone since it was looked at: when what was published before left the place.
        """
        if (live := self.target.tokens.get(current.token.id)) and live.minter == "person":
            live.minter = "adopted"  # the record says so, whether or not the operator's shell has heard it
        doc = self.vault.docs.get(current.place)
        version = doc.versions.get(current.version) if doc else None
        there = version if version and self._identify(version.values or {})[0] == current.fingerprint else None
        if there:
            there.author = "adopted"
        self.live_path[name] = current.place
        if live:
            self.replaced.pop(live.value, None)  # it was, before a person or a snapshot put it back
        old = self.target.tokens.get(record.predecessor.token.id) if record.predecessor else None
        if old:
            since = self.left.get((current.place, old.value), self.world.now)
            since = there.at if there and not there.deleted else since
            self.replaced.setdefault(old.value, (since, min(after for _, after in self.graces[name]), record))

    # --- small things -----------------------------------------------------------------------------------------------

    def used(self, name: str, value: str, read_at: float) -> None:
        """I1 as consumers see it: a value read less than its grace ago is accepted."""
        token = self.target.by_value.get(value)
        if self.world.swarm.calendars and not self.world.swarm.acts:
            outlived(self, name, value)
        if self.target.accepts(value) or token is None or token.ended in BY_OTHERS or self.target.expired(token):
            return
        if token.ended.startswith(COPY):
            return  # by the rotator of a copy of this Vault, which a person has started
        if token.id in self.forsaken:
            return
        if self.target.kind(name) is Kind.ONE_SLOT and self.cut_over.excuses(name, value):
            return
        if self.target.kind(name) is Kind.TWO_SLOTS and name in self.lost_journals:
            return  # with the journal went the knowledge which of two slots may be taken
        at, grace, _ = self.replaced.get(value, (inf, 0.0, None))
        if self.world.now >= at + grace - SLACK:
            return  # a grace of seconds, on hosts whose clocks are seconds apart
        urgent = value in self.replaced and self._urgent(token)
        who = f"{self.world.now - read_at:.1f} s ago consumers of {name}"
        self.hold(promises.reads(who, token.id, accepted=urgent))

    def took(self, live: Live, ended: Live) -> None:
        """I1: a target that ends the published value along with its predecessor does that once: then it is known."""
        latest = self.ledgers[live.credential].latest
        current = latest.current if latest else None
        if latest and current and current.token.id == live.id and not latest.emergency:
            self.hold(promises.learns(latest, ended.id))

    def _urgent(self, live: Live) -> bool:
        """Whether an emergency has taken the token's grace away."""
        at, _, by = self.replaced[live.value]
        known = (each for ledger in self.ledgers.values() for each in ledger.emergencies.items())
        urgent = ((r, seen) for (stem, r), seen in known if stem == by.stem)
        return any(r > by.rotation or (r == by.rotation and seen >= at) for r, seen in urgent)

    def _identify(self, values: Mapping[str, object]) -> tuple[str, Live | None]:
        value = str(values.get("token") or "none")
        return Secret(value).fingerprint(KEY), self.target.by_value.get(value)

    def hold(self, broken: promises.Broken) -> None:
        """Stop the history at the first."""
        for promise, text in broken:
            self.broken(promise, text)

    def broken(self, promise: str, text: str) -> NoReturn:
        """Stop the history here."""
        self.world.tell("!", f"{promise}: {text}")
        raise Violation(f"{promise}: {text}")


def _number(values: Mapping[str, Any]) -> int:
    text = str(values.get("rotation", ""))
    return int(text) if text.isdecimal() else 0
