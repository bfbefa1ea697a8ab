"""The search for strays at a whole target: one listing, then the records of the listed tokens."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from rotator.ports import Fault, Journal, MinterRefused, Transient
from rotator.rotation.credential import Credential
from rotator.rotation.ownership import is_stray
from rotator.rotation.record import Record, Token
from rotator.rotation.token_names import parse

Reap = Callable[[Credential, Token], Awaitable[bool]]  # revokes it if it is still a stray; returns whether it did


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
