"""The trouble that can be had with the KV engine in memory: seals, operators, faults and stale reads by request.

FakeVault is the server with the verbs of an operator, FakeStore one client's SecretStore on it. The engine itself is
the conformance kit's; tests/contract holds both to what a real one does. Neither waits by itself: a simulation gives
`pause`, which is called before and after each effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rotator.ports import Document, Fault, Transient
from rotator.rotation.credential import VaultPath
from rotator.testing.memory_vault import Key, MemoryStore, MemoryVault, Pause, no_pause


@dataclass
class FakeVault(MemoryVault):
    """The server. `sealed` refuses everything."""

    sealed: bool = False

    def get(self, place: VaultPath, version: int | None = None) -> Document:
        self._open()
        return super().get(place, version)

    def put(self, place: VaultPath, values: Mapping[str, object], cas: int | None) -> int:
        self._open()
        return super().put(place, values, cas)

    def destroy(self, place: VaultPath, versions: tuple[int, ...]) -> None:
        self._open()
        super().destroy(place, versions)

    def list(self, folder: VaultPath) -> tuple[str, ...]:
        self._open()
        return super().list(folder)

    # --- what an operator may do ------------------------------------------------------------------------------------

    def delete(self, place: VaultPath) -> None:
        """Soft-delete the newest version."""
        self.keys[place].deleted.add(self.keys[place].newest)

    def undelete(self, place: VaultPath, version: int) -> None:
        self.keys[place].deleted.discard(version)

    def forget(self, place: VaultPath) -> None:
        """Delete the metadata: versions start from 1 again."""
        self.keys.pop(place, None)

    def overwrite(self, place: VaultPath, values: Mapping[str, object]) -> int:
        """A write without check-and-set."""
        return self.put(place, values, None)

    def configure(self, place: VaultPath, *, max_versions: int) -> None:
        self.keys.setdefault(place, Key()).max_versions = max_versions

    def _open(self) -> None:
        if self.sealed:
            raise Transient("Vault is sealed, stopped or overloaded (503)")


@dataclass
class _Planned:
    verb: str
    fault: Fault
    after: bool
    place: VaultPath | None


class FakeStore(MemoryStore):
    """A client. `fail` plans faults, `stale` lets plain reads lag; strong reads never do."""

    vault: FakeVault

    def __init__(self, vault: FakeVault | None = None, pause: Pause = no_pause) -> None:
        super().__init__(vault or FakeVault(), pause)
        self._planned: list[_Planned] = []
        self._stale: dict[VaultPath, int] = {}

    def fail(
        self, verb: str, fault: Fault, *, after: bool = False, place: VaultPath | None = None, times: int = 1
    ) -> None:
        """Let the next `times` calls of a verb (read, write, destroy, list) fail, before or after their effect."""
        self._planned += [_Planned(verb, fault, after, place)] * times

    def stale(self, place: VaultPath, behind: int = 1) -> None:
        """Let plain reads of this place lag by so many versions; 0 ends it."""
        self._stale[place] = behind

    def see(self, place: VaultPath, version: int | None, strong: bool) -> Document:
        lag = self._stale.get(place, 0)
        if lag and version is None and not strong:
            version = max(self.vault.get(place).version - lag, 0)
        return super().see(place, version, strong)

    async def before(self, verb: str, place: VaultPath) -> None:
        await super().before(verb, place)
        self._strike(verb, place, after=False)

    async def after(self, verb: str, place: VaultPath) -> None:
        await super().after(verb, place)
        self._strike(verb, place, after=True)

    def _strike(self, verb: str, place: VaultPath, *, after: bool) -> None:
        for planned in self._planned:
            if planned.verb == verb and planned.after is after and planned.place in (None, place):
                self._planned.remove(planned)
                raise type(planned.fault)(planned.fault.reason, retry_after=planned.fault.retry_after)
