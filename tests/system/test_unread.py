"""Standard streams of a daemon: a pipe that nobody reads, or none at all, stop neither its work nor its end."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.sandbox.environment import World
from tests.system.daemon import Daemon, converse, until
from tests.system.quick import quick
from tests.system.truth import journal, settled

pytestmark = pytest.mark.system
PING = {"verb": "ping"}


def _alive(door: Path) -> bool:
    try:
        return converse(door, PING)[0]["alive"] is True
    except (OSError, IndexError):
        return False


def test_a_log_pipe_that_nobody_reads_stops_neither_work_nor_end(world: World) -> None:
    world.add("bot")
    path = quick(world)
    reading, writing = os.pipe()
    fcntl.fcntl(writing, 1031, 4096)  # F_SETPIPE_SZ: four lines fill it
    command = [sys.executable, "-m", "rotator", "-c", str(path), "run", "--log", "json"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=writing, stderr=writing) as daemon:
        try:
            until("published", lambda: settled(world, "bot"))
            assert (
                converse(path.with_suffix(".sock"), {"verb": "now", "names": ["bot"], "within": "20s"})[-1]["exit"] == 0
            )
            assert _alive(path.with_suffix(".sock"))
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(20) == 0
        finally:
            daemon.kill()
            os.close(reading)
            os.close(writing)


@pytest.mark.parametrize("closed", ["2>&-", "0<&- 1>&- 2>&-"])
def test_with_closed_streams_it_works_and_ends(world: World, closed: str) -> None:
    world.add("bot")
    path = quick(world)
    command = ["/bin/sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-m", "rotator", "-c", str(path), "run"]
    with subprocess.Popen(command) as daemon:
        try:
            until("published", lambda: settled(world, "bot"))
            assert _alive(path.with_suffix(".sock"))
            open_files = {number: str(Path(f"/proc/{daemon.pid}/fd/{number}").readlink()) for number in range(3)}
            assert open_files[2] == os.devnull
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(20) == 0
        finally:
            daemon.kill()


_HANGS = """
import sys, anyio
from rotator.cli import main
from rotator.app.daemon import Daemon

async def hang(self, app):
    with anyio.CancelScope(shield=True):
        await anyio.sleep_forever()

Daemon._drain = hang
sys.argv[0] = "rotate"
main()
"""


def test_a_stop_that_hangs_is_cut_after_the_drain_and_says_so(world: World) -> None:
    world.add("bot")
    path = quick(world, daemon={"drain": "1s"})
    command = [sys.executable, "-c", _HANGS, "-c", str(path), "run", "--log", "json"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as daemon:
        try:
            until("published", lambda: settled(world, "bot"))
            daemon.send_signal(signal.SIGTERM)
            _, log = daemon.communicate(timeout=20)
        finally:
            daemon.kill()
    assert daemon.returncode == 75
    [cut] = [line for line in map(json.loads, log.splitlines()) if line["event"] == "daemon.cut"]
    assert "a step under way did not end" in cut["said"]


def test_a_stop_ends_within_the_drain_whatever_step_hook_or_vault_hangs(world: World) -> None:
    """A hook that takes a minute, a target that takes ten seconds, a Vault that is stopped in the midst of it."""
    world.add("bot")
    hook = {"command": ["/bin/sleep", "60"], "on": ["published"], "timeout": "1m"}
    slow = {"timeout": "12s", "deadline": "12s"}
    path = quick(world, daemon={"drain": "4s", "lease": "30s"}, hooks={"reload": hook}, target=slow)
    with Daemon(path).ready() as daemon:
        world.halo.fault(kind="slow", method="POST", path="personalaccesstokens", delay=10, times=None)
        daemon.begin("bot")
        until("the mint is on its way", lambda: journal(world, "bot").get("phase") == "requested")
        os.kill(world.bao.pid, signal.SIGSTOP)
        try:
            stopped = time.monotonic()
            daemon.send(signal.SIGTERM)
            daemon.wait()
            assert time.monotonic() - stopped < 4 + 3, "a loaded machine ends a process late"
        finally:
            os.kill(world.bao.pid, signal.SIGCONT)


def test_who_asks_twice_waits_for_no_step(world: World) -> None:
    world.add("bot")
    slow = {"timeout": "12s", "deadline": "12s"}
    with Daemon(quick(world, daemon={"drain": "1m", "lease": "1m"}, target=slow)).ready() as daemon:
        world.halo.fault(kind="slow", method="POST", path="personalaccesstokens", delay=10, times=None)
        daemon.begin("bot")
        until("the mint is on its way", lambda: journal(world, "bot").get("phase") == "requested")
        daemon.send(signal.SIGTERM)
        daemon.says("daemon.stopping")
        stopped = time.monotonic()
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0
        assert time.monotonic() - stopped < 8
