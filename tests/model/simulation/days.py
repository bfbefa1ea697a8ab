"""What people do on an ordinary day: settings edited or broken, a Vault restored or copied, leftovers tidied."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from rotator.app.strays import Leftover, revoke_leftover
from rotator.commands.queries import whose
from rotator.engine.context import Dependencies
from rotator.engine.lease import Leases
from rotator.engine.reconciler import Reconciler
from rotator.ports import Fault, InventoryItem
from rotator.rotation.credential import Credential, Pause, VaultPath
from rotator.rotation.foreign_journal import own_stem
from rotator.rotation.ownership import TokenOwners, TokenState
from rotator.rotation.pause import FleetPauses, with_pause, with_stop, without_pause
from rotator.rotation.record import HoldReason, Record
from tests.kit.kinds import Kind
from tests.kit.ledger import ends
from tests.model.simulation.actors import TTL, Process, SimClock
from tests.model.simulation.invariants import COPY, Checks
from tests.model.simulation.journal import SimJournal
from tests.model.simulation.vault import Kept
from tests.model.simulation.world import World, beat

if TYPE_CHECKING:
    from tests.model.simulation.people import People

AHEAD = 100 * 86400.0  # seconds
CLAIMS = 8

_SAYS = re.compile(
    r"rotate strays --reap(?P<unclaimed> --unclaimed)?|rotate (?P<verb>revoke|now|release) (?P<name>\S+)"
)


@dataclass
class Days:
    """Each act is a method named like the swarm's word, as in people.py."""

    world: World
    checks: Checks
    journal: SimJournal
    wanted: dict[str, Credential]
    processes: list[Process]
    people: People
    copies: Callable[..., None]  # a second installation comes up on a copy of this Vault
    ahead: list[tuple[SimClock, float]] = field(default_factory=list)  # clocks that are days ahead, and as they were
    claims: Counter[str] = field(default_factory=Counter)  # how often each was claimed in the calm
    played: list[str] = field(default_factory=list)  # commands that were typed as they were proposed

    # --- settings ---------------------------------------------------------------------------------------------------

    def rename(self, name: str) -> bool | None:
        """The same path under another name."""
        if self.checks.target.kind(name) is not Kind.TOKENS:
            return False
        new, checks = f"{name}x", self.checks
        checks.graces[new] = list(checks.graces[name])
        checks.target.kinds[new] = checks.target.kind(name)
        checks.renamed.add(name)
        self._take_out(name, new)
        self._put_in(replace(checks.ever[name], name=new))
        return None

    def remove(self, name: str) -> bool | None:
        """Out of the settings, and back into them after a while."""
        if len(self.wanted) == 1 or self.checks.target.kind(name) is not Kind.TOKENS:
            return False
        self._take_out(name)
        self.world.later(self.world.rng.uniform(20, 120), self.put_back, name)
        return None

    def put_back(self, name: str) -> None:
        """What was removed is wanted again, if it still is not."""
        if name not in self.wanted:
            self._put_in(self.checks.ever[name])

    def _take_out(self, name: str, new: str = "") -> None:
        place = self.wanted.pop(name).place
        self.checks.left_settings[name] = self.world.now
        for consumer in self.checks.consumers:
            if consumer.name == name and new:
                consumer.name = new
        read = self.checks.live_path.pop(name, None)
        if read and new:
            self.checks.live_path[new] = read
        self.checks.owner[place] = new or name
        self._reload(name, None)

    def _put_in(self, credential: Credential) -> None:
        name = credential.name
        self.wanted[name] = self.checks.ever[name] = credential
        self._reload(name, credential)
        top = self.checks.vault.top(credential.place)
        value = str((top.values or {}).get("token")) if top and not top.deleted else ""
        if self.checks.target.accepts(value):
            self.checks.live_path.setdefault(name, credential.place)

    def _reload(self, name: str, credential: Credential | None) -> None:
        for process in self.processes:
            if process.host != COPY:  # which has settings of its own
                self.world.later(self.world.rng.uniform(0, 5), process.configure, name, credential)

    def broken_file(self, name: str) -> None:
        """A typing mistake: daemons go on with the old settings, and none starts until it is mended."""
        self.world.broken_file = True
        self.world.later(self.world.rng.uniform(20, 90), setattr, self.world, "broken_file", False)

    # --- Vault ------------------------------------------------------------------------------------------------------

    def restore(self, name: str) -> bool | None:
        """Vault goes back to a snapshot that was taken a while ago."""
        if not self.only_tokens():
            return False
        taken = self.checks.vault.snapshot()
        self.world.later(self.world.rng.uniform(60, 300), self._restored, taken)
        return None

    def _restored(self, taken: dict) -> None:
        if self.world.calm:
            return
        self._goes_back_to(taken, "Vault is restored from a snapshot")

    def _goes_back_to(self, docs: dict[VaultPath, Kept], said: str) -> None:
        vault = self.checks.vault
        vault.anew.update(dict.fromkeys((*vault.docs, *docs), self.world.now))
        vault.docs = docs
        self.checks.paused_since = None
        self.world.tell("*", said)
        self.checks.goes_back()
        for process in self.processes:
            if process.host != COPY:
                self.world.later(self.world.rng.uniform(0, TTL), process.vault_went_back, process.life)

    def empty(self, name: str) -> bool | None:
        """Somebody sets Vault up anew: nothing is left in it."""
        if not self.only_tokens():
            return False
        self.checks.erased.update(self.checks.ever)
        self._goes_back_to({}, "Vault is empty")
        return None

    def copy(self, name: str) -> bool | None:
        """Staging is set up from a snapshot of production, rotator and all."""
        if not self.only_tokens() or self.checks.disputed or any(each.host == COPY for each in self.processes):
            return False
        self.copies(read_only=self.world.chance(0.5))
        return None

    def claim(self, name: str) -> bool | None:
        """Somebody who was told that there may be two Vaults says that this is the only one; no copy is at work."""
        if any(each.host == COPY and not each.read_only for each in self.processes) or not self._two():
            return False
        for each in self.wanted:
            self.people.operators.claim(each)
        return None

    def _two(self) -> bool:
        return any(held_for_two(self.checks.ledgers[name].latest) for name in self.wanted)

    def claim_soon(self, name: str, looks: int = CLAIMS) -> None:
        """The copy is gone: whoever is asked whether this Vault is the only one says so."""
        if held_for_two(self.checks.ledgers[name].latest):
            self.people.operators.claim(name)
            self.claims[name] += 1
        if self.checks.disputed and looks:
            self.world.later(45.0, self.claim_soon, name, looks - 1)

    def login(self, name: str) -> bool | None:
        """A process's login runs out, and nobody gives it another one for a while."""
        up = [process for process in self.processes if not process.dead]
        if not up:
            return False
        process = self.world.rng.choice(up)
        process.logged_out = self.world.now
        self.world.later(self.world.rng.uniform(20, 200), process.log_in)
        return None

    def clock_ahead(self, name: str) -> bool | None:
        """A host's wall clock is days ahead for a while."""
        if not self.only_tokens() or self.ahead or "vault_clock" in self.world.swarm.acts:
            return False
        clock = self.world.rng.choice([each for each in self.processes if each.host != COPY]).clock
        self.ahead.append((clock, clock.skew))
        clock.skew += AHEAD
        self.world.later(self.world.rng.uniform(20, 90), self.clocks_agree)
        return None

    def clocks_agree(self) -> None:
        """It is put right again."""
        for clock, skew in self.ahead:
            clock.skew = skew
        self.ahead.clear()

    # --- everything is paused ---------------------------------------------------------------------------------------

    def fleet(self, name: str) -> bool | None:
        """`rotate pause --all`, or `rotate resume --all`."""
        hosts = [process for process in self.processes if not process.dead and process.fleet]
        if not hosts:
            return False
        host = self.world.rng.choice(hosts)
        on = self.world.chance(0.75)
        if on is (self.checks.paused_since is not None):
            return False
        host.errand("*", self._fleet(host, on))
        return None

    async def _fleet(self, host: Process, on: bool) -> None:
        now = host.clock.now()
        if not on:
            self.checks.paused_since = None
        try:
            if on:
                await host.fleet.change(lambda found: self._all_paused(found, now))
                self.checks.paused_since = self.world.now
            else:
                await host.fleet.change(lambda found: without_pause(found, {}, now))
        except Fault as fault:
            self.world.tell("shell", f"the pause of everything: {fault.reason}")
        while True:
            await beat(1e6, "idle")

    def _all_paused(self, found: FleetPauses, now: datetime) -> FleetPauses:
        """By a person; every other second because too much failed everywhere, which has to be heeded alike."""
        if int(self.world.now) % 2:
            return with_pause(found, Pause("person", now), {})
        for target, kind in sorted({(each.target, each.kind) for each in self.wanted.values()}):
            found = with_stop(found, target, kind, now, "all of them failed")
        return found

    def resume_all(self) -> None:
        """What is paused goes on, and everybody knows."""
        self.checks.paused_since = None
        self.checks.vault.docs.pop(VaultPath("kv", "rotator/fleet"), None)

    def only_tokens(self) -> bool:
        """Whether all credentials are of the sort that a target lists and revokes."""
        return all(self.checks.target.kind(name) is Kind.TOKENS for name in self.wanted)

    # --- what is proposed is typed ----------------------------------------------------------------------------------

    def tidy(self, name: str) -> bool | None:
        """Somebody types what `unused`, `strays` and holds propose."""
        hosts = [process for process in self.processes if not process.dead and process.host != COPY]
        if not hosts or not self.wanted or not self.only_tokens():
            return False  # a target of several kinds: whoever ends a leftover there asks the provider of another one
        host = self.world.rng.choice(hosts)
        host.errand("*", self._tidied(host))
        return None

    async def _tidied(self, host: Process) -> None:
        try:
            for target in sorted({each.target for each in self.wanted.values()}):
                for command in sorted(set(await self.proposals(host, target))):
                    await self.play(host, target, command)
        except Fault as fault:
            self.world.tell("shell", f"tidying ends: {fault.reason}")
        while True:
            await beat(1e6, "idle")

    async def proposals(self, host: Process, target: str) -> list[str]:
        """The commands that `rotate unused` and the holds of this target print."""
        loaded = {name: await self.journal.load(name) for name, each in self._on(target).items()}
        records: dict[str, Record] = {name: entry.record for name, entry in loaded.items() if entry.record}
        owners, now = await self._owners(host), host.clock.now()
        lives = [x for x in self.checks.target.tokens.values() if self.checks.target.lists(x)]
        said = [whose(InventoryItem(x.id, x.name), owners, now)[1] for x in lives]
        said += [record.held.text for record in records.values() if record.held]
        return [found[0] for text in said if not text.startswith("take ") for found in _SAYS.finditer(text)]

    async def play(self, host: Process, target: str, command: str) -> None:
        """Type it, and confirm what it asks."""
        found = _SAYS.fullmatch(command)
        assert found is not None, command
        self.played.append(command)
        self.world.tell("shell", command)
        if found["verb"] in ("revoke", "now") and found["name"] in self.wanted:
            host.ask(found["name"], emergency=found["verb"] == "revoke")
        elif not found["verb"]:
            await self._reap(host, target, unclaimed=bool(found["unclaimed"]))

    async def _owners(self, host: Process) -> TokenOwners:
        """Whose any token is, as the product gathers it."""
        owners: TokenOwners = await self.checks.dependencies("*", host.clock).owners()
        return owners

    async def _reap(self, host: Process, target: str, *, unclaimed: bool) -> None:
        """`rotate strays --reap --yes`, as cli/strays.py does it: see app/strays.py."""
        ours = self._on(target)

        def dependencies(credential: Credential) -> Dependencies:
            known: Dependencies = self.checks.dependencies(credential.name, host.clock)
            return known

        tokens = await self.checks.dependencies("*", host.clock).provider.find("rotator-")
        leases = Leases(f"reaper{len(self.played)}", TTL, host.clock.monotonic)
        reconciler = Reconciler(self.journal, leases, self.world.lineage, host.told)
        app: Any = SimpleNamespace(
            installation=dependencies(next(iter(ours.values()))).installation,
            settings=SimpleNamespace(credentials=self.wanted),
            dependencies=dependencies,
            worker_pool=SimpleNamespace(
                guard=SimpleNamespace(reconciler=reconciler), aside=lambda name: nullcontext(), stopping=""
            ),
        )
        owners, now = await self._owners(host), host.clock.now()
        for token in tokens:
            owner = owners.of(token, now)
            if owner.state is TokenState.STRAY or (unclaimed and owner.state is TokenState.UNMANAGED):
                self.checks.by_word.add(token.id)
                await revoke_leftover(app, Leftover(target, token, owner), "person")

    def _on(self, target: str) -> dict[str, Credential]:
        return {name: each for name, each in self.wanted.items() if each.target == target}

    def lives_unknown(self, name: str, record: Record | None) -> Iterator[str]:
        """Tokens under the names of this record that live, that it does not account for, and that do not end by
        themselves. What a claim has left behind bears other names: `strays` lists that.
        """
        if record is None or not own_stem(record):
            return
        known = {x.token.id for x in (*record.published, record.candidate) if x}
        for live in self.checks.target.tokens.values():
            ours = live.name.startswith(f"{record.stem}-r") and live.minter != "person"
            unknown = live.id not in known and self.checks.target.alive(live)
            if ours and unknown and ends(live, record, self.checks.target):
                yield live.id


def held_for_two(record: Record | None) -> bool:
    """Whether somebody has to say that this Vault is the only one."""
    return bool(record and record.held and record.held.reason is HoldReason.TWO_VAULTS)
