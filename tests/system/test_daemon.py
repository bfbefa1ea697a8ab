"""The life of `rotate run`: it says when it is ready, stops between two steps, and hands its work over at once."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable

import pytest

from tests.sandbox.environment import World
from tests.system.daemon import Daemon, converse, rotate, until
from tests.system.quick import TAKEN_OVER, quick
from tests.system.truth import PATS, faults_of, journal, settled

pytestmark = pytest.mark.system


def test_it_says_what_it_begins_with_and_when_every_name_was_looked_at_in_json_lines_only(world: World) -> None:
    world.add("one")
    world.add("two")
    with Daemon(quick(world), executed=True) as daemon:
        assert daemon.says("daemon.readied")["credentials"] == 2
        assert (
            daemon.lines()[0] | {"event": "daemon.started", "instance": "daemon", "credentials": 2}
            == (daemon.lines()[0])
        )
        assert converse(daemon.socket, {"verb": "ping"})[0]["alive"] is True
        until("both published", lambda: all(settled(world, name) for name in ("one", "two")))
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0
        assert not daemon.socket.exists()
        for line in daemon.log.read_text().splitlines():
            assert {"event", "level", "timestamp"} <= json.loads(line).keys()
        assert daemon.lines()[-1]["event"] == "daemon.stopped"


def test_a_stop_in_mid_rotation_ends_at_the_next_boundary_and_another_daemon_goes_on_without_waiting_for_the_lease(
    world: World, figures: Callable[[str], None]
) -> None:
    world.add("bot")
    world.halo.fault(kind="slow", method="POST", path=f"{PATS}$", delay=0.8)
    first, second = quick(world, "first"), quick(world, "second")
    with Daemon(first) as daemon:
        until("the mint is on its way", lambda: journal(world, "bot").get("phase") == "requested")
        stopped = time.monotonic()
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0
        took = time.monotonic() - stopped
        # The daemon began nothing new, and the token that was on its way is not lost.
        assert [x["event"] for x in daemon.lines() if "phase" in x] == ["rotation.requested", "candidate.staged"]
    assert journal(world, "bot")["phase"] == "staged"
    assert journal(world, "bot")["lease"]["holder"] == ""
    with Daemon(second).ready():
        began = time.monotonic()
        until("the second daemon finishes", lambda: settled(world, "bot"), TAKEN_OVER / 2)
        figures(
            f"a stop in mid-mint takes {took:.1f} s, the next daemon finishes {time.monotonic() - began:.1f} s later"
        )
    assert journal(world, "bot")["rotation"] == "1"
    assert not faults_of(world, "bot")


def test_another_daemon_that_runs_already_takes_over_what_a_killed_one_held(
    world: World, figures: Callable[[str], None]
) -> None:
    world.add("bot")
    world.halo.fault(kind="slow", method="POST", path=f"{PATS}$", delay=0.8, skip=1)
    first, second = (quick(world, name, daemon={"reconcile": "10s"}) for name in ("first", "second"))
    with Daemon(first) as daemon:
        until("published", lambda: settled(world, "bot"))
        with Daemon(second).ready():
            daemon.begin("bot")
            until("the mint is on its way", lambda: journal(world, "bot")["phase"] == "requested")
            daemon.kill()
            killed = time.monotonic()
            until("rotation 2", lambda: settled(world, "bot", 2), 10 + TAKEN_OVER + 10)
            figures(f"another daemon, looking every 10 s, takes over {time.monotonic() - killed:.1f} s after the kill")
    assert not faults_of(world, "bot")


def test_a_stop_does_not_wait_longer_than_the_drain_limit(world: World) -> None:
    world.add("bot")
    world.halo.fault(kind="slow", method="POST", path=f"{PATS}$", delay=10, times=None)
    hangs = {"timeout": "12s", "deadline": "12s"}
    with Daemon(quick(world, daemon={"drain": "1s", "lease": "30s"}, target=hangs)) as daemon:
        until("the mint is on its way", lambda: journal(world, "bot").get("phase") == "requested")
        stopped = time.monotonic()
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0
        assert time.monotonic() - stopped < 4


def test_a_second_daemon_on_the_same_socket_is_refused_with_words_and_leaves_the_first_one_alone(world: World) -> None:
    world.add("bot")
    path = quick(world)
    with Daemon(path).ready() as first, Daemon(path) as second:
        assert second.wait() == 1
        assert "another daemon listens on" in second.last_words()
        assert "give this one its own [daemon] socket" in second.last_words()
        assert "Traceback" not in second.log.read_text()
        assert converse(first.socket, {"verb": "ping"})[0]["alive"] is True


def test_a_socket_left_behind_by_a_kill_is_taken_over(world: World) -> None:
    world.add("bot")
    path = quick(world)
    with Daemon(path).ready() as first:
        first.kill()
        first.wait()
        assert first.socket.exists()
        with Daemon(path).ready() as second:
            assert converse(second.socket, {"verb": "ping"})[0]["alive"] is True


def test_a_socket_folder_that_does_not_exist_is_told_in_one_sentence(world: World) -> None:
    world.add("bot")
    with Daemon(quick(world, daemon={"socket": str(world.folder / "nowhere" / "s.sock")})) as daemon:
        assert daemon.wait() == 1
        assert "set [daemon] socket to a writable folder" in daemon.last_words()
        assert "Traceback" not in daemon.log.read_text()


def test_faulty_settings_end_it_with_78_before_it_calls_anybody(world: World) -> None:
    world.add("bot", everry="1d")
    ended = rotate(quick(world), "run")
    assert ended.returncode == 78
    assert "every" in ended.stderr
    assert journal(world, "bot") == {}
