"""The model of a KV version 2 engine and the store edge on it; the journal edge on it is journal.py's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from math import inf
from typing import Any

from rotator.ports import Conflict, Document, StoreRefused, Transient
from rotator.rotation.credential import VaultPath
from rotator.rotation.secret import Secret
from rotator.vault.session import WRITE_PATIENCE
from tests.model.simulation import wire
from tests.model.simulation.world import World

PATIENCE = WRITE_PATIENCE + wire.TIMEOUT  # seconds after which the real client sends nothing of a write any more


@dataclass(slots=True)
class Version:
    """One version of a document. `author` is a process, or "person"."""

    values: Mapping[str, object] | None
    author: str
    at: float
    deleted: bool = False
    shown: Document | None = None  # what readers get of it while it is whole


@dataclass(slots=True)
class Kept:
    """A document: its versions, trimmed to `keeps`."""

    newest: int = 0
    versions: dict[int, Version] = field(default_factory=dict)
    keeps: int = 10


Watch = Callable[[VaultPath, Version, Version | None], None]


@dataclass
class Vault:
    """Documents by place; a clock of its own; sealed now and then. `written` watches every write that landed."""

    world: World
    written: Watch
    docs: dict[VaultPath, Kept] = field(default_factory=dict)
    sealed: bool = False
    skew: float = 0.0
    anew: dict[VaultPath, float] = field(
        default_factory=dict
    )  # when its metadata was deleted: versions begin at 1 again

    def get(self, place: VaultPath, version: int | None = None) -> Document:
        """A version as a reader gets it."""
        doc = self.docs.get(place)
        if doc is None:
            return Document(0)
        number = version or doc.newest
        kept = doc.versions.get(number)
        if kept is None:
            return Document(0)
        if kept.deleted or kept.values is None:
            return Document(number, None, deleted=True)
        if kept.shown is None:
            kept.shown = Document(number, kept.values)
        return kept.shown

    def top(self, place: VaultPath) -> Version | None:
        """The newest version, as the model keeps it."""
        doc = self.docs.get(place)
        return doc.versions.get(doc.newest) if doc else None

    def put(
        self, place: VaultPath, values: Mapping[str, object], cas: int | None, author: str, began: float = inf
    ) -> int:
        """Write with check-and-set; `cas` None writes over anything, as a person may.

        `began`: when a client began to send it. The real one sends nothing when its time is up. This one does, which
        puts check-and-set to the test, but not where the number it was meant for has come again: nothing else fences.
        """
        doc = self.docs.get(place) or Kept()
        if cas is not None and cas != doc.newest:
            raise Conflict("check-and-set parameter did not match the current version")
        if began < self.anew.get(place, -inf) and began + PATIENCE < self.world.now:
            raise Transient("too late to be sent to Vault")
        before = doc.versions.get(doc.newest)
        fenced = before is not None and not before.deleted and before.values == values
        version = Version(values, before.author if before and fenced else author, self.world.now)
        self.written(place, version, before)
        self.docs[place] = doc
        doc.newest += 1
        doc.versions[doc.newest] = version
        doc.versions.pop(doc.newest - doc.keeps, None)
        return doc.newest

    def overwrite(self, place: VaultPath, values: Mapping[str, object]) -> int:
        """A person writes."""
        return self.put(place, values, None, "person")

    def delete(self, place: VaultPath) -> Version | None:
        """A person deletes the newest version."""
        if top := self.top(place):
            top.deleted, top.author, top.at = True, "person", self.world.now
        return top

    def undelete(self, place: VaultPath, version: int) -> None:
        """A person takes that back."""
        self.docs[place].versions[version].deleted = False

    def configure(self, place: VaultPath, *, max_versions: int) -> None:
        """How many versions are kept."""
        self.docs.setdefault(place, Kept()).keeps = max_versions

    def snapshot(self) -> dict[VaultPath, Kept]:
        """Everything as it is now, to be kept."""
        return {
            place: Kept(doc.newest, {number: replace(version) for number, version in doc.versions.items()}, doc.keeps)
            for place, doc in self.docs.items()
        }

    def forget(self, place: VaultPath) -> bool:
        """Delete all versions and the metadata; whether there were any."""
        self.anew[place] = self.world.now
        return self.docs.pop(place, None) is not None

    def destroy(self, place: VaultPath, versions: tuple[int, ...]) -> None:
        """Destroy versions for good."""
        doc = self.docs.get(place)
        for number in versions:
            if doc and number in doc.versions:
                doc.versions[number].values = None


@dataclass
class KvClient:
    """What the real adapter does with one document: unknown outcomes are resolved by looking."""

    world: World
    vault: Vault
    name: str  # the credential it is used for

    def get(
        self, place: VaultPath, version: int | None = None, look: Callable[[], None] | None = None
    ) -> Awaitable[Document]:
        """A strong read. `look` hears of the moment at which it is answered from."""

        def effect() -> Document:
            if look:
                look()
            return self.vault.get(place, version)

        return self.send(_verb("read", place), effect, writes=False)

    async def put(self, place: VaultPath, values: Mapping[str, object], cas: int) -> int:
        """Write; after an unknown outcome the identical write again, then decide by a strong read."""
        author, began = self.world.running.owner.holder, self.world.now
        for _ in range(3):
            try:
                return await self._put_once(place, values, cas, author, began)
            except Transient:
                continue
            except Conflict:
                if await self._landed(place, values, cas):
                    return cas + 1
        if await self._landed(place, values, cas):
            return cas + 1
        raise Transient("the outcome of a write stayed unknown")

    async def _landed(self, place: VaultPath, values: Mapping[str, object], cas: int) -> bool:
        """Ours exactly when the version after `cas` holds what we sent."""
        newest = await self.get(place)
        if newest.version == cas:
            return False
        ours = newest if newest.version == cas + 1 else await self.get(place, cas + 1)
        if newest.version > cas and ours.values == values:
            return True
        raise Conflict("the document was changed in between")

    def _put_once(
        self, place: VaultPath, values: Mapping[str, object], cas: int, author: str, began: float
    ) -> Awaitable[int]:
        def effect() -> int:
            if self.world.chance(self.world.swarm.false_conflict):
                self.world.fault("vault_false_conflict", self.name)
                raise Conflict("check-and-set parameter did not match the current version")
            return self.vault.put(place, values, cas, author, began)

        return self.send(_verb("write", place), effect, writes=True)

    def destroy(self, place: VaultPath, versions: tuple[int, ...], check: Callable[..., None]) -> Awaitable[None]:
        """Destroy versions, after a check at the moment it takes effect."""

        def effect() -> None:
            check(place, versions)
            self.vault.destroy(place, versions)

        return self.send("destroy staged", effect, writes=True)

    def send(self, verb: str, effect: Callable[[], wire.T], *, writes: bool) -> Awaitable[wire.T]:
        """One request to this Vault."""

        owner = self.world.running.owner if self.world.running else None

        def unless_sealed() -> wire.T:
            if self.vault.sealed:
                self.world.fault("vault_sealed", self.name)
                raise Transient("Vault is sealed")
            if owner and owner.logged_out:
                raise StoreRefused("the login is over, and a new one is refused")
            return effect()

        return wire.send(self.world, "vault", verb, self.name, unless_sealed, writes=writes)


@lru_cache(maxsize=1024)
def _verb(verb: str, place: VaultPath) -> str:
    """What is done to the journal, the staged slot, or a consumer path."""
    return f"{verb} {place.path.split('/')[1] if place.path.startswith('rotator/') else 'consumer'}"


@dataclass
class SimStore:
    """The store port for one credential. `checks` is asked before a request leaves."""

    kv: KvClient
    checks: Any  # invariants.Checks, which knows this model

    async def read(self, place: VaultPath, *, version: int | None = None, strong: bool = False) -> Document:
        """See `SecretStore.read`; a plain read may come from a standby that lags behind."""
        world = self.kv.world
        assert world.running is not None
        look = partial(self.checks.looked, place, world.running.owner.holder)
        doc = await self.kv.get(place, version, look if strong and version is None else None)
        if not strong and world.chance(world.swarm.stale):
            world.fault("vault_stale_read", self.kv.name)
            return self.kv.vault.get(place, max(1, doc.version - 1)) if version is None else Document(0)
        return doc

    async def write(self, place: VaultPath, values: Mapping[str, object], *, cas: int) -> int:
        """See `SecretStore.write`."""
        plain = {key: value.reveal() if isinstance(value, Secret) else value for key, value in values.items()}
        self.checks.write_leaves(self.kv.name, place, plain, cas)
        return await self.kv.put(place, plain, cas)

    async def destroy(self, place: VaultPath, versions: tuple[int, ...]) -> None:
        """See `SecretStore.destroy`."""
        await self.kv.destroy(place, versions, self.checks.destroyed)
