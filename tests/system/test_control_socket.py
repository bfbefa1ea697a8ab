"""The control socket: for its owner and root only, and nobody who talks nonsense or not at all can hold it up."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.sandbox.environment import World
from tests.system.daemon import Daemon, converse, received, until
from tests.system.quick import quick
from tests.system.truth import settled

pytestmark = pytest.mark.system

PING = {"verb": "ping"}
NOBODY = 65534
# It becomes the other user only when Python has started: that user may not be allowed to read this Python.
_CALLER = """
import os, socket, sys
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[2]))
wire = socket.socket(socket.AF_UNIX)
wire.settimeout(10)
try:
    wire.connect(sys.argv[1])
except PermissionError:
    sys.exit("shut out")
wire.sendall(b'{"verb": "ping"}\\n')
print(wire.recv(4096).decode())
"""


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A daemon at rest, its predecessors in grace for an hour; one for all, as nothing here may disturb it."""
    with World() as world:
        world.add("bot")
        world.add("other")
        world.add("third")
        with Daemon(quick(world, defaults={"retire": {"after": "1h"}})).ready() as running:
            until("published", lambda: all(settled(world, name) for name in ("bot", "other", "third")))
            yield running


def alive(daemon: Daemon, within: float = 1.0) -> bool:
    """Whether it answers in time."""
    began = time.monotonic()
    return converse(daemon.socket, PING)[0]["alive"] is True and time.monotonic() - began < within


def test_the_socket_is_for_its_owner_alone(daemon: Daemon) -> None:
    assert stat.S_IMODE(daemon.socket.stat().st_mode) == 0o600
    assert alive(daemon)
    converse(daemon.socket, {"verb": "look"})
    assert daemon.says("control.called", verb="look", uid=os.getuid(), pid=os.getpid())
    assert not daemon.heard("control.called", verb="ping"), "a health check is no line of the log"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can act as another user")
def test_another_user_is_shut_out_by_the_mode_and_refused_by_name_should_the_mode_be_changed(world: World) -> None:
    world.add("bot")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        door = Path(folder) / "control.sock"
        with Daemon(quick(world, daemon={"socket": str(door)})).ready() as daemon:
            assert "shut out" in _as_nobody(door).stderr
            door.chmod(0o666)
            assert "serves its owner and root only" in json.loads(_as_nobody(door).stdout)["error"]
            assert not daemon.heard("control.called", uid=NOBODY)


def _as_nobody(door: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-c", _CALLER, str(door), str(NOBODY)]
    return subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=20)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\n",
        b"\xff\xfe\x00\n",
        b"hello\n",
        b"{}\n",
        b"[]\n",
        b"null\n",
        b'{"verb": "nosuch"}\n',
        b'{"verb": ["now"]}\n',
        b'{"verb": "__class__"}\n',
        b"[" * 60000 + b"\n",
        b'{"verb": NaN}\n',
    ],
    ids=lambda garbage: repr(garbage[:16]),
)
def test_garbage_is_answered_with_one_sentence(daemon: Daemon, garbage: bytes) -> None:
    assert "verbs: " in converse(daemon.socket, garbage)[0]["error"]
    assert alive(daemon)


@pytest.mark.parametrize(
    "wishes",
    [
        {"names": "bot"},
        {"names": 7},
        {"names": [["bot"]]},
        {"names": ["../bot"]},
        {"labels": [1], "everything": "yes"},
        {"labels": {"a": {"b": 1}}},
    ],
    ids=str,
)
def test_a_demand_of_wrong_shapes_rotates_nothing(daemon: Daemon, wishes: dict[str, object]) -> None:
    assert converse(daemon.socket, {"verb": "now", **wishes})[-1]["exit"] == 2
    assert not daemon.heard("rotation.requested", rotation=2)
    assert alive(daemon)


def test_an_oversized_request_is_cut_off(daemon: Daemon) -> None:
    with socket.socket(socket.AF_UNIX) as wire:
        wire.settimeout(10)
        wire.connect(str(daemon.socket))
        began = time.monotonic()
        with suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(1000):
                wire.sendall(b"x" * 4096)
        received(wire)
        assert time.monotonic() - began < 4
    assert alive(daemon)


def test_a_caller_that_hangs_up_in_mid_sentence_is_forgotten(daemon: Daemon) -> None:
    # Chance says which of pause and resume is heard last: nothing else is done to that one.
    verbs = [b'{"verb": "%s", "names": ["third"]}\n' % verb for verb in (b"pause", b"resume", b"undo", b"adopt")]
    for part in (b"", b'{"verb"', *verbs, b'{"verb": "now", "names": ["bot"]}\n'):
        with socket.socket(socket.AF_UNIX) as wire:
            wire.connect(str(daemon.socket))
            wire.sendall(part)
    assert alive(daemon)
    daemon.says("value.published", credential="bot", rotation=2)  # what the last one asked for goes on without it


def test_silent_and_dripping_callers_are_shown_the_door_and_the_others_are_served_meanwhile(daemon: Daemon) -> None:
    with ExitStack() as stack:
        wires = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(40)]
        for wire in wires:
            wire.connect(str(daemon.socket))
            wire.settimeout(15)
        dripping = threading.Thread(target=_drip, args=(wires[0],))
        dripping.start()
        began = time.monotonic()
        assert alive(daemon, within=2)
        for wire in wires[1:]:
            received(wire)
        assert time.monotonic() - began < 8
        dripping.join(10)
        assert not dripping.is_alive()
    assert alive(daemon)


def _drip(wire: socket.socket) -> None:
    with suppress(OSError):
        for _ in range(200):
            wire.sendall(b" ")
            time.sleep(0.05)


def test_many_who_wait_for_a_verdict_keep_nobody_out(daemon: Daemon) -> None:
    with ExitStack() as stack:
        for _ in range(30):
            wire = stack.enter_context(socket.socket(socket.AF_UNIX))
            wire.connect(str(daemon.socket))
            wire.sendall(b'{"verb": "now", "names": ["other"], "patient": true, "within": "300s"}\n')
        daemon.says("value.published", credential="other", rotation=2)
        assert alive(daemon, within=2)
