"""A survey of every record and every configured path, from which the owner of any token is known."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping

import anyio

from rotator.ports import Fault, Installation, Journal, SecretStore, Transient
from rotator.rotation.credential import Credential
from rotator.rotation.ownership import PathContent, TokenOwners
from rotator.rotation.record import Record
from rotator.rotation.token_names import family, stem

_AT_ONCE = 8  # reads; the session with Vault has as many threads
Each = Callable[[Iterable[str], Callable[[str], Awaitable[None]]], Awaitable[None]]


async def survey(
    journal: Journal,
    store: SecretStore,
    installation: Installation,
    credentials: Mapping[str, Credential],
    each: Each | None = None,
) -> TokenOwners:
    """Read everything. Call it after the tokens were listed: a record read before a listing cannot judge its tokens.

    `each` runs a function for all names; None: some at once. Raises Transient, and any fault of listing the journal,
    because an incomplete survey cannot tell owners.
    """
    unreadable: dict[str, str] = {}
    records: dict[str, Record] = {}
    paths: list[PathContent] = []

    def doubt(name: str, reason: str) -> None:
        unreadable[stem(installation.prefix, installation.lineage, name, "").rstrip("-")] = reason

    async def one(name: str) -> None:
        try:
            record = (await journal.load(name)).record
            if record is not None:
                records[name] = record
            if (credential := credentials.get(name)) is None:
                return
            content = await _content(store, installation, credential, record)
        except Transient:
            raise
        except Fault as fault:
            doubt(name, fault.reason)
            return
        if content is None:
            return
        paths.append(content)
        if not content.provider_id and not (record and record.current and record.current.place == content.place):
            doubt(name, f"{content.place} holds a value, and nothing says which token it is of")

    await (each or _each)(sorted({*credentials, *await journal.names()}), one)
    configured = {name: record for name, record in records.items() if name in credentials}
    left = {name: record for name, record in records.items() if name not in credentials}
    return TokenOwners(configured, left, paths, family(installation.prefix, installation.lineage), unreadable)


async def left_behind(journal: Journal, credentials: Iterable[str]) -> tuple[dict[str, Record], dict[str, str]]:
    """The records of credentials that left the settings; and of those that cannot be read, why."""
    records: dict[str, Record] = {}
    unreadable: dict[str, str] = {}

    async def one(name: str) -> None:
        try:
            record = (await journal.load(name)).record
        except Transient:
            raise
        except Fault as fault:
            unreadable[name] = fault.reason
        else:
            if record is not None:
                records[name] = record

    await _each(sorted(set(await journal.names()) - set(credentials)), one)
    return records, unreadable


async def _content(
    store: SecretStore, installation: Installation, credential: Credential, record: Record | None
) -> PathContent | None:
    """What its path holds; None when that is nothing."""
    doc = await store.read(credential.place, strong=True)
    if doc.deleted or not doc.values:
        return None
    published = (*record.published, record.retired) if record else ()
    keys = {credential.key, *(each.key for each in published if each)}
    values = [secret for key in keys if (secret := doc.secret(key))]
    prints = frozenset(value.fingerprint(installation.fingerprint_key) for value in values)
    said = doc.text("provider_id")
    return PathContent(credential.name, credential.place, said, prints, doc.written_at, credential.retire.after)


async def _each(names: Iterable[str], work: Callable[[str], Awaitable[None]]) -> None:
    """All of them, some at once. Raises the first fault as it is."""
    places = anyio.CapacityLimiter(_AT_ONCE)
    faults: list[Fault] = []

    async def one(name: str) -> None:
        async with places:
            if faults:
                return
            try:
                await work(name)
            except Fault as fault:
                faults.append(fault)

    async with anyio.create_task_group() as group:
        for name in names:
            group.start_soon(one, name)
    if faults:
        raise faults[0]
