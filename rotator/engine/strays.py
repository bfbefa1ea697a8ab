"""Tokens on targets, compared with the records: strays, their search and their end, and the owner of every token."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

import anyio

from rotator.engine.context import Dependencies
from rotator.engine.reconciler import Reconciler
from rotator.ports import Fault, Installation, Journal, MinterRefused, SecretStore, Transient
from rotator.rotation import events as ev
from rotator.rotation.credential import Credential
from rotator.rotation.observation import Observation
from rotator.rotation.ownership import PathContent, TokenOwners, is_stray
from rotator.rotation.procedures import operators
from rotator.rotation.procedures.calls import Procedure
from rotator.rotation.record import Record, Token
from rotator.rotation.token_names import family, parse, stem

Reap = Callable[[Credential, Token], Awaitable[bool]]  # revokes it if it is still a stray; returns whether it did
_AT_ONCE = 8  # reads; the session with Vault has as many threads
Each = Callable[[Iterable[str], Callable[[str], Awaitable[None]]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What a sweep found. `unclaimed`: tokens of this installation whose credential is not in the settings.

    `skipped`: credentials that could not be checked, and why. Their tokens count as unclaimed.
    """

    strays: tuple[Token, ...]
    reaped: tuple[str, ...]
    unclaimed: tuple[Token, ...]
    records: tuple[Record, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)


async def sweep(
    tokens: tuple[Token, ...],
    credentials: Mapping[str, Credential],
    journal: Journal,
    *,
    remembered: Mapping[str, Record],
    reap: Reap | None,
) -> SweepResult:
    """Find strays in a listing. Records are read **after** it, so a token with an older number can only be a stray.

    A remembered record may show that a token is no stray; only a fresh one may show that it is. `reap` None: only look.
    Raises Transient and MinterRefused; any other fault skips its credential.
    """
    listed = defaultdict(list)
    for token in tokens:
        if parsed := parse(token.name):
            listed[parsed.stem].append(token)
    strays: list[Token] = []
    records: list[Record] = []
    reaped: list[str] = []
    skipped: dict[str, str] = {}
    for name, credential in credentials.items():
        try:
            record = remembered.get(name)
            if record is None or any(is_stray(record, token) for token in listed[record.stem]):
                record = (await journal.load(name)).record
            if record is None:
                continue
            records.append(record)
            found = [token for token in listed.pop(record.stem, ()) if is_stray(record, token)]
            strays += found
            if reap:
                await _reap(reap, credential, found, reaped)
        except (Transient, MinterRefused):
            raise
        except Fault as fault:
            skipped[name] = fault.reason
    unclaimed = tuple(token for each in listed.values() for token in each)
    return SweepResult(tuple(strays), tuple(reaped), unclaimed, tuple(records), skipped)


async def _reap(reap: Reap, credential: Credential, strays: list[Token], reaped: list[str]) -> None:
    """Reap one by one, each as an event of its own."""
    for token in strays:
        if await reap(credential, token):
            reaped.append(token.id)  # noqa: PERF401 (what was ended before a fault stays in the list)


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


async def reap(
    reconciler: Reconciler, credential: Credential, dependencies: Dependencies, token: Token, by: str = ""
) -> bool:
    """Revoke a token if it is still a stray by its record and no path publishes it. Returns whether it was revoked."""
    change, events = _noted(operators.reap(token, by))
    await reconciler.obey(credential, dependencies, change, effect=True)
    return any(events)


async def disown(
    reconciler: Reconciler,
    credential: Credential,
    dependencies: Dependencies,
    token: Token,
    by: str,
    *,
    journalled: bool,
) -> bool:
    """Revoke a token of a credential outside the settings, unless a configured path publishes it.

    Returns whether it was revoked. `journalled`: the credential that it was minted for has a record.
    """
    change, events = _noted(operators.disown(token, by))
    if journalled:
        await reconciler.obey(credential, dependencies, change, effect=True)
    else:
        await reconciler.obey_unrecorded(credential, dependencies, change)
    return any(events)


def _noted(change: operators.RecordChange) -> tuple[operators.RecordChange, list[ev.Event | None]]:
    """The same change, and the list that will have its event."""
    events: list[ev.Event | None] = []

    def noted(seen: Observation, record: Record) -> Procedure[ev.Event | None]:
        events.append(event := (yield from change(seen, record)))
        return event

    return noted, events
