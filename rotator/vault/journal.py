"""Owns the journal in Vault: one document per credential, and the one that describes the installation.

How a document looks is document.py's, how it is written and read is kv.py's.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Mapping
from contextlib import suppress

from rotator.ports import Conflict, Entry, Installation, Lease, Refused
from rotator.rotation.credential import Place
from rotator.rotation.record import Record
from rotator.vault import document
from rotator.vault.kv import Kv


class VaultJournal:
    """The Journal port below `<mount>/<prefix>/journal/`. Names may contain slashes."""

    def __init__(self, kv: Kv, mount: str, prefix: str) -> None:
        self._kv = kv
        self._folder = Place(mount, f"{prefix}/journal")
        self._meta = Place(mount, f"{prefix}/meta")

    async def load(self, name: str) -> Entry:
        """See `Journal.load`. A journal that a person deleted is Refused, too: its history is not ours to end."""
        read = await self._kv.read(self._place(name), strong=True)
        if read.deleted:
            raise Refused(
                f"the journal of {name} was deleted (version {read.version}); undelete it, "
                "or delete its metadata as well to let the credential begin anew"
            )
        if read.version == 0:
            return Entry(name, 0, None, server_time=self._kv.session.server_time)
        return document.decode(name, read.version, read.values or {}, self._kv.session.server_time)

    async def save(self, over: Entry, record: Record, lease: Lease) -> Entry:
        """See `Journal.save`. The nonce tells our write from anybody's after a lost answer."""
        values = document.encode(record, lease, secrets.token_urlsafe(16), over.foreign)
        version = await self._kv.write(self._place(over.name), values, cas=over.version)
        return Entry(over.name, version, record, lease, self._kv.session.server_time, over.foreign)

    async def names(self) -> tuple[str, ...]:
        """See `Journal.names`; sorted."""
        found: list[str] = []
        folders = [""]
        while folders:
            folder = folders.pop()
            for key in await self._kv.list(self._place(folder.rstrip("/")) if folder else self._folder):
                (folders if key.endswith("/") else found).append(folder + key)
        return tuple(sorted(found))

    async def meta(self) -> Installation:
        """The installation's own document, made by whoever comes first. Raises Refused when it is unreadable."""
        read = await self._kv.read(self._meta, strong=True)
        if read.version == 0:
            with suppress(Conflict):  # another instance was first
                await self._kv.write(self._meta, _new_installation(), cas=0)
            read = await self._kv.read(self._meta, strong=True)
        if read.deleted:
            raise Refused(f"{self._meta} was deleted; undelete it: every name we minted under contains its lineage")
        return _installation(read.values or {}, self._meta)

    def _place(self, name: str) -> Place:
        return Place(self._folder.mount, f"{self._folder.path}/{name}")


def _new_installation() -> dict[str, object]:
    return {
        "schema": str(document.SCHEMA),
        "lineage": secrets.token_hex(3),
        "fingerprint_key": base64.b64encode(secrets.token_bytes(32)).decode(),
        "nonce": secrets.token_urlsafe(16),
    }


def _installation(values: Mapping[str, object], place: Place) -> Installation:
    schema, lineage, key = (values.get(name) for name in ("schema", "lineage", "fingerprint_key"))
    if isinstance(schema, str) and schema.isdecimal() and int(schema) > document.SCHEMA:
        raise Refused(f"{place} was written by a newer rotator (schema {int(schema)}): read-only here")
    try:
        raw = base64.b64decode(key, validate=True) if isinstance(key, str) else b""
    except binascii.Error:
        raw = b""
    if not isinstance(lineage, str) or len(lineage) != 6 or len(raw) != 32:
        raise Refused(f"{place} cannot be read: `lineage` or `fingerprint_key` is damaged")
    return Installation(lineage, raw)
