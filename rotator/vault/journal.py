"""The journal in Vault: one document per credential, and one about the installation."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from rotator.ports import Conflict, Document, Entry, Installation, Lease, Refused, StoreRefused
from rotator.rotation.credential import VaultPath
from rotator.rotation.record import Record
from rotator.vault import journal_codec
from rotator.vault.kv import Kv, undelete

MOST = 100  # versions that are read for a history
DEEPEST = 64  # folders: a credential's name has 128 characters at most


class VaultJournal:
    """The Journal port below `<mount>/<prefix>/journal/`. Names may contain slashes."""

    def __init__(self, kv: Kv, mount: str, prefix: str) -> None:
        self._kv = kv
        self._folder = VaultPath(mount, f"{prefix}/journal")
        self._meta = VaultPath(mount, f"{prefix}/meta")

    async def load(self, name: str) -> Entry:
        """See `Journal.load`. A journal that a person deleted is Refused, too: we do not begin a new history."""
        read = await self._kv.read(self._place(name), strong=True)
        if read.deleted:
            raise Refused(
                f"the journal of {name} was deleted (version {read.version}); undelete it, "
                "or delete its metadata as well to let the credential begin anew"
            )
        if read.version == 0:
            return Entry(name, 0, None, server_time=self._kv.session.server_time)
        entry = journal_codec.decode(name, read.version, read.values or {}, self._kv.session.server_time)
        return replace(entry, written_at=read.written_at, vanishes_at=read.vanishes_at)

    async def versions(self, name: str) -> list[tuple[datetime, Record, str]]:
        """The versions that Vault still has, oldest first: time of writing, record, holder of the lease.

        Vault keeps ten versions unless told otherwise. A version that cannot be read is left out.
        """
        newest = (await self._kv.read(self._place(name), strong=True)).version
        found = []
        for number in range(max(1, newest - MOST + 1), newest + 1):
            read = await self._kv.read(self._place(name), version=number)
            with suppress(Refused):
                entry = journal_codec.decode(name, number, read.values or {})
                if entry.record and read.written_at:
                    found.append((read.written_at, entry.record, entry.lease.holder))
        return found

    async def save(self, over: Entry, record: Record, lease: Lease) -> Entry:
        """See `Journal.save`. After a lost answer, the nonce shows whether the write was ours."""
        values = journal_codec.encode(record, lease, secrets.token_urlsafe(16), over.foreign)
        version = await self._kv.write(self._place(over.name), values, cas=over.version)
        return Entry(over.name, version, record, lease, self._kv.session.server_time, over.foreign)

    async def names(self) -> tuple[str, ...]:
        """See `Journal.names`; sorted."""
        found: list[str] = []
        folders = [""]
        while folders:
            folder = folders.pop()
            if folder.count("/") > DEEPEST:
                raise Refused(f"the folders below {self._folder} have no end")
            for key in await self._kv.list(self._place(folder.rstrip("/")) if folder else self._folder):
                (folders if key.endswith("/") else found).append(folder + key)
        return tuple(sorted(found))

    async def meta(self) -> Installation:
        """The document about the installation; created when absent. Raises Refused when it is unreadable."""
        read = await self._kv.read(self._meta, strong=True)
        if read.version == 0:
            read = await self._founded()
        if read.deleted:
            raise Refused(f"{self._meta} was deleted; undelete it: every name we minted under contains its lineage")
        if read.vanishes_at:
            raise Refused(
                f"{self._meta} vanishes at {read.vanishes_at:%F %T}Z (delete_version_after), and nothing would start"
                f" after that; set it to 0s on the mount and on this document, then keep the version that there is:"
                f" {undelete(self._meta, read.version)}"
            )
        return _installation(read.values or {}, self._meta)

    async def _founded(self) -> Document:
        """Try to create the document, and read it.

        The second process gets a conflict, or a 403 where the policy forbids overwriting: Vault demands the right
        `update` for a document that exists before it compares versions (OpenBao 2.7.2).
        """
        denied: StoreRefused | None = None
        try:
            await self._kv.write(self._meta, _new_installation(), cas=0)
        except Conflict:
            pass
        except StoreRefused as fault:
            denied = fault
        read = await self._kv.read(self._meta, strong=True)
        if denied and read.version == 0:
            raise StoreRefused(
                f"{self._meta} cannot be made: {denied.reason}; where somebody has written its metadata before, Vault"
                f" asks for `update`, which nobody needs otherwise: `bao kv metadata delete -mount={self._meta.mount}"
                f" {self._meta.path}`"
            )
        return read

    def _place(self, name: str) -> VaultPath:
        return VaultPath(self._folder.mount, f"{self._folder.path}/{name}")


class UnwrittenJournal(VaultJournal):
    """A journal for processes that only read."""

    async def save(self, over: Entry, record: Record, lease: Lease) -> Entry:
        """Raises Refused."""
        raise Refused("this command only looks: it changes no record")


def _new_installation() -> dict[str, object]:
    return {
        "schema": str(journal_codec.SCHEMA),
        "lineage": secrets.token_hex(3),
        "fingerprint_key": base64.b64encode(secrets.token_bytes(32)).decode(),
        "nonce": secrets.token_urlsafe(16),
    }


def _installation(values: Mapping[str, object], place: VaultPath) -> Installation:
    schema, lineage, key = (values.get(name) for name in ("schema", "lineage", "fingerprint_key"))
    if isinstance(schema, str) and schema.isdecimal() and journal_codec.is_newer(schema):
        raise Refused(f"{place} was written by a newer rotator (schema {schema[:9]}): read-only here")
    try:
        raw = base64.b64decode(key, validate=True) if isinstance(key, str) else b""
    except ValueError:  # not base64, or not even ASCII
        raw = b""
    if not isinstance(lineage, str) or len(lineage) != 6 or len(raw) != 32:
        raise Refused(f"{place} cannot be read: `lineage` or `fingerprint_key` is damaged")
    return Installation(lineage, raw)
