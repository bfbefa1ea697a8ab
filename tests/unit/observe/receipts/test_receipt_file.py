"""The file: opened where it ended, shared, cut by crashes, tampered with while we write."""

from __future__ import annotations

import errno
import fcntl
import os
import re
from pathlib import Path

import pytest

from rotator.observe.receipts import ReceiptFile, ReceiptsError, verify

LINE = {"event": "value.published"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "receipts.jsonl"


def findings(path: Path) -> list[str]:
    with path.open("rb") as lines:
        return [finding.said for finding in verify([(str(path), lines)]).findings]


def number(path: Path) -> int:
    with path.open("rb") as lines:
        return verify([(str(path), lines)]).end.number


def test_a_book_opened_again_goes_on_where_it_ended(path: Path) -> None:
    ReceiptFile(path).append([LINE])
    again = ReceiptFile(path)
    assert again.open().number == 1
    again.append([LINE])
    assert (findings(path), number(path)) == ([], 2)


def test_nobody_else_may_read_the_file(path: Path) -> None:
    ReceiptFile(path).append([LINE])
    assert path.stat().st_mode & 0o777 == 0o600


def test_two_processes_that_share_the_file_write_one_chain(path: Path) -> None:
    first, second = ReceiptFile(path), ReceiptFile(path)
    for book in (first, second, second, first, second):
        book.append([LINE, LINE])
    assert (findings(path), number(path)) == ([], 10)


@pytest.mark.parametrize("kept", [1, 20, 60])
def test_a_line_that_a_crash_cut_short_is_answered_for_by_the_next(path: Path, kept: int) -> None:
    ReceiptFile(path).append([LINE, LINE])
    whole = path.read_bytes()
    cut = whole.index(b"\n") + 1 + kept
    path.write_bytes(whole[:cut])
    assert findings(path), "until then it is reported"
    book = ReceiptFile(path)
    book.open()
    book.append([LINE])
    with path.open("rb") as lines:
        verdict = verify([(str(path), lines)])
    assert (verdict.findings, verdict.torn, verdict.end.number) == ([], 1, 4)


def test_a_line_that_only_lacks_its_end_is_kept(path: Path) -> None:
    ReceiptFile(path).append([LINE, LINE])
    path.write_bytes(path.read_bytes()[:-1])
    ReceiptFile(path).append([LINE])
    assert findings(path) == []


def test_a_mended_line_cannot_be_used_to_hide_a_removed_one(path: Path) -> None:
    ReceiptFile(path).append([LINE] * 4)
    path.write_bytes(path.read_bytes()[:-9])
    ReceiptFile(path).append([LINE])
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2] + lines[3:]))
    assert findings(path)


def test_a_chain_broken_near_its_end_is_not_continued(path: Path) -> None:
    ReceiptFile(path).append([LINE] * 5)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2] + lines[3:]))
    with pytest.raises(ReceiptsError, match="broken before receipt 4"):
        ReceiptFile(path).open()


def test_a_file_of_something_else_is_not_written_to(path: Path) -> None:
    path.write_text("dear diary\n")
    with pytest.raises(ReceiptsError, match="the last line is not a receipt, and not even JSON; something else wrote"):
        ReceiptFile(path).append([LINE])
    assert path.read_text() == "dear diary\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{oops", "is not a receipt, and not even JSON; something else wrote to the file"),
        ("[1]", "is JSON, but not a receipt: it is no object"),
        ('{"n":"4","previous":"x"}', "is JSON, but not a receipt: it lacks `n`, a whole number"),
        ('{"n":4}', "is JSON, but not a receipt: it lacks `previous`"),
    ],
)
def test_a_whole_last_line_that_is_no_receipt_is_not_called_cut_short(path: Path, line: str, said: str) -> None:
    """The daemon refuses to go on after it, so nothing will answer for it."""
    ReceiptFile(path).append([LINE] * 3)
    with path.open("a") as lines:
        lines.write(line)
    assert findings(path) == ["is cut short; the daemon answers for it when it starts again"]
    with path.open("a") as lines:
        lines.write("\n")
    assert len(findings(path)) == 1
    assert findings(path)[0].startswith(said)
    with pytest.raises(ReceiptsError, match=re.escape(f"the last line {said}")):
        ReceiptFile(path).open()


def test_a_file_cut_or_rewritten_under_our_hands_shows_the_gap(path: Path) -> None:
    book = ReceiptFile(path)
    book.append([LINE] * 3)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:1]))
    book.append([LINE])
    assert findings(path)
    forged = path.with_name("forged")
    ReceiptFile(forged).append([LINE] * 9)
    path.write_bytes(forged.read_bytes())
    book.append([LINE])
    assert findings(path)


def test_a_lock_held_by_another_is_not_waited_for(path: Path) -> None:
    ReceiptFile(path).append([LINE])
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ReceiptsError, match="another process"):
            ReceiptFile(path).append([LINE])


def test_a_symbolic_link_and_a_pipe_are_refused(path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ReceiptsError):
        ReceiptFile(path).append([LINE])
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ReceiptsError, match="not a regular file"):
        ReceiptFile(path).append([LINE])


def test_what_the_disk_refused_stands_there_once_when_written_again(path: Path, monkeypatch) -> None:
    book = ReceiptFile(path)
    book.append([LINE])
    size = path.stat().st_size

    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ReceiptsError, match="No space left"):
        book.append([LINE])
    assert path.stat().st_size == size
    monkeypatch.undo()
    book.append([LINE])
    assert (findings(path), number(path)) == ([], 2)


@pytest.mark.parametrize("sync", [True, False])
def test_each_line_is_synced_when_that_is_asked_for(path: Path, monkeypatch, sync: bool) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    ReceiptFile(path, sync=sync).append([LINE])
    assert bool(synced) is sync
