"""The search for strays over a whole target: one listing, then the records it calls into question."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from rotator.ports import Fault, Journal, MinterRefused, Transient
from rotator.rotation.credential import Credential
from rotator.rotation.ownership import is_stray
from rotator.rotation.record import Record, Token
from rotator.rotation.token_names import parse

Reap = Callable[[Credential, Token], Awaitable[bool]]  # revokes it if it is a stray still; whether it did


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What a sweep found. `unclaimed`: marked tokens of this installation that no credential in the settings claims.

    `skipped`: credentials that could not be judged or cleared, and why; what is theirs counts as unclaimed.
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
    """Judge a listing. Records are read **after** it: a number older than a later record's can only be a stray's.

    A record we remember is good enough to clear a token, never to condemn one. `reap` None: only look. Raises
    Transient and MinterRefused; any other fault skips the one credential it is about.
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
    """One by one, each an event of its own."""
    for token in strays:
        if await reap(credential, token):
            reaped.append(token.id)  # noqa: PERF401 (what was ended before a fault stays noted)
