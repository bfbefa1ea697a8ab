"""The history of a credential: from the receipts of this host, and older versions of its journal document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from rotator.app.composition import reading
from rotator.host.files import opened as regular
from rotator.host.threads import BoundedCalls, first_exception
from rotator.observe import logs
from rotator.observe.receipts import parse
from rotator.ports import Fault, Transient
from rotator.rotation.explanation import stands
from rotator.rotation.record import Record
from rotator.settings import Settings
from rotator.settings.parsers import WrongValueError, suggest
from rotator.settings.parsers import name as read_name

_PATIENCE = 30.0  # seconds for the file of receipts


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """An event or a reached state, in a sentence. `by`: the daemon or command that did it."""

    at: datetime
    rotation: int
    said: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class History:
    """Entries, oldest first, and their source. `wrong`: what is wrong with the name."""

    entries: list[HistoryEntry]
    source: str
    wrong: str = ""


Version = tuple[datetime, Record, str]
Versions = Callable[[], Awaitable[Sequence[Version]]]


async def history(settings: Settings, name: str, versions: Versions) -> History:
    """The history, or what is wrong with the name. `versions`: of its journal document. Raises Transient or Refused if
    there are no receipts of it."""
    if wrong := known(settings, name):
        return History([], "", wrong)
    entries, source = await past(settings, name, versions)
    return History(entries, source, "" if entries else nothing(settings, name, source))


async def history_alone(settings: Settings, name: str) -> History:
    """The history without a daemon."""

    async def versions() -> Sequence[Version]:
        logs.configure("error", json=None)
        async with reading(settings) as actor:
            return await actor.journal.versions(name)

    return await history(settings, name, versions)


async def past(settings: Settings, name: str, versions: Versions) -> tuple[list[HistoryEntry], str]:
    """Entries, oldest first, and their source. Raises Transient or Refused if there are no receipts of it.

    Receipts end where logrotate began a new file, and have only what this host did.
    """
    file, receipts, said = settings.audit.file, list[HistoryEntry](), "[audit] file keeps all of it"
    if file:
        try:
            found = await BoundedCalls(f"the receipts in {file}", _PATIENCE).run(partial(_read, Path(file), name))
            if found is not None:
                receipts = found
                said = "" if receipts else f"the receipts in {file} tell nothing of it; earlier files of them may"
        except OSError as fault:
            said = f"the receipts in {file} cannot be read: {fault.strerror}"
        except Transient as fault:
            said = fault.reason
    missed: BaseException | None = None
    kept: Sequence[Version] = ()
    try:
        kept = await versions()
    except* Fault as faults:
        missed = first_exception(faults)
    if missed and not receipts:
        raise missed
    if missed:
        return (
            receipts,
            f"the receipts in {file}; Vault cannot be read, so what only its journal tells is not shown: {missed}",
        )
    if not receipts:
        return list(_states(kept)), f"the versions of its journal that Vault still has; {said}"
    more = list(_states(_untold(kept, receipts)))
    from_journal = f", and {len(more)} of versions of its journal" if more else ""
    return sorted([*receipts, *more], key=lambda each: each.at), f"the receipts in {file}{from_journal}"


def _untold(versions: Iterable[Version], receipts: Sequence[HistoryEntry]) -> list[Version]:
    """Versions written before the first receipt, or by other hosts."""
    ours = {"", *(each.by for each in receipts)}
    return [each for each in versions if each[0] < receipts[0].at or each[2] not in ours]


def known(settings: Settings, name: str) -> str:
    """The objection to the name, or "". A name that left the settings may still have a history."""
    if name in settings.credentials:
        return ""
    try:
        read_name(name)
    except WrongValueError as fault:
        return str(fault)
    return ""


def nothing(settings: Settings, name: str, source: str) -> str:
    """The sentence about a name without history; "" if settings have it, as it may be new."""
    if name in settings.credentials:
        return ""
    said = f"no credential is called {name!r}, nor is there anything of it in {source}"
    return f"{said}; {suggest(name, settings.credentials)}"


def _read(path: Path, name: str) -> list[HistoryEntry] | None:
    """None: there is no such file."""
    return list(_receipts(path, name)) if path.exists() else None


def _receipts(path: Path, name: str) -> Iterator[HistoryEntry]:
    with regular(path) as lines:
        for line in lines:
            receipt = parse(line)
            if receipt is None or receipt.get("credential") != name:
                continue
            try:
                yield _moment(receipt)
            except (AttributeError, KeyError, TypeError, ValueError):  # `rotate receipts verify` finds it
                yield HistoryEntry(datetime.fromtimestamp(0, UTC), 0, f"receipt {receipt['n']} cannot be read")


def _moment(receipt: Mapping[str, Any]) -> HistoryEntry:
    rotation, said = receipt.get("detail", {}).get("rotation", 0), str(receipt["said"])
    by = str(receipt.get("asked_by") or "")
    asked = f", asked by {by}" if _begins(receipt["event"]) and by not in said else ""
    at = datetime.fromisoformat(receipt["at"])
    return HistoryEntry(at.replace(tzinfo=at.tzinfo or UTC), rotation, said + asked, str(receipt["by"]))


def _begins(event: object) -> bool:
    return event == "rotation.requested"


def _states(versions: Iterable[Version]) -> Iterator[HistoryEntry]:
    last = ""
    for at, record, holder in versions:
        said = stands(record, at)
        if said != last:
            yield HistoryEntry(at, record.rotation, said, holder)
        last = said
