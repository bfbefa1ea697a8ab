"""Files that somebody names: regular ones, of a bearable size, and nothing that one could wait for."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from rotator.host.files import contents, handed_over, irregular, opened


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as raw:
        raw.bind(str(path))


IRREGULAR = {"a pipe": os.mkfifo, "a folder": Path.mkdir, "a socket": _socket}


@pytest.mark.parametrize("what", IRREGULAR)
def test_what_is_no_regular_file_is_named_at_once(tmp_path: Path, what: str) -> None:
    IRREGULAR[what](tmp_path / "x")
    assert irregular(tmp_path / "x") == what
    with pytest.raises(OSError, match=f"it is {what}, not a regular file"):
        opened(tmp_path / "x")


def test_a_device_is_refused() -> None:
    with pytest.raises(OSError, match="it is a device, not a regular file"):
        contents("/dev/zero", 10)


def test_a_link_to_a_file_is_a_file_and_too_much_of_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x" * 2048)
    (tmp_path / "y").symlink_to("x")
    assert not irregular(tmp_path / "y")
    assert not irregular(tmp_path / "nothing")
    assert len(contents(tmp_path / "y", 2048)) == 2048
    with pytest.raises(OSError, match="is larger than 1 KiB"):
        contents(tmp_path / "y", 1024)


def test_what_is_handed_over_may_come_in_pieces_but_not_for_ever_nor_without_end() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"a")
    more = threading.Timer(0.05, lambda: (os.write(writing, b"b"), os.close(writing)))
    more.start()
    assert handed_over(reading, 10, 10) == b"ab"
    more.join()
    os.close(reading)
    reading, writing = os.pipe()
    with pytest.raises(TimeoutError):
        handed_over(reading, 10, 0.05)
    os.write(writing, b"x" * 100)
    assert handed_over(reading, 10, 10) == b"x" * 11
    os.close(reading)
    os.close(writing)


def test_a_named_pipe_is_waited_for_until_somebody_writes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reading = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    late = threading.Timer(0.05, (tmp_path / "pipe").write_bytes, (b"value",))
    late.start()
    assert handed_over(reading, 10, 10) == b"value"
    late.join()
    os.close(reading)
