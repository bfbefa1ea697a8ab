"""Lines on their way out: nobody who logs waits for whoever reads, and what was lost is counted and told."""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from io import TextIOWrapper
from pathlib import Path

import pytest

from rotator.observe import logs
from rotator.observe.logs import Writer

LINE = b"x" * 999 + b"\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe that holds a page, unread unless the test reads."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, 1031, 4096)  # F_SETPIPE_SZ
    yield reading, writing
    os.close(reading)  # which ends the thread's wait


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def drained(reading: int, enough: Callable[[bytes], object]) -> bytes:
    whole = b""
    while not enough(whole):
        whole += os.read(reading, 65536)
    return whole


def told(whole: bytes) -> int:
    """How many lines the log says that it lost."""
    return sum(json.loads(line).get("lines", 0) for line in whole.splitlines())


def test_lines_are_written_in_order_and_waited_for(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        writer = Writer(file.fileno(), lambda lines: None)
        for number in range(1000):
            writer.put(b"%d\n" % number)
        assert writer.flush(10)
    assert (tmp_path / "log").read_bytes().split() == [b"%d" % number for number in range(1000)]


def test_while_nobody_reads_nobody_waits_and_the_loss_is_told_when_somebody_does(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    lost: list[int] = []
    writer = Writer(writing, lost.append, most=10)
    began = time.monotonic()
    for _ in range(100):
        writer.put(LINE)
    assert not writer.flush(0.05)
    assert time.monotonic() - began < 5
    assert 80 < writer.dropped < 100
    kept = 100 - writer.dropped
    assert len(drained(reading, lambda whole: whole.count(b"\n") == kept)) == kept * len(LINE)
    until(lambda: sum(lost) == writer.dropped)
    writer.put(b"again\n")
    assert drained(reading, lambda whole: whole.endswith(b"\n")) == b"again\n"
    assert sum(lost) == writer.dropped


def test_very_long_lines_do_not_fill_the_memory(pipe: tuple[int, int]) -> None:
    writer = Writer(pipe[1], lambda lines: None, largest=5000)
    for _ in range(100):
        writer.put(LINE)
    assert writer.dropped >= 90


def test_a_reader_that_is_gone_and_a_full_disk_cost_lines_and_nothing_else() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    writer = Writer(writing, lambda lines: None)
    full = os.open("/dev/full", os.O_WRONLY)
    other = Writer(full, lambda lines: None)
    for each in (writer, other):
        each.put(LINE)
        each.put(LINE)
        assert each.flush(10)
        assert each.dropped == 2
    os.close(writing)
    os.close(full)


def test_without_a_thread_the_last_words_are_written_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", full)
    with (tmp_path / "log").open("wb") as file:
        writer = Writer(file.fileno(), lambda lines: None)
        writer.put(b"a\n")
        writer.put(b"b\n")
        assert writer.flush(1)
    assert (tmp_path / "log").read_bytes() == b"a\nb\n"


def test_a_queue_that_is_full_again_by_then_does_not_swallow_the_line_that_tells_of_a_loss(
    pipe: tuple[int, int],
) -> None:
    reading, writing = pipe
    losses: list[int] = []

    def fill() -> None:
        for _ in range(9):
            writer.put(LINE)

    def tell(lines: int) -> None:
        losses.append(lines)
        if len(losses) == 1:
            others = threading.Thread(target=fill)
            others.start()
            others.join()
        writer.put(b'{"lines": %d}\n' % lines)

    writer = Writer(writing, tell, most=5)
    fill()
    whole = drained(reading, lambda whole: b"lines" in whole and whole.endswith(b"\n"))
    [first, *_] = [json.loads(line)["lines"] for line in whole.splitlines() if b"lines" in line]
    assert first == losses[0]


def test_the_log_itself_tells_of_lines_that_were_dropped(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = pipe
    monkeypatch.setattr(logs, "_writers", {writing: Writer(writing, logs._tell_dropped, most=5)})
    with TextIOWrapper(os.fdopen(writing, "wb", closefd=False), write_through=True) as stream:
        logs.configure("info", json=True, stream=stream)
        for number in range(50):
            logs.say("thing.happened", number=number, filler="x" * 500)
        assert logs.dropped() > 30
        whole = drained(reading, lambda whole: whole.endswith(b"\n") and told(whole) == logs.dropped())
        assert {line["level"] for line in map(json.loads, whole.splitlines()) if "lines" in line} == {"warning"}
