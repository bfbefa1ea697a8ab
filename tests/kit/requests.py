"""Requests of operators in memory: the adapter for Vault, over a FakeStore that lists one folder at a time."""

from __future__ import annotations

from rotator.rotation.credential import VaultPath
from rotator.vault.shared_documents import VaultRequests
from tests.kit.store import FakeStore


class ListedStore:
    """What the adapter asks of Vault."""

    def __init__(self, store: FakeStore) -> None:
        self.store = store
        self.read, self.write = store.read, store.write

    async def list(self, folder: VaultPath) -> tuple[str, ...]:
        """The names directly below; folders end in a slash."""
        below = (each.partition("/") for each in await self.store.list(folder))
        return tuple(sorted({first + slash for first, slash, _ in below}))

    async def forget(self, place: VaultPath) -> None:
        """Remove a document with all its versions."""
        await self.store.before("remove", place)
        self.store.vault.keys.pop(place, None)
        await self.store.after("remove", place)


class FakeRequests(VaultRequests):
    """The Requests port of one process."""

    def __init__(self, store: FakeStore, mount: str = "secret", prefix: str = "rotator") -> None:
        super().__init__(ListedStore(store), mount, prefix)
