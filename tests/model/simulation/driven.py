"""The ports of the simulation, each call answered at once: for those who hold them to their contracts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from rotator.ports import Capabilities, Document, Transient
from rotator.rotation.credential import VaultPath
from rotator.rotation.secret import Secret
from tests.kit.clock import HandClock
from tests.kit.every_verb import EveryVerb
from tests.kit.kinds import Kind
from tests.model.simulation.provider import SimProvider
from tests.model.simulation.swarm import Swarm
from tests.model.simulation.target import Target
from tests.model.simulation.vault import KvClient, SimStore, Vault
from tests.model.simulation.wire import attempt
from tests.model.simulation.world import EPOCH, Thread, World

NAME = "c0"
CHECKS = ("looked", "write_leaves", "destroyed", "mint_leaves", "install_leaves", "revoke_leaves", "restore_leaves")
NOBODY = SimpleNamespace(**dict.fromkeys(CHECKS, lambda *_: None))  # judges


def unheard(*_: Any) -> None:
    """Nobody hears of an effect."""


class Client(HandClock):
    """A process of a world in fair weather, and time, which passes by hand alone. `lost`: calls that get no answer."""

    def __init__(self, **options: Any) -> None:
        super().__init__(EPOCH)
        self.world = World(0, Swarm(**options))
        self.world.calm = True
        self.owner = SimpleNamespace(holder="A1", clock=self, logged_out=0.0)
        self.lost: dict[str, bool] = {}

    def move(self, span: timedelta | float) -> None:
        """Time passes."""
        super().move(span)
        self.world.run(self.moved)

    def lose(self, verb: str, *, after: bool) -> None:
        """The next call of this verb is lost, before or after its effect."""
        self.lost[verb] = after

    def drive(self, verb: str, coro: Any) -> Any:
        """One call, to its answer."""
        thread = self.world.running = Thread(self.owner, NAME, coro)
        try:
            coro.send(None)
            if (after := self.lost.pop(verb, None)) is not None:
                if after and thread.wire:
                    attempt(thread.wire)
                coro.throw(Transient("no answer"))
            while True:
                coro.send(None)
        except StopIteration as end:
            return end.value


class DrivenStore:
    """The store port."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.vault = Vault(client.world, unheard)
        self.inner = SimStore(KvClient(client.world, self.vault, NAME), NOBODY)

    async def read(self, place: VaultPath, *, version: int | None = None, strong: bool = False) -> Document:
        """See `SecretStore.read`."""
        return self.client.drive("read", self.inner.read(place, version=version, strong=strong))

    async def write(self, place: VaultPath, values: Mapping[str, object], *, cas: int) -> int:
        """See `SecretStore.write`."""
        return self.client.drive("write", self.inner.write(place, values, cas=cas))

    async def destroy(self, place: VaultPath, versions: tuple[int, ...]) -> None:
        """See `SecretStore.destroy`."""
        self.client.drive("destroy", self.inner.destroy(place, versions))


class DrivenProvider(EveryVerb):
    """The provider port, on a target that keeps values in this way."""

    def __init__(self, client: Client, kind: Kind) -> None:
        self.client = client
        self.target = Target(client.world, unheard, unheard, unheard)
        self.target.kinds[NAME] = kind
        self.inner = SimProvider(client.world, self.target, NAME, NOBODY)

    @property
    def capabilities(self) -> Capabilities:
        return self.inner.capabilities

    async def call(self, verb: str, *args: Any) -> Any:
        return self.client.drive(verb, getattr(self.inner, verb)(*args))

    def accepts(self, secret: Secret) -> bool:
        """Whether consumers who present it get in."""
        return self.target.accepts(secret.reveal())
