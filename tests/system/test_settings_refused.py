"""One team's typo: the daemon goes on and says so, and nobody's `revoke` is blocked by it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.environment import World
from tests.system.daemon import Daemon, rotate, until
from tests.system.quick import quick
from tests.system.truth import settled

pytestmark = pytest.mark.system


def test_a_refused_reload_is_told_everywhere_and_verbs_ask_the_daemon(world: World) -> None:
    world.add("bot")
    path = quick(world, daemon={"log_level": "info"})
    sound = path.read_text()
    with Daemon(path).ready() as daemon:
        until("published", lambda: settled(world, "bot"))
        done = rotate(path, "reload")
        assert (done.returncode, done.stdout) == (0, "reloaded: 1 credential\n")

        path.write_text(sound + '\n[credentials.bot2]\ntarget = "hallo"\nevery = soon\n')
        refused = rotate(path, "reload")
        assert refused.returncode == 78
        assert f"{path}:" in refused.stderr
        assert "refused: the settings before stay in force, and the next start will fail" in refused.stderr
        assert daemon.heard("settings.refused")

        shown = rotate(path, "status", "--json")
        assert (shown.returncode, [row["name"] for row in json.loads(shown.stdout)]) == (0, ["bot"]), shown.stderr
        assert "works by those that it has read before; its next start will fail" in shown.stderr
        assert "is published" in rotate(path, "explain", "bot").stdout
        for look in ("verify bot", "plan", "strays", "unused", "history bot", "claim --yes"):
            found = rotate(path, *look.split())
            assert (found.returncode, "1 fault" in found.stderr or "faults" in found.stderr) == (0, True), found.stderr
        leaked = world.published("bot")
        ended = rotate(path, "revoke", "bot")
        assert ended.returncode == 0, ended.stderr
        assert "the running daemon is asked, which works by those that it has read before" in ended.stderr
        assert not world.halo.accepts(leaked)
        assert rotate(path, "now", "nobody").returncode == 2
        assert rotate(path, "pause", "bot").returncode == 0

        path.write_text(sound)
        assert "the daemon refused the settings when it last read them" in rotate(path, "status").stderr
        assert rotate(path, "reload").returncode == 0
        assert "refused" not in rotate(path, "status").stderr
        path.write_text(sound + "\n[credentials.bot2\n")
    alone = rotate(path, "revoke", "bot")
    assert alone.returncode == 78, "without a daemon nobody knows better"


def test_who_may_not_log_in_is_served_by_the_daemon_and_the_daemon_notes_what_verify_saw(world: World) -> None:
    world.add("bot")
    path = quick(world)
    with Daemon(path).ready():
        until("published", lambda: settled(world, "bot"))
        mine = path.with_name("mine.toml")
        mine.write_text(path.read_text().replace(str(world.secret_id), "/nowhere"))
        for look in ("verify bot", "strays", "unused", "history bot", "claim --yes"):
            found = rotate(mine, *look.split())
            assert found.returncode == 0, (look, found.stderr)
        before = shown(path)["accepted_at"]
        assert rotate(mine, "verify", "bot").returncode == 0
        assert shown(path)["accepted_at"] > before
    assert rotate(mine, "verify", "bot").returncode == 1, "without a daemon it needs a login of its own"


def shown(path: Path) -> dict[str, Any]:
    """What the daemon says of the credential."""
    [row] = json.loads(rotate(path, "status", "--json").stdout)
    return dict(row)
