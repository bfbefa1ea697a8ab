"""Crowds of callers, and too few descriptors for them: probes are answered, the daemon works on."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.sandbox.environment import World
from tests.system.daemon import converse, until
from tests.system.quick import quick
from tests.system.truth import settled

pytestmark = pytest.mark.system
ALIVE = Path(__file__).parents[2] / "config" / "container" / "alive.py"
FEW = 64  # descriptors


def probed(port: int) -> int:
    """What /livez says; 0: nothing in time."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/livez", timeout=5) as answer:
            return answer.status
    except OSError:
        return 0


def test_probes_are_answered_and_work_goes_on_among_more_callers_than_descriptors(
    world: World, free_tcp_port: int
) -> None:
    world.add("bot")
    path = quick(world, status={"listen": f"127.0.0.1:{free_tcp_port}"})
    door = str(path.with_suffix(".sock"))
    command = [sys.executable, "-m", "rotator", "-c", str(path), "run", "--log", "json"]
    log = path.with_suffix(".log")
    limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, FEW))  # noqa: E731 (one call in the child)
    with ExitStack() as stack:
        output = stack.enter_context(log.open("wb"))
        daemon = stack.enter_context(subprocess.Popen(command, stderr=output, preexec_fn=limit))
        stack.callback(daemon.kill)
        until("published", lambda: settled(world, "bot"))
        for _ in range(100):
            web = stack.enter_context(socket.create_connection(("127.0.0.1", free_tcp_port)))
            web.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            local = stack.enter_context(socket.socket(socket.AF_UNIX))
            local.connect(door)
        assert [probed(free_tcp_port) for _ in range(3)] == [200] * 3
        asked = subprocess.run([sys.executable, "-I", str(ALIVE), door], capture_output=True, text=True, timeout=20)
        assert (asked.returncode, asked.stdout) == (0, "")
        assert daemon.poll() is None
    assert "exception" not in log.read_text()


def test_a_second_daemon_takes_no_socket_of_the_first_and_its_end_leaves_them(world: World) -> None:
    world.add("bot")
    shared = {"listen": f"unix:{world.folder / 'status.sock'}"}
    first, second = quick(world, "first", status=shared), quick(world, "second", status=shared)
    command = [sys.executable, "-m", "rotator", "-c"]
    with subprocess.Popen([*command, str(first), "run"], stderr=subprocess.DEVNULL) as daemon:
        try:
            until("published", lambda: settled(world, "bot"))
            ended = subprocess.run([*command, str(second), "run"], capture_output=True, text=True, timeout=30)
            assert ended.returncode == 1
            assert "another process answers there; give it another in [status] listen" in ended.stderr
            with socket.socket(socket.AF_UNIX) as wire:
                wire.connect(str(world.folder / "status.sock"))
                wire.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
                assert wire.recv(100).startswith(b"HTTP/1.1 200")
            assert converse(first.with_suffix(".sock"), {"verb": "ping"})[0]["alive"]
        finally:
            daemon.kill()
