"""The chain of receipts: making its lines, and verifying it offline from the bytes of the lines alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

START = "0" * 64  # the hash in the first line
TORN = "receipts.torn"  # a crash cut the line before; `whole` is the hash of the last whole line
LARGEST = 64 * 1024  # bytes of a line


@dataclass(frozen=True, slots=True)
class Link:
    """The end of a chain: how many lines, and the hash of the last."""

    number: int = 0
    head: str = START


@dataclass(frozen=True, slots=True)
class ChainFault:
    """A fault in the chain. `line` counts from 1 within its file."""

    file: str
    line: int
    said: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.said}"


@dataclass(slots=True)
class ChainVerdict:
    """The result of verifying a chain."""

    findings: list[ChainFault] = field(default_factory=list)
    end: Link = Link()
    torn: int = 0
    noted: bool = False  # the noted head was found


def digest(line: bytes) -> str:
    """The hash of a line, without its newline."""
    return hashlib.sha256(line).hexdigest()


def parse(line: bytes) -> dict[str, Any] | None:
    """The receipt in a line; None when there is none."""
    try:
        receipt = json.loads(line)
    except (ValueError, RecursionError):
        return None
    sound = isinstance(receipt, dict) and type(receipt.get("n")) is int and isinstance(receipt.get("previous"), str)
    return receipt if sound else None


def seal(link: Link, content: dict[str, Any]) -> tuple[bytes, Link]:
    """The next line of the chain, without its newline, and the new end."""
    receipt = {"n": link.number + 1, "previous": link.head, **content}
    line = _written(receipt)
    for longest in _CLIPS:
        if len(line) <= LARGEST:
            break
        line = _written({key: _clipped(each, longest) for key, each in receipt.items()})
    return line, Link(link.number + 1, digest(line))


_CLIPS = (2000, 200, 40)  # characters of a text, in a line that would otherwise exceed the limit


def _written(receipt: Mapping[str, Any]) -> bytes:
    return json.dumps(receipt, ensure_ascii=True, separators=(",", ":")).encode()


def _clipped(value: Any, longest: int) -> Any:
    """Shorten long texts. The hash of the line before has 64 characters and is never shortened."""
    if isinstance(value, dict):
        return {key: _clipped(each, longest) for key, each in value.items()}
    if isinstance(value, str) and len(value) > max(longest, len(START)):
        return f"{value[:longest]} [{len(value) - longest} characters more]"
    return value


def verify(files: Iterable[tuple[str, Iterable[bytes]]], *, noted: str = "", after: str = "") -> ChainVerdict:
    """Verify one chain through its files, the oldest first. `noted`: a head that was noted elsewhere.

    `after`: the head that the first file follows, where earlier ones are gone.
    """
    verdict = ChainVerdict(noted=noted in ("", START))
    torn: _Torn | None = None
    for name, lines in files:
        torn = _follow(verdict, name, lines, noted, torn, after)
    if torn is not None:
        said = "is cut short; the daemon answers for it when it starts again"
        verdict.findings.append(ChainFault(torn.file, torn.line, said))
    return verdict


@dataclass(frozen=True, slots=True)
class _Torn:
    """A line that is not a receipt, and the end before it."""

    file: str
    line: int
    before: Link


def _follow(
    verdict: ChainVerdict, name: str, lines: Iterable[bytes], noted: str, torn: _Torn | None, after: str
) -> _Torn | None:
    for number, raw in enumerate(lines, 1):
        line = raw.rstrip(b"\n")
        mark, receipt = digest(line), parse(line)
        if verdict.end == Link() and receipt is not None and after and receipt["previous"] == after:
            verdict.end = Link(receipt["n"] - 1, after)
        before = verdict.end
        if torn is not None:
            verdict.torn += 1
            if torn.file != name and receipt is not None and receipt["previous"] == torn.before.head:
                before = torn.before  # the file was rotated away before the next line was written
            elif not _mends(receipt, torn.before):
                said = "is not a receipt, and no later line answers for it"
                verdict.findings.append(ChainFault(torn.file, torn.line, said))
            torn = None
        if receipt is None:
            torn = _Torn(name, number, before)
            verdict.end = Link(before.number + 1, mark)
        else:
            verdict.findings += (ChainFault(name, number, said) for said in _faults(receipt, before))
            verdict.end = Link(receipt["n"], mark)
        verdict.noted = verdict.noted or mark == noted
    return torn


def _mends(receipt: dict[str, Any] | None, before: Link) -> bool:
    return receipt is not None and receipt.get("event") == TORN and receipt.get("whole") == before.head


def _faults(receipt: dict[str, Any], before: Link) -> Iterator[str]:
    if before == Link() and receipt["n"] > 1:
        yield f"is receipt {receipt['n']}: name the earlier files, too, the oldest first, or --after the head before it"
    elif receipt["previous"] != before.head:
        yield "does not follow from the line before it: something was changed, removed, added or moved here or above"
    elif receipt["n"] != before.number + 1:
        yield f"is numbered {receipt['n']} after {before.number}"
