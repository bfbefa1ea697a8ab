"""Owns what happened to a credential: from the receipts where they are kept, else from its journal's older versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio

from rotator import logs
from rotator.app import reading
from rotator.host.files import opened as regular
from rotator.receipts import parse
from rotator.rotation.record import Record
from rotator.rotation.standing import stands
from rotator.settings import Settings
from rotator.settings.faults import WrongValueError, suggest
from rotator.settings.values import name as read_name


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened, or a state that was reached, in a sentence. `by`: which daemon or shell did it."""

    at: datetime
    rotation: int
    said: str
    by: str = ""


async def past(settings: Settings, name: str) -> tuple[list[Moment], str]:
    """The oldest first, and where it is from. Raises Transient or Refused."""
    said = "[audit] file keeps all of it"
    if settings.audit.file and await anyio.Path(settings.audit.file).exists():
        try:
            return list(_receipts(Path(settings.audit.file), name)), f"the receipts in {settings.audit.file}"
        except OSError as fault:
            said = f"the receipts in {settings.audit.file} cannot be read: {fault.strerror}"
    logs.configure("error", json=None)
    async with reading(settings) as app:
        versions = await app.journal.versions(name)
    return list(_states(versions)), f"the versions of its journal that Vault still has; {said}"


def known(settings: Settings, name: str) -> str:
    """What is wrong with the name, or nothing: one that left the settings may still have a past."""
    if name in settings.credentials:
        return ""
    try:
        read_name(name)
    except WrongValueError as fault:
        return str(fault)
    return ""


def nothing(settings: Settings, name: str, source: str) -> str:
    """What to say of a name of which there is no past; nothing when settings have it, as it may be new."""
    if name in settings.credentials:
        return ""
    said = f"no credential is called {name!r}, nor is there anything of it in {source}"
    return f"{said}; {suggest(name, settings.credentials)}"


def _receipts(path: Path, name: str) -> Iterator[Moment]:
    with regular(path) as lines:
        for line in lines:
            receipt = parse(line)
            if receipt is None or receipt.get("credential") != name:
                continue
            try:
                yield _moment(receipt)
            except (AttributeError, KeyError, TypeError, ValueError):  # `rotate receipts verify` says where it is
                yield Moment(datetime.fromtimestamp(0, UTC), 0, f"receipt {receipt['n']} cannot be read")


def _moment(receipt: Mapping[str, Any]) -> Moment:
    rotation, said = receipt.get("detail", {}).get("rotation", 0), str(receipt["said"])
    by = str(receipt.get("asked_by") or "")
    asked = f", asked by {by}" if _begins(receipt["event"]) and by not in said else ""
    at = datetime.fromisoformat(receipt["at"])
    return Moment(at.replace(tzinfo=at.tzinfo or UTC), rotation, said + asked, str(receipt["by"]))


def _begins(event: object) -> bool:
    return event == "rotation.requested"


def _states(versions: list[tuple[datetime, Record, str]]) -> Iterator[Moment]:
    last = ""
    for at, record, holder in versions:
        said = stands(record, at)
        if said != last:
            yield Moment(at, record.rotation, said, holder)
        last = said
