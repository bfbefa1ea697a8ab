"""`pause --all` is a fact about the installation: it holds for what a reload adds, and for every process."""

from __future__ import annotations

import signal

import pytest

from tests.sandbox.environment import World
from tests.system.daemon import Daemon, rotate, until
from tests.system.quick import quick
from tests.system.truth import journal, settled

pytestmark = pytest.mark.system


def test_a_pause_of_all_holds_for_who_joins_is_shown_everywhere_and_ends_with_resume_all(world: World) -> None:
    world.add("bot")
    path = quick(world)
    with Daemon(path).ready() as daemon:
        until("published", lambda: settled(world, "bot"))
        ended = rotate(path, "pause", "--all", "--reason", "freeze")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "--all: paused: paused with --all by" in ended.stdout
        world.add("late")
        quick(world)
        daemon.send(signal.SIGHUP)
        daemon.says("settings.reloaded", credentials=2)
        refused = rotate(path, "now", "late")
        assert refused.returncode == 3
        assert "`rotate resume --all` ends that" in refused.stdout
        assert journal(world, "late").get("rotation", "0") == "0"
    for words in (("status",), ("explain", "late"), ("plan",)):
        assert "aused with --all by" in rotate(path, *words).stdout
    assert rotate(path, "now", "bot", "--emergency").returncode == 0
    ended = rotate(path, "resume", "--all")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "what was paused with --all goes on" in ended.stdout
    assert rotate(path, "due").returncode == 0
    assert settled(world, "late")
