"""The file of receipts and its chain: appending to it under a lock, and verifying it offline.

The file is never rewritten, and its end is checked. Processes of one host may share it; the lock is never waited for.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

START = "0" * 64  # the hash in the first line
TORN = "receipts.torn"  # a crash cut the line before; `whole` is the hash of the last whole line
LARGEST = 64 * 1024  # bytes of a line
EVIDENCE = (
    "something else wrote to the file, or changed it: keep it as evidence (`rotate receipts verify` tells more)"
    " and name a fresh one in [audit] file"
)


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


def flaw(line: bytes) -> str:
    """Why a line is not a receipt, in words."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return "is not a receipt, and not even JSON"
    if not isinstance(found, dict):
        return "is JSON, but not a receipt: it is no object"
    lacks = "`n`, a whole number" if type(found.get("n")) is not int else "`previous`, the hash of the line before"
    return f"is JSON, but not a receipt: it lacks {lacks}"


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
        said = (
            "is cut short; the daemon answers for it when it starts again" if torn.cut else f"{torn.said}; {EVIDENCE}"
        )
        verdict.findings.append(ChainFault(torn.file, torn.line, said))
    return verdict


@dataclass(frozen=True, slots=True)
class _Torn:
    """A line that is not a receipt, and the end before it."""

    file: str
    line: int
    before: Link
    said: str
    cut: bool  # it has no end, as after a crash


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
                said = f"{torn.said}, and no later line answers for it"
                verdict.findings.append(ChainFault(torn.file, torn.line, said))
            torn = None
        if receipt is None:
            torn = _Torn(name, number, before, flaw(line), cut=not raw.endswith(b"\n"))
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


class ReceiptsError(Exception):
    """The file cannot be written now; the text says why."""


@dataclass(slots=True)
class ReceiptFile:
    """One file. `sync`: each line is on the disk before the next step begins, which waits for the disk."""

    path: Path
    sync: bool = True
    end: Link = field(default_factory=Link)
    _file: int = -1  # the inode that `end` is of
    _size: int = 0  # the length of the file then

    def open(self) -> Link:
        """Check the end of the file. Raises ReceiptsError."""
        with self._locked() as number:
            self._catch_up(number)
        return self.end

    def append(self, contents: list[Mapping[str, Any]]) -> None:
        """Append one line for each: all of them or, when it raises ReceiptsError, none that counts."""
        with self._locked() as number:
            self._catch_up(number)
            end, lines = self.end, b""
            for content in contents:
                line, end = seal(end, dict(content))
                lines += line + b"\n"
            self._write(number, lines)
            self._went_on_to(end)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            number = os.open(self.path, flags, 0o600)
            try:
                if not stat.S_ISREG(os.fstat(number).st_mode):
                    raise ReceiptsError(f"receipts {self.path}: not a regular file")
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield number
            finally:
                os.close(number)
        except BlockingIOError:
            raise ReceiptsError(f"receipts {self.path}: another process is writing") from None
        except OSError as fault:
            raise ReceiptsError(f"receipts {self.path}: {fault.strerror or 'unusable'}") from None

    def _catch_up(self, number: int) -> None:
        """Read the lines that other processes wrote. The chain continues from the latest known link.

        So the file after one that was rotated away, or copied and emptied, continues it; and one that was cut short
        is continued from the link before the cut, so that the gap shows.
        """
        found = os.fstat(number)
        known = found.st_ino == self._file and found.st_size >= self._size
        if not known or (found.st_size > self._size and self._goes_on(number)):
            before = max(self.end, self._noted(), key=lambda link: link.number)
            self.end = Link()
            if found.st_size:
                self._read_end(number, found.st_size)
            self.end = max(self.end, before, key=lambda link: link.number)
        self._file, self._size = found.st_ino, os.fstat(number).st_size

    @property
    def _beside(self) -> Path:
        """The file beside it with the end of the chain, for the next file and for other processes."""
        return self.path.with_name(f"{self.path.name}.head")

    def _noted(self) -> Link:
        try:
            count, head = self._beside.read_text().split()
            return Link(int(count), head) if len(head) == len(START) else Link()
        except (OSError, ValueError):
            return Link()

    def _went_on_to(self, end: Link) -> None:
        self.end = end
        with suppress(OSError):  # the file itself decides
            flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            number = os.open(self._beside, flags, 0o600)
            try:
                os.ftruncate(number, os.pwrite(number, f"{end.number} {end.head}\n".encode(), 0))
            finally:
                os.close(number)

    def lacks(self, noted: Link) -> str:
        """Why the chain does not contain a noted link, or nothing; earlier files are not read."""
        if self.end.number < noted.number:
            ended = f"ends with receipt {self.end.number}, and {noted.number} were noted"
            return f"{ended}: its end was cut off, or it is another file"
        with self.path.open("rb") as lines:
            for line in lines:
                receipt = parse(line)
                if receipt and receipt["n"] == noted.number and digest(line.rstrip(b"\n")) != noted.head:
                    return f"has another receipt {noted.number} than was noted: it was made anew"
        return ""

    def _goes_on(self, number: int) -> bool:
        """Whether the lines after our last line follow from it."""
        line = os.pread(number, LARGEST, self._size).partition(b"\n")[0]
        receipt = parse(line)
        return receipt is not None and receipt["previous"] == self.end.head

    def _read_end(self, number: int, size: int) -> None:
        start = max(0, size - 2 * LARGEST)
        tail = os.pread(number, size - start, start)
        lines = tail.split(b"\n")
        cut = lines.pop()  # empty when the last line is whole
        lines = lines[1:] if start else lines
        last = parse(lines[-1]) if lines else None
        if lines and last is None:
            raise ReceiptsError(f"receipts {self.path}: the last line {flaw(lines[-1])}; {EVIDENCE}")
        self._check(lines)
        whole = Link(last["n"], digest(lines[-1])) if last else Link()
        self.end = whole
        if cut:
            self._mend(number, cut, whole)

    def _check(self, lines: list[bytes]) -> None:
        for before, line in pairwise(lines):
            receipt = parse(line)
            if receipt is not None and receipt["previous"] != digest(before):
                raise ReceiptsError(
                    f"receipts {self.path}: the chain is broken before receipt {receipt['n']}; {EVIDENCE}"
                )

    def _mend(self, number: int, cut: bytes, whole: Link) -> None:
        """A crash cut the last line short: leave it, and name it in the next line."""
        line, end = seal(Link(whole.number + 1, digest(cut)), {"event": TORN, "whole": whole.head})
        self._write(number, b"\n" + line + b"\n")
        self._went_on_to(end)

    def _write(self, number: int, lines: bytes) -> None:
        before = os.fstat(number).st_size
        try:
            written = os.write(number, lines)
            if written != len(lines):
                raise ReceiptsError(f"receipts {self.path}: the disk took only part of a line")
            if self.sync:
                os.fsync(number)
        except (OSError, ReceiptsError):
            with suppress(OSError):  # an append-only file keeps the remains; the next line names them
                os.ftruncate(number, before)
            raise
        self._file, self._size = os.fstat(number).st_ino, before + written


def ill_ended(path: Path) -> str:
    """Why no receipt may follow the last whole line of a file, in words; empty if one may. Raises OSError."""
    with path.open("rb") as opened:
        opened.seek(max(0, path.stat().st_size - 2 * LARGEST))
        lines = opened.read().split(b"\n")[:-1]
    return "" if not lines or parse(lines[-1]) is not None else f"the last line {flaw(lines[-1])}; {EVIDENCE}"
