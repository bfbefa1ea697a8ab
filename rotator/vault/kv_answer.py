"""What the answers of a KV version 2 engine mean; asking, and asking again, is kv.py's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rotator.ports import Document, Refused, Transient
from rotator.rotation.credential import VaultPath
from rotator.vault.answer import VaultResponse

_NUMBERS_END = 2**53  # no version comes near it


def document(place: VaultPath, answer: VaultResponse) -> Document:
    """Shapes seen on OpenBao 2.7.2; a 404 with a body is a version that was deleted or destroyed."""
    section = answer.section("data")
    if answer.status == 404:
        if section:
            return Document(_version(answer.section("data", "metadata"), place), deleted=True)
        if answer.body.get("errors") == []:
            return Document(0)
        raise Refused(f"there is no secrets engine at {place.mount}")
    if not isinstance(section.get("data"), Mapping):
        raise Transient(f"the answer for {place} holds no document")
    version = _version(answer.section("data", "metadata"), place)
    written, vanishes = _instant(answer, "created_time"), _instant(answer, "deletion_time")
    return Document(version, answer.section("data", "data"), written_at=written, vanishes_at=vanishes)


def undelete(place: VaultPath, version: int) -> str:
    """What a person types to keep a version that Vault would delete by itself, or has."""
    return f"bao kv undelete -mount={place.mount} -versions={version} {place.path}"


def _instant(answer: VaultResponse, key: str) -> datetime | None:
    """A time by Vault's clock; it tells nanoseconds, of which Python keeps six digits."""
    told = answer.section("data", "metadata").get(key)
    try:
        read = datetime.fromisoformat(told) if isinstance(told, str) else None
    except ValueError:
        return None
    return read if read is not None and read.tzinfo else None


def written(answer: VaultResponse, place: VaultPath, cas: int) -> int:
    """The version of a write; with check-and-set there is but one that it can have."""
    version = _version(answer.section("data"), place)
    if version != cas + 1:
        raise Transient(f"a write over version {cas} of {place} cannot have become version {version}")
    return version


def names(answer: VaultResponse) -> tuple[str, ...]:
    """The names in a listing."""
    keys = answer.section("data").get("keys")  # an empty folder is a 404
    if not isinstance(keys, list) or not all(isinstance(key, str) and key for key in keys):
        raise Transient("the answer is no list of names")
    return tuple(keys)


def _version(metadata: Mapping[str, Any], place: VaultPath) -> int:
    """KV version 1 accepts our writes (204), ignores check-and-set, and knows no versions: that is how it shows."""
    version = metadata.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or not 0 < version < _NUMBERS_END:
        raise Refused(f"{place.mount} is not a KV version 2 engine: its answer carries no version")
    return version
