"""What an operator asked for outlives whoever was asked: kill -9 once it is acknowledged, another holder, no daemon."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from rotator.rotation.secret import Secret
from tests.sandbox.environment import World
from tests.system.daemon import Daemon, rotate, until
from tests.system.quick import TAKEN_OVER, quick
from tests.system.truth import journal, living, settled

pytestmark = pytest.mark.system

HOUR = {"retire": {"after": "1h"}}


@pytest.fixture
def leaked(world: World) -> tuple[World, Path, list[str], list[Secret]]:
    """Two values live, one published and one in an hour of grace, and another process has the lease."""
    world.add("bot")
    path = quick(world, defaults=HOUR)
    values = []
    for _ in range(2):
        assert rotate(path, "now", "bot").returncode == 0
        values.append(world.published("bot"))
    return world, path, living(world, str(journal(world, "bot")["stem"])), values


def hold(world: World, seconds: float = 60.0) -> None:
    """Another process works on it, and is not heard of any more; its lease is over after 1.25 times so long."""
    record = journal(world, "bot")
    record["lease"] = {**record["lease"], "holder": "elsewhere/1/x", "ttl": f"{seconds}"}
    world.bao.call("POST", f"{world.mount}/data/rotator/journal/bot", {"data": record})


def test_revoke_outlives_the_daemon_that_acknowledged_it_and_waits_for_no_grace(leaked) -> None:
    world, path, tokens, values = leaked
    hold(world)
    with Daemon(path).ready() as daemon:
        line = daemon.begin("bot", emergency=True, by="ada")
        assert line["accepted"] == 1
        daemon.kill()
    assert all(map(world.halo.accepts, values))
    hold(world, seconds=1.0)
    began = time.monotonic()
    with Daemon(path).ready() as daemon:
        until("dead", lambda: not any(map(world.halo.accepts, values)), seconds=TAKEN_OVER + 15)
        until("settled", lambda: settled(world, "bot", 3))
        assert daemon.heard("request.taken", credential="bot")
    assert time.monotonic() - began < TAKEN_OVER + 15
    assert world.halo.accepts(world.published("bot"))
    assert not set(tokens) & set(living(world, str(journal(world, "bot")["stem"])))
    assert "asked" not in journal(world, "bot")


def test_without_a_daemon_revoke_that_could_do_nothing_says_so_and_due_carries_it_out(leaked) -> None:
    world, path, _, values = leaked
    hold(world)
    ended = rotate(path, "revoke", "bot", "--within", "3s")
    assert ended.returncode == 75, ended.stdout + ended.stderr
    assert "written down in Vault" in ended.stdout + ended.stderr
    assert "not proven dead yet" in ended.stdout
    assert all(map(world.halo.accepts, values))
    hold(world, seconds=1.0)
    ended = rotate(path, "due", "--within", "40s")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert not any(map(world.halo.accepts, values))
    assert settled(world, "bot", 3)


def test_now_in_a_grace_says_until_when_and_with_wait_rotates_after_it(world: World) -> None:
    world.add("bot")
    path = quick(world, defaults={"retire": {"after": "10s"}})
    with Daemon(path).ready():
        until("published", lambda: settled(world, "bot"))
        assert rotate(path, "now", "bot").returncode == 0
        ended = rotate(path, "now", "bot")
        assert ended.returncode == 75
        assert "nothing was begun: the predecessor is in grace until" in ended.stdout
        assert "--wait waits for that" in ended.stdout
        assert "written down" not in ended.stdout + ended.stderr, "nothing comes of it"
        quick(world)  # a second of grace from here on, for the next predecessor
        assert rotate(path, "reload").returncode == 0
        ended = rotate(path, "now", "bot", "--wait", "--within", "45s")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "bot: done: rotation 3" in ended.stdout


@pytest.mark.parametrize("daemon", [True, False], ids=["with a daemon", "without one"])
def test_a_leak_while_vault_is_sealed_is_ended_by_hand_and_rotated_once_vault_is_back(
    world: World, daemon: bool, tmp_path: Path
) -> None:
    world.add("bot")
    path = quick(world, audit={"file": str(tmp_path / "receipts")})
    assert rotate(path, "now", "bot").returncode == 0
    [token] = living(world, str(journal(world, "bot")["stem"]))
    leaked = world.published("bot")
    with Daemon(path).ready() if daemon else nullcontext():
        world.bao.seal()
        work = subprocess.Popen(
            [sys.executable, "-m", "rotator", "-c", str(path), "revoke", "bot", "--wait"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert work.stdout
        said = next(line for line in work.stdout if "By hand" in line)
        assert f"end {token} at target" in said
        action = f"/apis/uc.api.security.halo.run/v1alpha1/personalaccesstokens/{token}/actions/revocation"
        assert f"{world.halo.url}{action}" in said
        assert world.halo.call("PUT", action)[0] == 200
        assert not world.halo.accepts(leaked)
        world.bao.unseal()
        rest, _ = work.communicate(timeout=70)
    assert work.returncode == 0, rest
    assert "written down in Vault" in rest
    assert (
        "is dead, its value is refused; revoked (already)" in rest or "it replaces a value that fails its proof" in rest
    )
    assert world.halo.accepts(world.published("bot"))
