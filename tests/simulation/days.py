"""What people do on an ordinary day: settings edited or broken, a Vault restored or copied, leftovers tidied."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from rotator.app import Leftover, revoke_leftover
from rotator.commands.unused import whose
from rotator.engine.bench import Edges
from rotator.engine.lease import Leases
from rotator.engine.visit import Visitor
from rotator.ports import Fault, Holding
from rotator.rotation.credential import Credential
from rotator.rotation.record import Record
from rotator.rotation.token_owners import TokenOwners, TokenState
from tests.simulation.actors import TTL, Process
from tests.simulation.invariants import Checks
from tests.simulation.journal import SimJournal
from tests.simulation.kinds import Kind
from tests.simulation.world import World, beat

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
    copies: Callable[[], None]  # a second installation comes up on a copy of this Vault
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
        self.checks.vault.docs = taken
        self.world.tell("*", "Vault is restored from a snapshot")
        self.checks.goes_back()

    def copy(self, name: str) -> bool | None:
        """Staging is set up from a snapshot of production, rotator and all."""
        if not self.only_tokens() or self.checks.disputed:
            return False
        self.copies()
        return None

    def only_tokens(self) -> bool:
        """Whether all credentials are of the sort that a target lists and revokes."""
        return all(self.checks.target.kind(name) is Kind.TOKENS for name in self.wanted)

    # --- what is proposed is typed ----------------------------------------------------------------------------------

    def tidy(self, name: str) -> bool | None:
        """Somebody types what `unused`, `strays` and holds propose."""
        hosts = [process for process in self.processes if not process.dead]
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
        said = [whose(Holding(x.id, x.name), owners, now)[1] for x in lives]
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
        owners: TokenOwners = await self.checks.edges("*", host.clock).owners()
        return owners

    async def _reap(self, host: Process, target: str, *, unclaimed: bool) -> None:
        """`rotate strays --reap --yes`, as cli/strays.py does it: see app/strays.py."""
        ours = self._on(target)

        def edges(credential: Credential) -> Edges:
            known: Edges = self.checks.edges(credential.name, host.clock)
            return known

        tokens = await self.checks.edges("*", host.clock).provider.find("rotator-")
        leases = Leases(f"reaper{len(self.played)}", TTL, host.clock.monotonic)
        visitor = Visitor(self.journal, leases, self.world.lineage, host.told)
        app: Any = SimpleNamespace(
            installation=edges(next(iter(ours.values()))).installation,
            settings=SimpleNamespace(credentials=self.wanted),
            edges=edges,
            crew=SimpleNamespace(
                rounds=SimpleNamespace(visitor=visitor), aside=lambda name: nullcontext(), stopping=""
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
        """Tokens under the names of this record that live and that it does not account for."""
        known = {x.token.id for x in (record.current, record.predecessor, record.candidate) if x} if record else set()
        for live in self.checks.target.tokens.values():
            ours = record is not None and live.name.startswith(f"{record.stem}-r") and live.minter != "person"
            if ours and live.id not in known and self.checks.target.alive(live):
                yield live.id
