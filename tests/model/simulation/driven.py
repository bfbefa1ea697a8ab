"""The store of the simulation, each call answered at once: for those who hold it to the port's contract."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from rotator.ports import Document
from rotator.rotation.credential import VaultPath
from tests.model.simulation.swarm import Swarm
from tests.model.simulation.vault import KvClient, SimStore, Vault
from tests.model.simulation.world import Thread, World

JUDGED_BY_NOBODY = SimpleNamespace(looked=lambda *_: None, write_leaves=lambda *_: None, destroyed=lambda *_: None)


class DrivenStore:
    """One client in fair weather."""

    def __init__(self) -> None:
        self.world = World(0, Swarm())
        self.vault = Vault(self.world, lambda *_: None)
        self.inner = SimStore(KvClient(self.world, self.vault, "c0"), JUDGED_BY_NOBODY)
        self.client = SimpleNamespace(holder="A1", logged_out=0.0)

    async def read(self, place: VaultPath, *, version: int | None = None, strong: bool = False) -> Document:
        """See `SecretStore.read`."""
        return self._driven(self.inner.read(place, version=version, strong=strong))

    async def write(self, place: VaultPath, values: Mapping[str, object], *, cas: int) -> int:
        """See `SecretStore.write`."""
        return self._driven(self.inner.write(place, values, cas=cas))

    async def destroy(self, place: VaultPath, versions: tuple[int, ...]) -> None:
        """See `SecretStore.destroy`."""
        self._driven(self.inner.destroy(place, versions))

    def _driven(self, coro: Any) -> Any:
        self.world.running = Thread(self.client, "c0", coro)
        while True:
            try:
                coro.send(None)
            except StopIteration as end:
                return end.value
