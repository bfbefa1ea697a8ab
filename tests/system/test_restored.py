"""A Vault that goes back to an older copy, and a copy beside the original: on a real one, with real daemons."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.sandbox.environment import World
from tests.sandbox.openbao import Storage
from tests.system.daemon import Daemon, converse, rotate, until
from tests.system.prober import Prober
from tests.system.quick import quick
from tests.system.truth import faults_of, journal, living, settled

pytestmark = pytest.mark.system


@pytest.fixture
def stored() -> Iterator[World]:
    """A world whose Vault keeps its data on disk."""
    with World(storage=Storage.RAFT) as made:
        yield made


def shown(path: Path) -> tuple[int, dict[str, str]]:
    ended = rotate(path, "verify", "--all", "--json")
    assert ended.stdout, ended.stderr
    return ended.returncode, {each["credential"]: each["answer"] for each in json.loads(ended.stdout)}


def test_a_restored_vault_is_noticed_held_claimed_and_cured(stored: World) -> None:
    world = stored
    world.add("bot")
    path = quick(world)
    with Daemon(path).ready() as daemon:
        until("published", lambda: settled(world, "bot"))
        old = journal(world, "bot")["stem"]
        kept = world.bao.back_up()
        copied = beats(world)
        assert daemon.ask("bot", within=20)[-1]["exit"] == 0
        until("the predecessor is dead", lambda: settled(world, "bot", 2))
        until("a heartbeat since the copy", lambda: beats(world) > copied, 30)
        world.bao.restore(kept)
        began = time.monotonic()
        daemon.says("vault.reverted", seconds=40)
        until("held", lambda: journal(world, "bot").get("phase") == "held", 30)
        noticed = time.monotonic() - began
        assert len(living(world, old)) == 1  # what consumers had, and nobody ends it unasked
        assert shown(path) == (5, {"bot": "refused"})
        assert daemon.ask("bot")[-1]["exit"] == 3
        listed = rotate(path, "strays")
        assert (listed.returncode, "with a later number" in listed.stderr) == (1, True), listed
        claim = {"verb": "claim", "names": [], "everything": True, "labels": {}, "by": "test"}
        began = time.monotonic()
        assert converse(daemon.socket, claim)[-1]["exit"] == 0
        until("consumers work", lambda: world.halo.accepts(world.published("bot")), 60)
        cured = time.monotonic() - began
        window = f"held {noticed:.1f} s after the restore, cured {cured:.1f} s after the claim"
        print(f"consumers were refused: {window}")  # noqa: T201 - the figures are for the reader of the test run
        until("cured", lambda: settled(world, "bot", 2), 60)
        with Prober(world) as consumer:
            consumer.watch("bot")
            until("consumers work", lambda: consumer.probes > 20)
        assert not consumer.violations
        assert rotate(path, "strays", "--reap", "--unclaimed", "--yes").returncode == 0
    assert living(world, old) == []
    assert not faults_of(world, "bot")


def beats(world: World) -> int:
    """How often the daemon wrote its own document."""
    return int(world.bao.call("GET", f"{world.mount}/metadata/rotator/node/daemon")["data"]["current_version"])


def test_a_copy_beside_the_original_ends_nothing_of_its_and_looks_only_when_told_so(stored: World) -> None:
    world = stored
    world.add("bot")
    path = quick(world)
    assert rotate(path, "now", "bot").returncode == 0
    with closing(world.bao.copied(world.bao.back_up())) as other:
        world.bao.await_kv(world.mount)
        other.await_kv(world.mount)
        copy = quick(world, "copy", vault=other.address)
        with Daemon(copy).ready() as twin:
            assert rotate(path, "now", "bot", "--wait").returncode == 0
            value = world.published("bot")
            assert twin.ask("bot")[-1]["exit"] == 3  # under the name that the original has taken
            assert world.halo.accepts(value)
        copy = quick(world, "copy", vault=other.address, daemon={"read_only": True})
        with Daemon(copy).ready() as twin:
            refused = {verb: converse(twin.socket, {"verb": verb, "names": ["bot"], "by": "test"})[-1] for verb in ACTS}
            assert {each.get("exit") for each in refused.values()} == {2}, refused
            assert all("read_only" in each["error"] for each in refused.values())
            assert "read_only" in rotate(copy, "status").stderr
        ended = rotate(copy, "revoke", "bot")
        assert (ended.returncode, "read_only" in ended.stderr) == (2, True), ended
    assert world.halo.accepts(value)
    assert rotate(path, "now", "bot", "--wait").returncode == 0
    assert not faults_of(world, "bot")


ACTS = ("now", "undo", "pause", "resume", "release", "claim", "adopt")
