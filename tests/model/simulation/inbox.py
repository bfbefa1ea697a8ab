"""What operators ask for, kept in the modelled Vault by the product's own adapter; and the shells that put it there."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from rotator.ports import Document, Fault, Transient
from rotator.rotation.credential import VaultPath
from rotator.rotation.operator_request import OperatorRequest, RequestVerb
from rotator.rotation.rotation_request import live_at
from rotator.vault.shared_documents import VaultFleet, VaultRequests
from tests.kit.promises import Violation
from tests.model.simulation.actors import Process
from tests.model.simulation.invariants import COPY, Checks
from tests.model.simulation.vault import KvClient, Vault
from tests.model.simulation.wishes import Wish, Wishes
from tests.model.simulation.world import World, beat

TRIES = 3
ODD = (RequestVerb.PAUSE, RequestVerb.RESUME, RequestVerb.RELEASE, RequestVerb.UNDO)


@dataclass(frozen=True)
class Folders:
    """What the adapter asks of Vault."""

    kv: KvClient

    def read(self, place: VaultPath, *, strong: bool = False) -> Awaitable[Document]:
        """A strong read."""
        return self.kv.get(place)

    async def write(self, place: VaultPath, values: Mapping[str, object], *, cas: int) -> int:
        """See `KvClient.put`."""
        return await self.kv.put(place, values, cas)

    def list(self, folder: VaultPath) -> Awaitable[tuple[str, ...]]:
        """The names directly below; folders end in a slash."""

        def effect() -> tuple[str, ...]:
            start = f"{folder.path}/"
            below = (x.path.removeprefix(start).partition("/") for x in self.kv.vault.docs if x.path.startswith(start))
            return tuple(sorted({first + slash for first, slash, _ in below}))

        return self.kv.send("list wish", effect, writes=False)

    def forget(self, place: VaultPath) -> Awaitable[None]:
        """With all its versions."""
        world = self.kv.world

        def effect() -> None:
            if world.running and world.running.owner.read_only:
                raise Violation(f"RO: a copy that settings call read-only removes {place}")
            self.kv.vault.docs.pop(place, None)

        return self.kv.send("remove wish", effect, writes=True)


def requests(world: World, vault: Vault) -> VaultRequests:
    """The port of one process."""
    return VaultRequests(Folders(KvClient(world, vault, "*")), "kv", "rotator")  # type: ignore[arg-type] # what it uses


def fleet(world: World, vault: Vault) -> VaultFleet:
    """The document about the whole installation, as one process reads and writes it."""
    return VaultFleet(Folders(KvClient(world, vault, "*")), "kv", "rotator")  # type: ignore[arg-type] # what it uses


@dataclass
class Inbox:
    """Who types a verb that is kept in Vault before it is acknowledged."""

    world: World
    checks: Checks
    wishes: Wishes

    def ask(
        self, host: Process, name: str, verb: RequestVerb, *, emergency: bool = False, patient: bool = True
    ) -> None:
        """On this host, whose daemon is told once it is kept; one that only looks takes nothing on."""
        if host.read_only:
            return
        host.errand(name, self._shell(host, name, verb, emergency, patient))

    async def _shell(self, host: Process, name: str, verb: RequestVerb, emergency: bool, patient: bool) -> None:
        record, at = self.checks.ledgers[name].latest, host.clock.now()
        live = live_at(record)
        until = at + timedelta(seconds=200) if self.world.chance(0.5) else None
        request = OperatorRequest(
            self.world.word(), verb, at, "person", emergency=emergency, until=until, live=live, patient=patient
        )
        for _ in range(TRIES):
            try:
                await host.requests.put(name, request)
            except Transient:
                continue
            except Fault as fault:
                self.world.tell("shell", f"refused: {fault.reason}", name)
                break
            self.world.tell("shell", f"{request.verb} is kept", name)
            if host.host != COPY:  # whose Vault is another one
                self.wishes.made.append(Wish(name, request, self.world.now))
            host.wake(name)
            break
        while True:
            await beat(1e6, "idle")
