"""The document about the whole installation: pauses of all, or of all with a label."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import msgspec

from rotator.ports import Refused
from rotator.rotation.credential import VaultPath
from rotator.rotation.fleet_pause import FleetPause, FleetPauses
from rotator.rotation.pause import on_at
from rotator.vault import journal_codec
from rotator.vault.kv import Kv
from rotator.vault.kv_answer import undelete

_OURS = ("schema", "nonce", "pauses")


class _Document(msgspec.Struct):
    pauses: tuple[FleetPause, ...] = ()


class VaultFleet:
    """`<mount>/<prefix>/fleet`, written with check-and-set. Keys in it that we do not know are kept."""

    def __init__(self, kv: Kv, mount: str, prefix: str) -> None:
        self._kv = kv
        self.place = VaultPath(mount, f"{prefix}/fleet")

    async def pauses(self) -> FleetPauses:
        """What is paused now. Raises Refused when it cannot be read: then nobody knows, and nothing begins."""
        return (await self._read())[1]

    async def change(self, change: Callable[[FleetPauses], FleetPauses]) -> FleetPauses:
        """Write what is paused from now on. Raises Conflict when somebody else wrote at the same moment, Refused, with
        the change in force, when it would end by itself.
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
