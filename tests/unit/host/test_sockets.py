"""Sockets bound to paths and ports: taken over from the dead, never from the living, removed by their owner alone."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from rotator.host import sockets
from rotator.host.sockets import AddressError, TakenError

pytestmark = pytest.mark.anyio


async def test_a_path_is_bound_with_its_mode_and_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "s"
    bound = await sockets.unix(str(path), 0o660)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert await sockets.answers(str(path))
    bound.close()
    assert not path.exists()


async def test_who_answers_keeps_its_path(tmp_path: Path) -> None:
    bound = await sockets.unix(str(tmp_path / "s"), 0o600)
    with pytest.raises(TakenError):
        await sockets.unix(str(tmp_path / "s"), 0o600)
    assert await sockets.answers(str(tmp_path / "s"))
    bound.close()


async def test_a_socket_left_behind_is_taken_over(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
    (await sockets.unix(str(tmp_path / "s"), 0o600)).close()


async def test_the_path_of_a_successor_is_left_alone(tmp_path: Path) -> None:
    late = await sockets.unix(str(tmp_path / "s"), 0o600)
    (tmp_path / "s").unlink()
    successor = await sockets.unix(str(tmp_path / "s"), 0o600)
    late.close()
    assert await sockets.answers(str(tmp_path / "s"))
    successor.close()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.write_text(""), "a plain file is in the socket's place; move it away"),
        (lambda path: path.mkdir(), "a folder is in the socket's place; move it away"),
        (os.mkfifo, "a pipe is in the socket's place; move it away"),
        (lambda path: path.symlink_to("nowhere"), "it is a link that leads nowhere; remove it"),
    ],
    ids=["file", "folder", "pipe", "dangling"],
)
async def test_what_is_no_socket_is_named(tmp_path: Path, make, words: str) -> None:
    make(tmp_path / "s")
    with pytest.raises(AddressError, match=words):
        await sockets.unix(str(tmp_path / "s"), 0o600)
    with pytest.raises(AddressError, match=words):
        await sockets.answers(str(tmp_path / "s"))
    assert os.listdir(tmp_path) == ["s"]  # noqa: PTH208 (names are enough)


async def test_a_folder_that_a_stranger_keeps_locked_keeps_nobody_from_starting(tmp_path: Path) -> None:
    number = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(number, fcntl.LOCK_EX)
    bound = await sockets.unix(str(tmp_path / "s"), 0o600)
    bound.close()
    os.close(number)
    assert not (tmp_path / "s").exists()


async def test_a_port_in_use_is_told() -> None:
    bound = sockets.tcp("127.0.0.1", 0)
    with pytest.raises(AddressError, match="address already in use"):
        sockets.tcp("127.0.0.1", bound.port)
    bound.close()
    six = sockets.tcp("::1", 0)
    assert six.port
    six.close()


_OTHER = """
import os, sys
from rotator.host.sockets import others
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
print(others(sys.argv[1]))
"""


def whom(path: Path) -> str:
    """What another user is told of a path."""
    ended = subprocess.run([sys.executable, "-c", _OTHER, str(path)], capture_output=True, text=True, timeout=30)
    assert not ended.stderr
    return ended.stdout.strip()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can act as another user")
async def test_who_may_not_ask_is_told_who_may(tmp_path: Path) -> None:
    door = tmp_path / "s"
    assert whom(door) == ""
    bound = await sockets.unix(str(door), 0o600)
    assert whom(door) == "root"
    assert sockets.others(str(door)) == ""
    bound.raw.close()
    assert whom(door) == "", "what is left behind answers nobody"
    bound.close()
