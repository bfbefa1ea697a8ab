"""Documents that all processes share: requests of operators, pauses of the fleet, heartbeats.

`<prefix>/wish/<credential>/<id>` holds one request. It is written once, under an id that nobody else has, and removed
with its metadata once a record has taken it up. One listing of the folder tells everything that waits, and only names
in `expected` are read: a look costs nothing where nothing waits.
`<prefix>/fleet` holds the pauses of all credentials, or of all with a label.
`<prefix>/node/<instance>` holds a daemon's heartbeat; all commands share one.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import msgspec

from rotator.ports import Conflict, Refused, Transient
from rotator.rotation.credential import VaultPath
from rotator.rotation.operator_request import OperatorRequest
from rotator.rotation.pause import FleetPause, FleetPauses, on_at
from rotator.rotation.replica_share import Heartbeat
from rotator.vault import journal_codec
from rotator.vault.kv import Kv, undelete

DEEPEST = 64  # folders: a credential's name has 128 characters at most
_OURS = ("schema", "nonce", "pauses")
COMMANDS = "_commands"  # the name of all processes that are no daemon; they write it only as a barrier
GONE = timedelta(days=1)  # without a heartbeat
MOST = 500  # documents that are removed in one go


class VaultRequests:
    """The Requests port. `expected`: credentials with a request at the last look, or with one that was put here."""

    def __init__(self, kv: Kv, mount: str, prefix: str) -> None:
        self._kv = kv
        self._folder = VaultPath(mount, f"{prefix}/wish")
        self.expected: frozenset[str] = frozenset()
        self._put: set[str] = set()  # put since the last look began, which may have missed them

    async def look(self) -> frozenset[str]:
        """Every credential with a waiting request; a single listing where there is none."""
        self._put.clear()
        found = frozenset([name async for name in self._names()])
        self.expected = found | self._put
        return found

    async def waiting(self, name: str) -> tuple[OperatorRequest, ...]:
        """See `Requests.waiting`."""
        if name not in self.expected:
            return ()
        ids = [key for key in await self._kv.list(self._place(name)) if not key.endswith("/")]
        found = []
        for request_id in ids:
            place = self._place(name, request_id)
            read = await self._kv.read(place, strong=True)
            if read.values is not None:
                found.append(decode_request(place, request_id, read.values))
        return tuple(sorted(found, key=lambda each: (each.at, each.id)))

    async def put(self, name: str, request: OperatorRequest) -> None:
        """See `Requests.put`. The id is fresh, so a document with it is always ours."""
        self._put.add(name)
        self.expected |= {name}
        with suppress(Conflict):  # nobody else has this id: an earlier try succeeded
            await self._kv.write(self._place(name, request.id), encode_request(request), cas=0)

    async def remove(self, name: str, request: OperatorRequest) -> None:
        """See `Requests.remove`. A request that is put meanwhile has a document of its own."""
        await self._kv.forget(self._place(name, request.id))

    async def _names(self) -> AsyncIterator[str]:
        folders = [""]
        while folders:
            folder = folders.pop()
            if folder.count("/") > DEEPEST:
                raise Refused(f"the folders below {self._folder} have no end")
            keys = await self._kv.list(self._place(folder.rstrip("/")) if folder else self._folder)
            folders += [folder + key for key in keys if key.endswith("/")]
            if folder and any(not key.endswith("/") for key in keys):
                yield folder.rstrip("/")

    def _place(self, *parts: str) -> VaultPath:
        return VaultPath(self._folder.mount, "/".join((self._folder.path, *parts)))


def encode_request(request: OperatorRequest) -> dict[str, object]:
    """The document to write. The id serves as nonce."""
    return {"schema": str(journal_codec.SCHEMA), **journal_codec.texts(msgspec.to_builtins(request))}


def decode_request(place: VaultPath, request_id: str, values: Mapping[str, object]) -> OperatorRequest:
    """The request in a document. Raises Refused when it is damaged or of a newer schema: then nothing is done."""
    remedy = f"look at it, then `vault kv metadata delete {place.mount}/{place.path}`, and ask again"
    schema = values.get("schema")
    if not isinstance(schema, str) or not schema.isdecimal() or journal_codec.is_newer(schema):
        raise Refused(f"the request {place} was written by another rotator, or by hand: {remedy}")
    try:
        request = msgspec.convert(values, OperatorRequest, strict=False)
    except (msgspec.ValidationError, UnicodeEncodeError):
        raise Refused(f"the request {place} cannot be read: {remedy}") from None
    if request.id != request_id or request.at.tzinfo is None or (request.until and request.until.tzinfo is None):
        raise Refused(f"the request {place} cannot be read: {remedy}")
    return request


class _Document(msgspec.Struct):
    pauses: tuple[FleetPause, ...] = ()


class VaultFleet:
    """`<mount>/<prefix>/fleet`, written with check-and-set. Keys in it that we do not know are kept."""

    def __init__(self, kv: Kv, mount: str, prefix: str) -> None:
        self._kv = kv
        self.place = VaultPath(mount, f"{prefix}/fleet")

    async def pauses(self) -> FleetPauses:
        """The pauses that hold now. Raises Refused when they cannot be read: then no rotation may begin."""
        return (await self._read())[1]

    async def change(self, change: Callable[[FleetPauses], FleetPauses]) -> FleetPauses:
        """Write the pauses that hold from now on. Raises Conflict when another process wrote just now; Refused,
        with the change in force, when Vault would delete the document.
        """
        version, pauses, foreign = await self._read()
        wanted = change(pauses)
        if wanted != pauses:
            ours = {"schema": str(journal_codec.SCHEMA), "nonce": secrets.token_urlsafe(16)}
            values = {**foreign, **ours, "pauses": journal_codec.texts(msgspec.to_builtins(wanted))}
            await self._kv.write(self.place, values, cas=version)
            read = await self._kv.read(self.place, strong=True)
            if read.vanishes_at and any(on_at(each.pause, read.vanishes_at) for each in wanted):
                raise Refused(
                    f"done, but {self.place} vanishes at {read.vanishes_at:%F %T}Z (delete_version_after), and what is"
                    " paused would go on then; set it to 0s on the mount and on this document, then keep what it holds:"
                    f" {undelete(self.place, read.version)}"
                )
        return wanted

    async def _read(self) -> tuple[int, FleetPauses, dict[str, Any]]:
        read = await self._kv.read(self.place, strong=True)
        values = dict(read.values or {})
        if read.version == 0 or read.deleted:
            return read.version, (), {}
        schema = values.get("schema")
        if not isinstance(schema, str) or not schema.isdecimal() or journal_codec.is_newer(schema):
            raise Refused(
                f"{self.place} was written by another rotator, or by hand: look at it, put it right or delete it"
            )
        try:
            found = msgspec.convert(values, _Document, strict=False).pauses
        except (msgspec.ValidationError, UnicodeEncodeError):
            raise Refused(f"{self.place} cannot be read: look at it, put it right or delete it") from None
        times = [time for each in found for time in (each.pause.at, each.pause.until) if time]
        if any(time.tzinfo is None for time in times):
            raise Refused(f"{self.place} cannot be read: a time in it has no zone")
        return read.version, found, {key: value for key, value in values.items() if key not in _OURS}


async def heartbeats(kv: Kv) -> tuple[list[Heartbeat], datetime]:
    """The heartbeats of all daemons, and Vault's time. Raises Transient, StoreRefused."""
    folder, found = VaultPath(kv.node.mount, kv.node.path.rpartition("/")[0]), []
    for name in [each for each in await kv.list(folder) if each != COMMANDS and not each.endswith("/")][:MOST]:
        read = await kv.read(VaultPath(folder.mount, f"{folder.path}/{name}"))
        if read.written_at is not None and read.values is not None:
            work = read.values.get("in_flight")
            in_flight = tuple(each for each in work if isinstance(each, str)) if isinstance(work, list) else ()
            only_looks, holder = read.values.get("only_looks") == "true", str(read.values.get("holder", ""))
            names = str(read.values.get("credentials", ""))
            found.append(Heartbeat(name, read.written_at, in_flight, only_looks, holder, names))
    now = kv.session.server_time
    if now is None:
        raise Transient("Vault tells no time")
    return found, now


async def remove_gone(kv: Kv) -> tuple[str, ...]:
    """Remove the heartbeats of daemons that have been silent for a day by Vault's clock. Returns their names.

    Raises StoreRefused when the policy does not allow it. A daemon that comes back writes its document again.
    """
    removed: list[str] = []
    folder = VaultPath(kv.node.mount, kv.node.path.rpartition("/")[0])
    for name in await kv.list(folder):
        place = VaultPath(folder.mount, f"{folder.path}/{name}")
        if name.endswith("/") or name == COMMANDS or place == kv.node or len(removed) >= MOST:
            continue
        written, now = (await kv.read(place)).written_at, kv.session.server_time
        if written and now and now - written > GONE:
            await kv.forget(place)
            removed.append(name)
    return tuple(removed)
