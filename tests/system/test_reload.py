"""SIGHUP: a good file is taken at once, a faulty one changes nothing and is told line by line."""

from __future__ import annotations

import signal

import pytest

from tests.sandbox.environment import World
from tests.system.daemon import Daemon, until
from tests.system.quick import quick
from tests.system.truth import journal, settled

pytestmark = pytest.mark.system


def test_a_faulty_file_keeps_the_old_settings_and_says_where_and_why(world: World) -> None:
    world.add("old")
    path = quick(world)
    with Daemon(path).ready() as daemon:
        until("published", lambda: settled(world, "old"))
        path.write_text(path.read_text().replace('every = "1d"', 'every = "soon"'))
        daemon.send(signal.SIGHUP)
        refused = daemon.says("settings.refused")
        assert (refused["key"], refused["file"]) == ("defaults.every", str(path))
        assert refused["line"] == 1 + path.read_text()[: path.read_text().index("every =")].count("\n")
        assert not daemon.heard("settings.reloaded")
        assert daemon.ask("old", patient=True)[-1]["exit"] == 0


def test_a_good_file_brings_a_new_credential_and_takes_an_old_one_away(world: World) -> None:
    world.add("old")
    world.add("staying")
    with Daemon(quick(world)).ready() as daemon:
        until("published", lambda: settled(world, "old") and settled(world, "staying"))
        world.add("new")
        quick(world, only=["staying", "new"])
        daemon.send(signal.SIGHUP)
        assert daemon.says("settings.reloaded")["credentials"] == 2
        until("the new one is published", lambda: settled(world, "new"))
        assert daemon.ask("staying", patient=True)[-1]["exit"] == 0
        gone = daemon.ask("old")[-1]
        assert gone["exit"] == 2
        assert "no credential is called 'old'" in gone["error"]
        assert journal(world, "old")["rotation"] == "1"  # what it had stays as it was


def test_a_new_socket_waits_for_a_restart_and_says_so(world: World) -> None:
    world.add("bot")
    with Daemon(quick(world)).ready() as daemon:
        quick(world, daemon={"socket": str(world.folder / "other.sock")})
        daemon.send(signal.SIGHUP)
        assert "restart" in daemon.says("settings.postponed")["said"]
        assert daemon.ask("bot", patient=True)[-1]["exit"] == 0


def test_a_rotation_in_grace_keeps_its_grace_when_settings_shorten_it_for_later_ones(world: World) -> None:
    world.add("bot")
    with Daemon(quick(world, defaults={"every": "1d", "lifetime": "30d", "retire": {"after": "1h"}})).ready() as daemon:
        until("published", lambda: settled(world, "bot"))
        assert daemon.ask("bot")[-1]["verdicts"][0]["answer"] == "published"
        quick(world, defaults={"every": "1d", "lifetime": "30d", "retire": {"after": "1s"}})
        daemon.send(signal.SIGHUP)
        daemon.says("settings.reloaded")
        with pytest.raises(TimeoutError):
            until("condemned", lambda: journal(world, "bot")["phase"] != "published", 4)


def test_changed_settings_are_taken_by_themselves_and_faulty_ones_refused_once(world: World) -> None:
    """A config map's volume: the file is a link through another one, which is swapped."""
    world.add("old")
    world.add("new")
    path = quick(world, only=["old"], daemon={"watch": True})
    sound, more = path.read_text(), quick(world, only=["old", "new"], daemon={"watch": True}).read_text()

    def swap(number: int, text: str) -> None:
        folder = path.parent / f"..{number}"
        folder.mkdir()
        (folder / path.name).write_text(text)
        (path.parent / "..next").symlink_to(folder.name)
        (path.parent / "..next").replace(path.parent / "..data")

    swap(1, sound)
    path.unlink()
    path.symlink_to(f"..data/{path.name}")
    with Daemon(path).ready() as daemon:
        until("published", lambda: settled(world, "old"))
        swap(2, more.replace('every = "1d"', 'every = "soon"'))
        assert daemon.says("settings.refused")["key"] == "defaults.every"
        swap(3, more)
        assert daemon.says("settings.reloaded")["credentials"] == 2
        until("the new one is published", lambda: settled(world, "new"))
        assert len(daemon.heard("settings.refused")) == 1
        assert len(daemon.heard("settings.reloaded")) == 1
