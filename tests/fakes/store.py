"""Owns an in-memory stand-in for Vault's KV engine; tests/contract holds it to what the real one does.

FakeVault is the server: plain synchronous state, and the verbs of an operator. FakeStore is one client's SecretStore
on it. Neither waits by itself: a simulation gives `pause`, which is called before and after each effect.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from rotator.ports import Conflict, Document, Fault, Refused, Transient
from rotator.rotation.credential import Place
from rotator.rotation.secret import Secret

Pause = Callable[[str], Awaitable[None]]


async def no_pause(label: str) -> None:
    """Go on at once."""


@dataclass
class _Key:
    """One path: its versions, None for a destroyed one."""

    versions: dict[int, dict[str, object] | None] = field(default_factory=dict)
    deleted: set[int] = field(default_factory=set)
    newest: int = 0
    max_versions: int = 0


@dataclass
class FakeVault:
    """The server. `sealed` refuses everything; `history` lists every accepted write, oldest first."""

    max_versions: int = 10
    sealed: bool = False
    keys: dict[Place, _Key] = field(default_factory=dict)
    history: list[tuple[Place, int]] = field(default_factory=list)

    def get(self, place: Place, version: int | None = None) -> Document:
        self._open()
        key = self.keys.get(place, _Key())
        number = key.newest if version is None else version
        if number not in key.versions:
            return Document(0)
        values = key.versions[number]
        if values is None or number in key.deleted:
            return Document(number, deleted=True)
        return Document(number, json.loads(json.dumps(values)))

    def put(self, place: Place, values: Mapping[str, object], cas: int | None) -> int:
        self._open()
        key = self.keys.setdefault(place, _Key())
        if cas is not None and cas != key.newest:
            raise Conflict("the document was changed in between")
        key.newest += 1
        key.versions[key.newest] = json.loads(json.dumps(values, default=Secret.reveal))
        for old in [
            number for number in key.versions if number <= key.newest - (key.max_versions or self.max_versions)
        ]:
            del key.versions[old]
        self.history.append((place, key.newest))
        return key.newest

    def destroy(self, place: Place, versions: tuple[int, ...]) -> None:
        self._open()
        key = self.keys.get(place, _Key())
        key.versions.update({number: None for number in versions if number in key.versions})

    def list(self, folder: Place) -> tuple[str, ...]:
        """Every path below the folder, relative to it."""
        self._open()
        start = f"{folder.path}/"
        paths = (place.path for place in self.keys if place.mount == folder.mount)
        return tuple(sorted(path.removeprefix(start) for path in paths if path.startswith(start)))

    # --- what an operator may do ------------------------------------------------------------------------------------

    def delete(self, place: Place) -> None:
        """Soft-delete the newest version."""
        self.keys[place].deleted.add(self.keys[place].newest)

    def undelete(self, place: Place, version: int) -> None:
        self.keys[place].deleted.discard(version)

    def forget(self, place: Place) -> None:
        """Delete the metadata: versions start from 1 again."""
        self.keys.pop(place, None)

    def overwrite(self, place: Place, values: Mapping[str, object]) -> int:
        """A write without check-and-set."""
        return self.put(place, values, None)

    def configure(self, place: Place, *, max_versions: int) -> None:
        self.keys.setdefault(place, _Key()).max_versions = max_versions

    def _open(self) -> None:
        if self.sealed:
            raise Transient("Vault is sealed, stopped or overloaded (503)")


@dataclass
class _Planned:
    verb: str
    fault: Fault
    after: bool
    place: Place | None


class FakeStore:
    """A client. `fail` plans faults, `stale` lets plain reads lag; strong reads never do."""

    def __init__(self, vault: FakeVault | None = None, pause: Pause = no_pause) -> None:
        self.vault = vault or FakeVault()
        self.pause = pause
        self.server_clock: Callable[[], datetime | None] = lambda: None
        self._planned: list[_Planned] = []
        self._stale: dict[Place, int] = {}

    def fail(self, verb: str, fault: Fault, *, after: bool = False, place: Place | None = None, times: int = 1) -> None:
        """Let the next `times` calls of a verb (read, write, destroy, list) fail, before or after their effect."""
        self._planned += [_Planned(verb, fault, after, place)] * times

    def stale(self, place: Place, behind: int = 1) -> None:
        """Let plain reads of this place lag by so many versions; 0 ends it."""
        self._stale[place] = behind

    async def read(self, place: Place, *, version: int | None = None, strong: bool = False) -> Document:
        """See `SecretStore.read`."""
        _check(place)
        await self._before("read", place)
        lag = self._stale.get(place, 0)
        if lag and version is None and not strong:
            version = max(self.vault.get(place).version - lag, 0)
        found = self.vault.get(place, version)
        await self._after("read", place)
        return found

    async def write(self, place: Place, values: Mapping[str, object], *, cas: int) -> int:
        """See `SecretStore.write`."""
        _check(place)
        await self._before("write", place)
        version = self.vault.put(place, values, cas)
        await self._after("write", place)
        return version

    async def destroy(self, place: Place, versions: tuple[int, ...]) -> None:
        """See `SecretStore.destroy`."""
        _check(place)
        await self._before("destroy", place)
        self.vault.destroy(place, versions)
        await self._after("destroy", place)

    async def list(self, folder: Place) -> tuple[str, ...]:
        """Every path below a folder."""
        await self._before("list", folder)
        found = self.vault.list(folder)
        await self._after("list", folder)
        return found

    async def _before(self, verb: str, place: Place) -> None:
        await self.pause(f"before {verb} {place}")
        self._strike(verb, place, after=False)

    async def _after(self, verb: str, place: Place) -> None:
        await self.pause(f"after {verb} {place}")
        self._strike(verb, place, after=True)

    def _strike(self, verb: str, place: Place, *, after: bool) -> None:
        for planned in self._planned:
            if planned.verb == verb and planned.after is after and planned.place in (None, place):
                self._planned.remove(planned)
                raise type(planned.fault)(planned.fault.reason, retry_after=planned.fault.retry_after)


def _check(place: Place) -> None:
    if any(segment in ("", ".", "..") or not segment.isprintable() for segment in str(place).split("/")):
        raise Refused(f"{place} is not a usable Vault path")
