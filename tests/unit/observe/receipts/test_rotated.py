"""Files that logrotate has made are one chain; what was cut off before the last heartbeat is found."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rotator.cli import rotate
from rotator.observe.receipts import ReceiptFile, Receipts, keep, unfit, verify
from rotator.observe.receipts.chain import LARGEST
from rotator.rotation import events as ev
from rotator.settings import Audit
from tests.kit.fleet import named, settled, transition
from tests.unit.rotation.builders import NOW

LINE = {"event": "value.published"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "receipts.jsonl"


def older(path: Path, number: int = 1) -> Path:
    return path.with_name(f"{path.name}.{number}")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(rotate, ["receipts", "verify", *map(str, arguments)])


def test_renamed_while_a_daemon_runs(path: Path) -> None:
    book = ReceiptFile(path)
    book.append([LINE] * 3)
    path.rename(older(path))
    book.append([LINE] * 2)
    assert run(older(path), path).output.startswith("whole: 5 receipts")


def test_renamed_while_two_processes_write(path: Path) -> None:
    daemon, shell = ReceiptFile(path), ReceiptFile(path)
    daemon.append([LINE])
    shell.append([LINE])
    path.rename(older(path))
    daemon.append([LINE])
    shell.append([LINE])
    daemon.append([LINE])
    assert run(older(path), path).output.startswith("whole: 5 receipts")


def test_renamed_between_two_runs_and_packed(path: Path) -> None:
    for number in (3, 2, 1):
        ReceiptFile(path).append([LINE] * 2)
        path.rename(older(path, number))
    ReceiptFile(path).append([LINE])
    packed = older(path, 3).with_name(f"{path.name}.3.gz")
    packed.write_bytes(gzip.compress(older(path, 3).read_bytes()))
    assert run(packed, older(path, 2), older(path), path).output.startswith("whole: 7 receipts")
    assert run(packed, older(path), path).exit_code == 1, "one in between is missing"


def test_copied_and_emptied_under_two_processes(path: Path) -> None:
    daemon, shell = ReceiptFile(path), ReceiptFile(path)
    daemon.append([LINE] * 5)
    shell.append([LINE])
    shutil.copy(path, older(path))
    path.write_bytes(b"")
    shell.append([LINE])
    daemon.append([LINE] * 2)
    shell.append([LINE])
    assert run(older(path), path).output.startswith("whole: 10 receipts")


def test_a_line_cut_short_by_a_crash_and_then_rotated_away_is_answered_for_in_the_next_file(path: Path) -> None:
    ReceiptFile(path).append([LINE] * 3)
    ReceiptFile(path).append([LINE])
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(whole[:3]) + whole[3][:20])
    path.with_name(f"{path.name}.head").write_text(f"3 {ReceiptFile(_only(path, whole[:3])).open().head}\n")
    path.rename(older(path))
    ReceiptFile(path).append([LINE])
    assert run(older(path), path).exit_code == 0


def _only(path: Path, lines: list[bytes]) -> Path:
    other = path.with_name("other")
    other.write_bytes(b"".join(lines))
    return other


def test_where_the_oldest_files_are_gone_the_head_before_is_named(path: Path) -> None:
    book = ReceiptFile(path)
    book.append([LINE] * 3)
    before = book.end.head
    path.rename(older(path))
    book.append([LINE])
    alone = run(path)
    assert (alone.exit_code, "is receipt 4: name the earlier files" in alone.output) == (1, True)
    assert run("--after", before, path).output.startswith("whole: 4 receipts")
    assert run("--after", "0" * 63 + "1", path).exit_code == 1


@pytest.mark.parametrize("left", [0, 2])
def test_an_end_that_was_cut_off_before_the_last_heartbeat_is_found_at_the_next_start(path: Path, left: int) -> None:
    told: list[str] = []
    first = Receipts(ReceiptFile(path), told.append, found_cut=told.append)
    for number in range(4):
        first(transition(named("blog"), settled(), ev.Faulted(NOW, "mint", str(number))))
    heartbeat = first.tells()
    Receipts(ReceiptFile(path), told.append, found_cut=told.append).compare(heartbeat)
    assert told == []
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:left]))
    path.with_name(f"{path.name}.head").unlink()
    again = Receipts(ReceiptFile(path), told.append, found_cut=told.append)
    again.compare(heartbeat)
    assert "and 4 were noted: its end was cut off" in told[0]
    assert again.cut


def test_a_chain_made_anew_is_found_against_the_heartbeat_too(path: Path) -> None:
    told: list[str] = []
    book = ReceiptFile(path)
    book.append([LINE] * 3)
    heartbeat = {"receipts": "3", "receipts_head": book.end.head}
    for file in path.parent.iterdir():
        file.unlink()
    ReceiptFile(path).append([{"event": "value.published", "said": "forged"}] * 8)
    Receipts(ReceiptFile(path), told.append, found_cut=told.append).compare(heartbeat)
    assert "has another receipt 3 than was noted" in told[0]
    Receipts(ReceiptFile(path), told.append, found_cut=told.append).compare({"receipts": "no number"})
    assert len(told) == 1


def test_a_receipt_is_never_longer_than_its_reader_takes(path: Path) -> None:
    receipts = keep(Audit(str(path)))
    assert receipts
    receipts(transition(named("blog"), settled(), ev.Faulted(NOW, "mint", "very long " * 20_000)))
    receipts(transition(named("blog"), settled(), ev.Faulted(NOW, "mint", "short")))
    assert max(map(len, path.read_bytes().splitlines())) <= LARGEST
    assert "characters more]" in json.loads(path.read_text().splitlines()[0])["said"]
    ReceiptFile(path).append([LINE])  # a reader that begins at the end takes it
    with path.open("rb") as lines:
        assert not verify([("it", lines)]).findings


def test_a_malformed_line_is_a_sentence(path: Path) -> None:
    ReceiptFile(path).append([LINE])
    with path.open("ab") as file:
        file.write(b'{"n":2,"previous":"' + b"0" * 64 + b'","credential":"blog","at":7}\n\xff\xfe\n[1,2]\n')
    broken = run(path)
    assert (broken.exit_code, broken.exception.__class__) == (1, SystemExit)
    assert f"{path}:2: does not follow" in broken.output
    path.with_suffix(".gz").write_bytes(b"not packed")
    assert "a file cannot be read" in run(path.with_suffix(".gz")).output


def test_check_says_whether_the_file_could_be_written_without_touching_it(path: Path) -> None:
    assert unfit(Audit(str(path))) == ""
    assert not path.exists()
    ReceiptFile(path).append([LINE])
    assert unfit(Audit(str(path))) == ""
    assert "no folder" in unfit(Audit(str(path.parent / "nowhere" / "receipts.jsonl")))
    path.write_text("dear diary\n")
    assert "the last line is not a receipt, and not even JSON" in unfit(Audit(str(path)))
    path.unlink()
    path.symlink_to(path.parent)
    assert "not a regular file" in unfit(Audit(str(path)))
