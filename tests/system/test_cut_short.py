"""A command that is asked to end does so soon, at a safe point, and says of each credential what is true of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.sandbox.environment import World
from tests.system.daemon import rotate, until
from tests.system.quick import quick
from tests.system.truth import PATS, journal, settled

pytestmark = pytest.mark.system
SOON = 10.0  # seconds that are promised


def begun(path: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "rotator", "-c", str(path), *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)


def ended(work: subprocess.Popen[str]) -> tuple[int, str, float]:
    """By SIGTERM: the exit code, what was said, and after how many seconds."""
    sent = time.monotonic()
    work.send_signal(signal.SIGTERM)
    said, more = work.communicate(timeout=3 * SOON)
    return work.returncode, said + more, time.monotonic() - sent


def at_work(work: subprocess.Popen[str], world: World) -> bool:
    """Whether a process is connected to Vault: by then a command heeds signals itself, and not only its entry point."""
    port = f":{int(world.bao.address.rsplit(':', 1)[1]):04X}"
    sockets = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    theirs = {f"socket:[{fields[9]}]" for fields in sockets if fields[2].endswith(port)}
    for each in Path(f"/proc/{work.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed since
            if str(each.readlink()) in theirs:
                return True
    return False


def test_now_of_many_tells_what_was_begun_from_what_was_not(world: World) -> None:
    names = ("ada", "bob", "eve")
    for name in names:
        world.add(name)
    path = quick(world, target={"in_flight": 1})
    world.halo.fault(kind="slow", method="POST", path=PATS, delay=1.5, times=3)
    work = begun(path, "now", "ada", "bob", "eve", "--wait", "--json")
    until("one is being worked on", lambda: any(journal(world, name).get("phase") == "requested" for name in names))
    code, said, seconds = ended(work)
    assert (code, seconds < SOON) == (75, True), said
    [verdicts] = [line["verdicts"] for line in map(json.loads, said.splitlines()) if "verdicts" in line]
    words = {each["credential"]: each["said"] for each in verdicts}
    goes_on = "it is written down in Vault, and a daemon goes on with it, or `rotate due`"
    for name, told in words.items():  # how far it came is for the machine's speed to say
        phase = journal(world, name).get("phase")
        so_far = f"; rotation 1 is {phase} in its journal" if phase else ""
        assert told.startswith(f"undecided: cut short by SIGTERM{so_far}; {goes_on}"), words
    left = [record for name in names if (record := journal(world, name))]
    assert {record["lease"]["holder"] for record in left} == {""}, "leases are given back"
    assert rotate(path, "due").returncode == 0
    assert all(settled(world, name) for name in names), "what was asked for is carried out by whoever comes next"


def test_due_does_each_once_and_ends_soon_when_it_is_asked_to(world: World) -> None:
    world.add("often", every="1m", limits={"mints_per_day": 2000})
    path = quick(world)
    started = time.monotonic()
    done = rotate(path, "due", "--json")
    assert (done.returncode, json.loads(done.stdout)["done"]) == (0, ["often"]), done.stderr
    assert time.monotonic() - started < 45, "a pass ends although the next rotation is due within a minute"
    assert journal(world, "often")["rotation"] == "1"
    work = begun(path, "due")  # it stays, as the next rotation is due within a minute
    until("it works", lambda: at_work(work, world))
    time.sleep(2)
    assert work.poll() is None
    code, said, seconds = ended(work)
    assert (code, seconds < SOON) == (75, True), said
    assert "cut short by SIGTERM; a daemon or the next `rotate due` goes on" in said
    assert "nothing was due" not in said
    assert journal(world, "often")["rotation"] == "1"
