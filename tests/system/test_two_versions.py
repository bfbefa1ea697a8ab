"""A release beside the one before, and taken back: both read and write one journal, and consumers notice nothing."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from rotator.ports import Lease
from rotator.rotation.ownership import known
from rotator.rotation.record import Held, HoldReason, Trigger
from rotator.vault.journal_codec import decode, encode
from tests.sandbox.environment import World
from tests.system.daemon import Daemon, until
from tests.system.prober import Prober
from tests.system.quick import TAKEN_OVER, quick
from tests.system.truth import PATS, faults_of, journal, settled
from tests.unit.rotation.builders import NOW
from tests.unit.rotation.reached import reachable

pytestmark = pytest.mark.system

FIRST = "b46e0629d65ae5231e8f476b71f505b9a43d65eb"  # the release that every later one works beside
NAMES = ("one", "two")
_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of the first release, out of the history."""
    git = ("git", "-C", str(_ROOT), "archive", FIRST, "rotator")
    found = subprocess.run(git, capture_output=True, check=False)
    if found.returncode:
        pytest.skip(f"this tree has no history with {FIRST[:7]} in it, so the two versions are not tried side by side")
    folder = tmp_path_factory.mktemp("first")
    with tarfile.open(fileobj=io.BytesIO(found.stdout)) as tree:
        tree.extractall(folder, filter="data")
    return folder


@pytest.fixture
def consumers(world: World) -> Iterator[Prober]:
    with Prober(world) as prober:
        yield prober


@pytest.mark.timeout(180)
def test_two_versions_share_the_work_take_over_from_each_other_and_the_newer_one_can_be_taken_back(
    world: World, consumers: Prober, first: Path, figures: Callable[[str], None]
) -> None:
    for name in NAMES:
        world.add(name)
    daemons: list[Daemon] = []
    with ExitStack() as stack:

        def start(instance: str, *only: str, old: bool) -> Daemon:
            path = quick(world, instance, only=only)
            daemons.append(stack.enter_context(Daemon(path, source=first if old else None)))
            return daemons[-1].ready()

        began = time.monotonic()
        old, new = start("old", old=True), start("new", old=False)
        consumers.watch(*NAMES)
        until("both settled", lambda: all(settled(world, name) for name in NAMES))

        slow = world.halo.fault(kind="slow", method="POST", path=f"{PATS}$", delay=1.5, times=None)
        _ask(one=old, two=new)
        until("a mint of each is under way", lambda: _holds(world, "one", "old") and _holds(world, "two", "new"))
        for daemon in (old, new):
            daemon.kill()
            daemon.wait()
        world.halo.call("DELETE", f"/_sandbox/faults/{slow}")
        killed = time.monotonic()
        newer, older = start("newer", "one", old=False), start("older", "two", old=True)
        until("both went on", lambda: all(settled(world, name, 2) for name in NAMES), TAKEN_OVER + 30)
        took = time.monotonic() - killed
        assert took >= TAKEN_OVER / 2

        newer.kill()
        older.kill()
        last = start("taken-back", old=True)
        _ask(one=last, two=last)
        until("both settled", lambda: all(settled(world, name, 3) for name in NAMES))
        whole = time.monotonic() - began
    assert not [fault for name in NAMES for fault in faults_of(world, name)]
    assert not consumers.violations
    refused = [
        f"{each.log.name}: {line}" for each in daemons for line in each.log.read_text().splitlines() if _bad(line)
    ]
    assert not refused
    figures(
        f"two versions: {whole:.1f} s, taken over {took:.1f} s after the kills, {consumers.probes} uses of the values"
    )


_REWRITE = """
import json, sys
from dataclasses import replace
from rotator.vault.document import decode, encode
for line in sys.stdin:
    entry = decode("bot", 1, json.loads(line))
    print(json.dumps(encode(entry.record, replace(entry.lease, seq=entry.lease.seq + 1), "n", entry.foreign)))
"""


def test_the_first_release_reads_every_record_and_loses_nothing_that_lives(first: Path) -> None:
    found = [each.record for each in reachable()[::10]]
    found += [replace(each, why=Trigger.LOST) for each in found[:20]]
    two = [Held(HoldReason.TWO_VAULTS, "two", NOW, each.reached) for each in found[:200]]
    found += [replace(each, state=held) for each, held in zip(found, two, strict=False)]
    documents = "".join(f"{json.dumps(encode(each, Lease(), 'n', {}))}\n" for each in found)
    ended = subprocess.run(
        [sys.executable, "-c", _REWRITE],
        input=documents,
        capture_output=True,
        text=True,
        check=False,
        cwd=first,
        env={**os.environ, "PYTHONPATH": str(first)},
    )
    assert ended.returncode == 0, ended.stderr[-800:]
    for before, line in zip(found, ended.stdout.splitlines(), strict=True):
        after = decode("bot", 1, json.loads(line)).record
        assert after is not None
        assert (after.phase, known(after), after.unended) == (before.phase, known(before), before.unended)


def _bad(line: str) -> bool:
    return any(word in line for word in ("cannot be read", "newer rotator", "Traceback", "visit.failed"))


def _ask(**daemons: Daemon) -> None:
    """Ask each for a rotation of one name, and do not wait for it."""
    for name, daemon in daemons.items():
        daemon.begin(name)


def _holds(world: World, name: str, instance: str) -> bool:
    """Whether the daemon has journalled a mint and has not heard of it yet."""
    record = journal(world, name)
    return record["phase"] == "requested" and instance in record["lease"]["holder"]
