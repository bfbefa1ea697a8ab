"""The journal is told how grave a line is, where it is the journal that reads; in JSON lines as well."""

from __future__ import annotations

import io
import json
import logging
import os
from pathlib import Path

import pytest
import structlog

from rotator.observe import logs
from rotator.observe.logs import is_journal, marked


@pytest.mark.parametrize(
    ("level", "mark"),
    [
        (logging.CRITICAL, "<2>"),
        (logging.ERROR, "<3>"),
        (logging.WARNING, "<4>"),
        (logging.INFO, "<6>"),
        (logging.DEBUG, "<7>"),
    ],
)
def test_every_line_of_a_text_is_marked(level: int, mark: str) -> None:
    assert marked("one\ntwo", level) == f"{mark}one\n{mark}two"


def test_the_journal_is_known_by_device_and_inode(tmp_path: Path) -> None:
    with (tmp_path / "stream").open("w") as stream:
        status = os.fstat(stream.fileno())
        theirs = f"{status.st_dev}:{status.st_ino}"
        assert is_journal(stream, {"JOURNAL_STREAM": theirs})
        assert not is_journal(stream, {"JOURNAL_STREAM": "1:1"})
        assert not is_journal(stream, {})
    assert not is_journal(stream, {"JOURNAL_STREAM": theirs}), "closed"
    assert not is_journal(io.StringIO(), {"JOURNAL_STREAM": theirs})


@pytest.mark.parametrize("as_json", [True, False])
def test_lines_are_marked_for_the_journal_only(as_json: bool, tmp_path: Path, monkeypatch) -> None:
    with (tmp_path / "stream").open("w+") as stream:
        status = os.fstat(stream.fileno())
        for journal in (f"{status.st_dev}:{status.st_ino}", ""):
            monkeypatch.setenv("JOURNAL_STREAM", journal)
            logs.configure("info", json=as_json, stream=stream)
            structlog.get_logger().error("step.failed")
            structlog.get_logger().info("step.done")
            getattr(logs, "flush", lambda _: None)(1.0)
        stream.seek(0)
        failed, done, *unmarked = stream.read().splitlines()
    logs.configure("info", stream=io.StringIO())
    assert (failed[:3], done[:3]) == ("<3>", "<6>")
    assert not any(line.startswith("<") for line in unmarked)
    assert not as_json or json.loads(failed[3:])["event"] == "step.failed"
