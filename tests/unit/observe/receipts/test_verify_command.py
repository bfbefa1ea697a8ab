"""`rotate receipts verify`: offline, 0 for whole, 1 for not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rotator.cli import rotate
from rotator.observe.receipts import ReceiptFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    book = ReceiptFile(tmp_path / "receipts.jsonl")
    book.append([{"event": "value.published"} for _ in range(5)])
    return book.path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(rotate, ["receipts", "verify", *map(str, arguments)])


def test_a_whole_file_ends_with_nought_and_its_head(path: Path) -> None:
    ended = run(path)
    assert (ended.exit_code, ended.output) == (0, f"whole: 5 receipts, head {ReceiptFile(path).open().head}\n")


def test_a_changed_file_ends_with_one_and_the_place(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"published", b"withdrawn", 1))
    ended = run(path)
    assert ended.exit_code == 1
    assert f"{path}:2: does not follow" in ended.output
    assert "BROKEN" in ended.output


def test_a_cut_end_is_found_with_the_head(path: Path) -> None:
    head = ReceiptFile(path).open().head
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    assert run(path).exit_code == 0
    ended = run("--head", head, path)
    assert ended.exit_code == 1
    assert "the end was cut off" in ended.output


def test_machines_get_json(path: Path) -> None:
    said = json.loads(run("--json", path).output)
    assert (said["whole"], said["receipts"], said["findings"]) == (True, 5, [])


@pytest.mark.parametrize("arguments", [[], ["--head", "abc", "FILE"], ["/nowhere/receipts.jsonl"]])
def test_a_wrong_call_is_a_wrong_call(path: Path, arguments: list[str]) -> None:
    assert run(*(path if each == "FILE" else each for each in arguments)).exit_code == 2
