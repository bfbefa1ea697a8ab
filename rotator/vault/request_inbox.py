"""Requests of operators in Vault: one document each, below `<mount>/<prefix>/wish/<credential>/`.

A document is written once, under an id that nobody else has, and removed, with its metadata, once a record has taken
it up. So one listing of the folder tells all that waits in the whole installation, and a look costs nothing where
nothing waits: only names in `expected` are read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress

import msgspec

from rotator.ports import Conflict, Refused
from rotator.rotation.credential import VaultPath
from rotator.rotation.operator_request import OperatorRequest
from rotator.vault import journal_codec
from rotator.vault.kv import Kv

DEEPEST = 64  # folders: a credential's name has 128 characters at most


class VaultRequests:
    """The Requests port. `expected`: credentials that something waited for at the last look, or was put for here."""

    def __init__(self, kv: Kv, mount: str, prefix: str) -> None:
        self._kv = kv
        self._folder = VaultPath(mount, f"{prefix}/wish")
        self.expected: frozenset[str] = frozenset()
        self._put: set[str] = set()  # since the last look began, which may not have seen them

    async def look(self) -> frozenset[str]:
        """Every credential that something waits for; one listing where nothing does."""
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
                found.append(decode(place, request_id, read.values))
        return tuple(sorted(found, key=lambda each: (each.at, each.id)))

    async def put(self, name: str, request: OperatorRequest) -> None:
        """See `Requests.put`. The id is fresh: whose write it was is never in doubt."""
        self._put.add(name)
        self.expected |= {name}
        with suppress(Conflict):  # nobody else has this id: an earlier try has landed
            await self._kv.write(self._place(name, request.id), encode(request), cas=0)

    async def remove(self, name: str, request: OperatorRequest) -> None:
        """See `Requests.remove`. Another one that is put meanwhile has a document of its own."""
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


def encode(request: OperatorRequest) -> dict[str, object]:
    """The document to write; its id is its own nonce."""
    return {"schema": str(journal_codec.SCHEMA), **journal_codec.texts(msgspec.to_builtins(request))}


def decode(place: VaultPath, request_id: str, values: Mapping[str, object]) -> OperatorRequest:
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
