"""An emergency without a daemon, whose reader leaves and whose log has no room, runs to its end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.sandbox.environment import World
from tests.system.daemon import rotate
from tests.system.quick import quick
from tests.system.truth import journal, living, settled

pytestmark = pytest.mark.system


def test_a_revoke_whose_output_is_cut_off_ends_every_old_value(world: World) -> None:
    world.add("bot")
    path = quick(world)
    assert rotate(path, "now", "bot").returncode == 0
    leaked = world.published("bot")
    command = [sys.executable, "-m", "rotator", "-c", str(path), "revoke", "bot"]
    with Path("/dev/full").open("wb") as full, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=full) as work:
        assert work.stdout
        assert work.stdout.readline().startswith(b"bot ")
        work.stdout.close()
        assert work.wait(60) == 0
    assert settled(world, "bot", 2)
    assert not world.halo.accepts(leaked)
    assert world.halo.accepts(world.published("bot"))
    record = journal(world, "bot")
    assert living(world, str(record["stem"])) == [f"{record['stem']}-r2-a1"]
