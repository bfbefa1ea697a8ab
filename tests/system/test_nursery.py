"""A child of the nursery is a daemon like an executed one: its end is its own, and nothing of it is left over."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.daemon import Daemon, until
from tests.system.nursery import Nursery

pytestmark = pytest.mark.system

ALONE = """
[vault]
address = "http://127.0.0.1:9"
auth = {{method = "token", token = {{file = "{0}/token"}}}}
[daemon]
socket = "{0}/{1}.sock"
"""
WAITING = "vault.missed"  # what a daemon says whose Vault is not there
CAMPAIGN = """
import sys, time
from pathlib import Path
from tests.system.daemon import Daemon
from tests.system.nursery import Nursery
nursery = Nursery()
daemon = Daemon(Path(sys.argv[1]), nursery=nursery)
daemon.says("vault.missed")
print(nursery.process.pid, daemon.process.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as made:
        yield made


def settings(folder: Path, name: str = "daemon", more: str = "") -> Path:
    """Of a daemon that waits for a Vault."""
    token = folder / "token"
    token.write_text("canary-of-a-nursery")
    token.chmod(0o600)
    path = folder / f"{name}.toml"
    path.write_text(ALONE.format(folder, name) + more)
    return path


def alive(pid: str) -> bool:
    """Whether it is more than a name in the table of processes, which not every container's first one clears."""
    try:
        return bool(Path("/proc", pid, "cmdline").read_bytes())
    except FileNotFoundError:
        return False


def opened(daemon: Daemon) -> Counter[str]:
    """What a process holds open."""
    found = [str(each.readlink()) for each in Path(f"/proc/{daemon.process.pid}/fd").iterdir()]
    return Counter(re.sub(r"\[\d+\]|-\d+\.log", "", each) for each in found)


def test_a_child_ends_and_says_what_an_executed_daemon_does(nursery: Nursery, tmp_path: Path) -> None:
    path, said = settings(tmp_path, more="unknown = 1\n"), []
    for executed in (True, False):
        with Daemon(path, nursery=nursery, executed=executed) as daemon:
            assert daemon.wait() == 78
            said.append(daemon.last_words())
    assert said[0] == said[1] != ""


def test_a_child_is_killed_or_stopped_and_its_siblings_never_hear_of_it(nursery: Nursery, tmp_path: Path) -> None:
    a, b, c = (Daemon(settings(tmp_path, name), skew, nursery) for name, skew in (("a", 0.0), ("b", 0.0), ("c", 60.0)))
    with a, b, c:
        for daemon in (a, b, c):
            daemon.says(WAITING)
            assert os.getsid(daemon.process.pid) == daemon.process.pid
        a.kill()
        assert a.wait() == -signal.SIGKILL
        b.send(signal.SIGTERM)
        assert b.wait() == 0
        assert b.heard("daemon.stopped")
        assert c.process.poll() is None


def test_a_child_holds_nothing_open_that_an_executed_daemon_does_not(nursery: Nursery, tmp_path: Path) -> None:
    path, elder = settings(tmp_path), settings(tmp_path, "elder")
    with Daemon(path, executed=True) as executed:
        executed.says(WAITING)
        wanted = opened(executed)
    with Daemon(elder, nursery=nursery), Daemon(path, nursery=nursery) as child:
        child.says(WAITING)
        assert opened(child) == wanted


def test_a_child_has_the_environment_and_the_folder_of_whoever_wants_it(
    nursery: Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(settings(tmp_path).parent)
    monkeypatch.setenv("ROTATOR_CONFIG", "daemon.toml")
    with (tmp_path / "out").open("wb") as output, (tmp_path / "err").open("wb") as errors:
        assert nursery.child("rotator", "policy", output=output, errors=errors).wait(20) == 0
    assert 'path "' in (tmp_path / "out").read_text()
    assert (tmp_path / "err").read_text() == ""


def test_no_child_outlives_the_process_that_wanted_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CAMPAIGN, str(settings(tmp_path))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as campaign:
        assert campaign.stdout
        pids = campaign.stdout.readline().split()
        assert len(pids) == 2
        assert all(map(alive, pids))
        campaign.kill()
    until("both are gone", lambda: not any(map(alive, pids)))


def test_a_child_is_told_of_as_killed_when_the_nursery_is(tmp_path: Path) -> None:
    with Nursery() as nursery, Daemon(settings(tmp_path), nursery=nursery) as daemon:
        daemon.says(WAITING)
        nursery.process.kill()
        assert daemon.wait() == -signal.SIGKILL
        until("it is gone", lambda: not alive(str(daemon.process.pid)))
