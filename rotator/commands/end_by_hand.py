"""What a person can end at the target while Vault is away, and nothing may happen that is not journalled."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from rotator.host.files import opened as regular
from rotator.host.threads import within
from rotator.observe.receipts import parse
from rotator.providers import kind_of
from rotator.rotation.record import Record
from rotator.settings import Settings

AFTER = 3.0  # seconds for which Vault is away before it is said: a leader is found sooner, and costs consumers nothing
_DISK = 2.0  # seconds for the receipts
_FILES = 10  # of receipts, the newest first
_NOBODY = (
    "nobody here knows which token that is: end the newest whose name begins with `{prefix}-` and has `{slug}` in it, "
    "and all before it; `[audit] file` would have told"
)
_AWAY = "nothing may be begun while Vault is away. By hand"
_LOCKED_OUT = (
    "nothing may be begun before Vault lets us: mend that first, which costs consumers nothing. Should it take too "
    "long, by hand"
)

Known = tuple[str, list[tuple[str, str]]]  # since when, empty: now; tokens and their targets


def instructions(
    settings: Settings, names: Iterable[str], records: Mapping[str, Record], *, locked_out: bool = False
) -> list[str]:
    """For each name, what to end and how. `records`: as they were last seen; else the receipts of this host tell.

    `locked_out`: Vault is there, and refuses us.
    """
    names = list(names)
    known = {name: _remembered(each) for name, each in records.items()}
    if (unknown := [name for name in names if name not in known]) and settings.audit.file:
        with suppress(OSError):  # the same as no receipts: what is said then helps as far as it goes
            known |= within(_DISK, partial(_received, Path(settings.audit.file), unknown))
    begin = _LOCKED_OUT if locked_out else _AWAY
    return [f"{name}: {begin}, {_said(settings, name, *known.get(name, ('', [])))}" for name in names]


def _remembered(record: Record) -> Known:
    return "", [(each.token.id, each.target) for each in (record.current, record.predecessor) if each]


def _received(file: Path, names: Iterable[str]) -> dict[str, Known]:
    """By the newest receipt of each, also in files that logrotate has put away. Raises OSError."""
    found: dict[str, Known] = {}
    wanted = set(names)
    for path in (file, *_put_away(file)):
        last = {name: each for each in _receipts(path) if (name := str(each.get("credential"))) in wanted}
        for name, receipt in last.items():
            target = str(receipt.get("target"))
            held = [each for role in ("current", "predecessor") if isinstance(each := receipt.get(role), dict)]
            since = f"{str(receipt.get('at'))[:19].replace('T', ' ')}Z"
            found[name] = since, [(str(each.get("id")), target) for each in held]
        if not (wanted := wanted - found.keys()):
            break
    return found


def _put_away(file: Path) -> list[Path]:
    """The newest first: receipts.jsonl.1, receipts.jsonl-20261130.gz."""
    beside = [each for each in file.parent.glob(f"{file.name}[.-]*") if each.is_file()]
    return sorted(beside, key=lambda each: each.stat().st_mtime, reverse=True)[:_FILES]


def _receipts(path: Path) -> Iterator[Mapping[str, Any]]:
    if path.is_file():
        with regular(path) as plain, gzip.open(plain) if path.suffix == ".gz" else plain as lines:
            yield from filter(None, map(parse, lines))


def _said(settings: Settings, name: str, since: str, tokens: list[tuple[str, str]]) -> str:
    credential = settings.credentials[name]
    kind = kind_of(credential.kind)
    if not tokens:
        slug = name.lower().replace("/", "-")
        nobody = _NOBODY.format(prefix=settings.daemon.name_prefix, slug=slug)
        return f"at target {credential.target}: {nobody}"
    told = []
    for token, target in tokens:
        known = settings.targets.get(target)
        url = known.config.url.rstrip("/") if known else target
        told.append(f"end {token} at target {target}: {kind.end_by_hand.format(id=token, url=url)}")
    if since:
        told.append(f"so the receipts of this host knew it at {since}; another host may have made a newer one since")
    minter = settings.targets[credential.target].minter
    mints = (
        "; it mints its own successor, so a person has to bring the next one" if minter and minter.self_minting else ""
    )
    after = "once Vault is back, `rotate revoke` finds it dead and publishes a new value at once"
    return f"{'; '.join(told)}{mints}. Consumers are refused from then on; {after}"
