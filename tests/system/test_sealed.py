"""A sealed Vault: the daemon waits, mints nothing and revokes nothing, and goes on by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.sandbox.environment import World
from tests.system.daemon import Daemon, rotate, until
from tests.system.proxy import Call, Loss, Proxy
from tests.system.quick import quick
from tests.system.truth import faults_of, journal, living, settled

pytestmark = pytest.mark.system

WATCHED = 5.0  # seconds of seal
RECOVERED = 45.0  # seconds: pauses double up to 30 s while Vault does not answer


@contextmanager
def nothing_changes_on_the_target(world: World) -> Iterator[None]:
    """Halo may be read inside this block, no more."""
    world.halo.call("DELETE", "/_sandbox/calls")
    yield
    changes = [x for x in world.halo.call("GET", "/_sandbox/calls")[1] if x["method"] != "GET"]
    assert not changes


def test_a_daemon_that_meets_a_sealed_vault_says_so_waits_and_begins_when_it_is_open(world: World) -> None:
    world.add("bot")
    path = quick(world)
    world.bao.seal()
    with Daemon(path) as daemon:
        assert daemon.says("vault.missed")["again_in"] <= 5
        began, ended = time.monotonic(), rotate(path, "now", "bot", "--within", "3s")
        assert ended.returncode == 75
        assert "waiting for Vault: Vault is sealed" in ended.stderr
        assert time.monotonic() - began >= 2  # it ends when what is left has no room for another try
        assert daemon.process.poll() is None
        world.bao.unseal()
        until("published", lambda: settled(world, "bot"), RECOVERED)
    assert not faults_of(world, "bot")


def test_while_vault_is_sealed_an_ask_ends_undecided_and_is_answered_when_asked_again(
    world: World,
) -> None:
    world.add("bot")
    with Daemon(quick(world)).ready() as daemon:
        until("published", lambda: settled(world, "bot"))
        world.bao.seal()
        with nothing_changes_on_the_target(world):
            last = daemon.ask("bot", within=WATCHED)[-1]
        assert last["exit"] == 75
        assert "could not be written down in Vault, so nothing was begun" in last["verdicts"][0]["said"]
        assert last["verdicts"][0]["said"].endswith("ask again")
        world.bao.unseal()
        assert daemon.ask("bot", patient=True)[-1]["exit"] == 0
        until("rotation 2", lambda: settled(world, "bot", 2), RECOVERED)
    assert not faults_of(world, "bot")


def test_a_seal_in_grace_keeps_the_predecessor_alive_until_vault_is_back(world: World) -> None:
    world.add("bot")
    with Daemon(quick(world, defaults={"retire": {"after": "2s"}})).ready() as daemon:
        until("published", lambda: settled(world, "bot"))
        assert daemon.ask("bot")[-1]["verdicts"][0]["answer"] == "published"
        stem = journal(world, "bot")["stem"]
        world.bao.seal()
        with nothing_changes_on_the_target(world):
            time.sleep(WATCHED)
        assert len(living(world, stem)) == 2
        world.bao.unseal()
        until("retired", lambda: settled(world, "bot", 2), RECOVERED)
    assert not faults_of(world, "bot")


@pytest.mark.parametrize("path", ["/staged/bot", "/apps/bot/halo", "/destroy/rotator/staged/bot", "/journal/bot"])
def test_a_seal_just_before_a_write_mints_no_second_token_and_the_rotation_is_finished_later(
    world: World, path: str
) -> None:
    world.add("bot")
    sealed: list[Call] = []

    def judge(call: Call) -> Loss | None:
        if call.method == "POST" and call.path.endswith(path) and not sealed:
            sealed.append(call)
            world.bao.seal()
        return None

    with Proxy("vault", world.bao.address) as vault, Daemon(quick(world, vault=vault.url)).ready() as daemon:
        until("published", lambda: settled(world, "bot"))
        vault.judge = judge
        daemon.begin("bot")
        until("sealed", lambda: sealed)
        time.sleep(0.5)  # a call to Halo that was on its way has come to its end
        with nothing_changes_on_the_target(world):
            time.sleep(WATCHED / 2)
        world.bao.unseal()
        until("settled", lambda: settled(world, "bot", 2), RECOVERED)
    assert not faults_of(world, "bot")
