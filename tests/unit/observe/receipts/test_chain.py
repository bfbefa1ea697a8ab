"""A chain of receipts shows every change but a cut at its end, and that one against a head noted elsewhere."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from rotator.observe.receipts import START, ChainVerdict, ReceiptFile, verify
from rotator.observe.receipts.chain import digest

LINES = 12


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of a dozen receipts."""
    book = ReceiptFile(tmp_path / "receipts.jsonl", sync=False)
    book.append([{"event": "value.published", "said": f"number {number}"} for number in range(LINES)])
    return book.path


def look(*paths: Path, noted: str = "") -> ChainVerdict:
    return verify(((str(path), path.read_bytes().splitlines(keepends=True)) for path in paths), noted=noted)


def rewrite(path: Path, lines: list[bytes]) -> ChainVerdict:
    path.write_bytes(b"".join(lines))
    return look(path)


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def test_an_untouched_chain_is_whole_and_tells_its_head(path: Path) -> None:
    verdict = look(path)
    assert not verdict.findings
    assert (verdict.end.number, verdict.end.head) == (LINES, digest(lines_of(path)[-1].rstrip()))
    assert json.loads(lines_of(path)[0])["previous"] == START


@pytest.mark.parametrize("at", range(LINES - 1))
def test_a_line_removed_is_found_where_it_was(path: Path, at: int) -> None:
    lines = lines_of(path)
    [finding] = rewrite(path, lines[:at] + lines[at + 1 :]).findings
    assert finding.line == at + 1


@pytest.mark.parametrize("at", range(LINES))
def test_a_line_doubled_or_made_up_is_found(path: Path, at: int) -> None:
    lines = lines_of(path)
    assert rewrite(path, [*lines[: at + 1], lines[at], *lines[at + 1 :]]).findings
    made_up = json.dumps({"n": at + 1, "previous": START[:-1] + "1", "event": "x"}).encode() + b"\n"
    assert rewrite(path, [*lines[:at], made_up, *lines[at:]]).findings


@pytest.mark.parametrize("at", range(LINES - 1))
def test_two_lines_in_the_other_order_are_found(path: Path, at: int) -> None:
    lines = lines_of(path)
    lines[at], lines[at + 1] = lines[at + 1], lines[at]
    assert rewrite(path, lines).findings


def test_any_bit_changed_before_the_last_line_is_found(path: Path) -> None:
    original = path.read_bytes()
    last = original.rindex(b"\n", 0, -1)
    dice = random.Random(7)
    for at in dice.sample(range(last), 300):
        changed = bytearray(original)
        changed[at] ^= 1 << dice.randrange(8)
        path.write_bytes(changed)
        assert look(path).findings, f"byte {at}"


def test_a_change_in_the_last_line_is_found_against_the_noted_head(path: Path) -> None:
    head = look(path).end.head
    path.write_bytes(path.read_bytes().replace(b"number 11", b"number 12"))
    assert not look(path).findings
    assert not look(path, noted=head).noted


@pytest.mark.parametrize("kept", range(LINES))
def test_a_cut_at_the_end_is_found_against_the_noted_head_only(path: Path, kept: int) -> None:
    head = look(path).end.head
    path.write_bytes(b"".join(lines_of(path)[:kept]))
    assert not look(path).findings
    assert not look(path, noted=head).noted


def test_a_noted_head_is_met_though_the_file_has_grown(path: Path) -> None:
    head = look(path).end.head
    ReceiptFile(path).append([{"event": "rotation.settled"}])
    assert look(path, noted=head).noted


def test_a_chain_made_anew_is_found_against_the_noted_head(path: Path) -> None:
    head = look(path).end.head
    for file in (path, path.with_name(f"{path.name}.head")):
        file.unlink()
    ReceiptFile(path).append([{"event": "value.published", "said": "forged"} for _ in range(LINES + 5)])
    assert not look(path).findings
    assert not look(path, noted=head).noted


def test_a_chain_goes_on_through_its_files_in_their_order_only(path: Path) -> None:
    book = ReceiptFile(path)
    book.open()
    old = path.rename(path.with_name("receipts.1"))
    book.append([{"event": "rotation.settled"}])
    assert not look(old, path).findings
    assert look(path, old).findings
    assert look(path).findings, "without its beginning a chain proves nothing"


def test_what_is_no_receipt_is_found(path: Path) -> None:
    for foreign in (b"hello\n", b"[]\n", b'{"n":"13","previous":"x"}\n', b'{"n":true,"previous":"x"}\n', b"\xff\xfe\n"):
        assert rewrite(path, [*lines_of(path)[:LINES], foreign]).findings
