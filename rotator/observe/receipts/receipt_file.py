"""The file of receipts: opened and locked for each append, never rewritten, its end checked.

Processes of one host may share it; the lock is never waited for.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from rotator.observe.receipts.chain import LARGEST, START, TORN, Link, digest, parse, seal


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
            raise ReceiptsError(
                f"receipts {self.path}: the last line is no receipt; run `rotate receipts verify` on it"
            )
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
                    f"receipts {self.path}: the chain is broken before receipt {receipt['n']}; keep the file as"
                    " evidence (`rotate receipts verify` tells more) and name a fresh one in [audit] file"
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


def ends_well(path: Path) -> bool:
    """Whether the last whole line of a file is a receipt, so that another may follow. Raises OSError."""
    with path.open("rb") as opened:
        opened.seek(max(0, path.stat().st_size - 2 * LARGEST))
        lines = opened.read().split(b"\n")[:-1]
    return not lines or parse(lines[-1]) is not None
