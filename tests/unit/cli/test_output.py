"""Output never decides about work: it runs to its end, whatever happens to standard output and standard error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from pathlib import Path
import anyio
from rotator.cli import base, output

async def main():
    for number in range(5000):
        output.say(f"progress {number} " + "x" * 60)
        output.say(f"trouble {number}", err=True)
        if number % 500 == 0:
            await anyio.sleep(0)
    Path(sys.argv[1]).touch()
    return int(sys.argv[2])

base.run(main, acts=sys.argv[3] == "acts")
"""


def started(done: Path, code: int, how: str, **streams) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", PROGRAM, str(done), str(code), how]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, **streams)


@pytest.mark.parametrize("code", [0, 3])
def test_a_closed_pipe_is_quiet_and_the_work_goes_on(tmp_path: Path, code: int) -> None:
    done = tmp_path / "done"
    work = started(done, code, "acts", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert work.stdout
    assert work.stderr
    assert work.stdout.readline().startswith(b"progress 0 ")
    work.stdout.close()
    with work:
        said = work.stderr.read()
    assert work.wait(20) == code
    assert done.exists()
    assert b"Traceback" not in said
    assert b"cannot be written" not in said
    assert said.count(b"trouble") == 5000, "the other stream is whole"


@pytest.mark.parametrize(("how", "ends"), [("acts", 0), ("looks", 1)])
def test_a_full_disk_costs_words_only_and_is_told_once(tmp_path: Path, how: str, ends: int) -> None:
    done = tmp_path / "done"
    with Path("/dev/full").open("wb") as full:
        work = started(done, 0, how, stdout=full, stderr=subprocess.PIPE)
    _, said = work.communicate(timeout=20)
    assert (work.returncode, done.exists()) == (ends, True)
    assert said.count(b"standard output cannot be written: No space left on device") == 1
    assert (b"the work itself went on to its end" in said) is (how == "acts")


def test_both_streams_gone_or_never_there(tmp_path: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    for name, streams in {"full": {"stdout": full, "stderr": full}, "closed": {"preexec_fn": _close}}.items():
        work = started(tmp_path / name, 3, "acts", **streams)
        assert work.wait(20) == 3
        assert (tmp_path / name).exists()
    os.close(full)


def _close() -> None:
    os.close(1)
    os.close(2)


def test_the_work_does_not_wait_for_a_reader_that_never_reads(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    done = tmp_path / "done"
    work = started(done, 0, "acts", stdout=writing, stderr=subprocess.DEVNULL)
    os.close(writing)
    try:
        for _ in range(400):
            if done.exists():
                break
            with pytest.raises(subprocess.TimeoutExpired):
                work.wait(0.05)
        assert done.exists()
        assert work.poll() is None, "its words wait for the reader, its work did not"
        with os.fdopen(reading, "rb", closefd=False) as pipe:
            assert pipe.read().count(b"progress") == 5000
        assert work.wait(20) == 0
    finally:
        work.kill()
        work.wait()
        os.close(reading)


@pytest.mark.parametrize(("to_the_journal", "mark"), [(True, "<3>"), (False, "")])
def test_why_a_command_failed_is_an_error_for_the_journal(tmp_path: Path, to_the_journal: bool, mark: str) -> None:
    command = [sys.executable, "-m", "rotator", "-c", str(tmp_path / "nowhere.toml"), "run"]
    with (tmp_path / "said").open("w+") as said:
        status = os.fstat(said.fileno())
        stream = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"} if to_the_journal else {}
        assert subprocess.run(command, stderr=said, env=os.environ | stream, timeout=30, check=False).returncode == 78
        said.seek(0)
        lines = said.read().splitlines()
    assert lines
    assert all(line.startswith(f"{mark}") and line.startswith("<") is to_the_journal for line in lines), lines
