"""The responder's day: a leak is answered in seconds, the past can be told, and what nobody uses is found."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.sandbox.environment import World
from tests.system.daemon import Daemon, rotate, until
from tests.system.quick import quick
from tests.system.truth import faults_of, journal, settled

pytestmark = pytest.mark.system


@pytest.fixture
def settings(world: World) -> Path:
    """A world with two credentials that keep their predecessors for an hour."""
    world.add("bot", retire={"after": "1h"})
    world.add("feed", retire={"after": "1h"})
    return quick(world, audit={"file": str(world.folder / "receipts.jsonl")})


@pytest.mark.parametrize("served", [True, False], ids=["through a daemon", "alone"])
def test_every_value_that_was_valid_is_dead_seconds_after_the_command(
    world: World, settings: Path, served: bool
) -> None:
    assert rotate(settings, "now", "bot").returncode == 0
    first = world.published("bot")
    assert rotate(settings, "now", "bot").returncode == 0
    second = world.published("bot")
    assert world.halo.accepts(first), "it is in grace"
    if served:
        with Daemon(settings).ready():
            done = rotate(settings, "revoke", "bot")
    else:
        done = rotate(settings, "revoke", "bot")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not world.halo.accepts(first)
    assert not world.halo.accepts(second)
    assert world.halo.accepts(world.published("bot"))
    told = re.findall(r"bot: proven dead: .* \(([0-9.]+) s after the command\)", done.stdout)
    assert len(told) == 2
    assert all(float(each) < 60 for each in told)
    assert not faults_of(world, "bot")


def test_the_past_is_told_from_the_receipts_and_without_them_from_the_journal(world: World, settings: Path) -> None:
    for _ in range(2):
        assert rotate(settings, "now", "bot").returncode == 0
    kept = rotate(settings, "history", "bot")
    assert kept.returncode == 0
    assert "asked for by" in kept.stdout
    assert kept.stdout.index("rotation 1 begins") < kept.stdout.index("rotation 2 begins")
    assert "receipts" in kept.stderr
    settings.write_text(re.sub(r"\[audit\]\nfile = .*\n", "", settings.read_text()))
    read = rotate(settings, "history", "bot", "--json")
    moments = json.loads(read.stdout)
    assert [each["at"] for each in moments] == sorted(each["at"] for each in moments)
    assert moments[-1]["said"].startswith("Published:")
    assert {each["rotation"] for each in moments} <= {1, 2}
    assert rotate(settings, "history", "nobody").returncode == 2


def test_what_nobody_uses_is_listed_with_the_command_that_would_end_it(world: World, settings: Path) -> None:
    for name in ("bot", "feed"):
        assert rotate(settings, "now", name).returncode == 0
    assert rotate(settings, "unused").stdout == "nothing lives there unused\n"
    found = {each["token"]: each for each in json.loads(rotate(settings, "unused", "--older", "0h", "--json").stdout)}
    ours = journal(world, "bot")["current"]["token"]["id"]
    assert found[ours]["whose"] == f"published for bot at {world.mount}/apps/bot/halo"
    assert found[ours]["end"].startswith("nothing while settings have the path")
    strange = [each for each in found.values() if each["whose"] == "not ours"]
    assert len(strange) == 1, "the minter's own token"
    assert not strange[0]["end"]
    table = rotate(settings, "unused", "--older", "0h").stdout
    assert "TO END IT" in table
    assert rotate(settings, "unused", "--older", "soon").returncode == 2


def test_what_left_the_settings_is_ended_on_a_persons_word_only(world: World, settings: Path) -> None:
    for name in ("bot", "feed"):
        assert rotate(settings, "now", name).returncode == 0
    left, kept = world.published("feed"), world.published("bot")
    world.credentials.pop("feed")
    path = quick(world)
    assert rotate(path, "strays", "--reap").returncode == 0
    assert world.halo.accepts(left)
    assert rotate(path, "strays", "--unclaimed").returncode == 2
    asked = rotate(path, "strays", "--reap", "--unclaimed")
    assert asked.returncode == 2, asked.stdout
    assert "nobody is there to be asked; say --yes" in asked.stderr
    assert f"{world.mount}/apps/feed/halo" in asked.stdout + asked.stderr
    assert world.halo.accepts(left)
    assert rotate(path, "strays", "--reap", "--unclaimed", "--yes", "no-such-token").returncode == 2
    listed = json.loads(rotate(path, "unused", "--older", "0h", "--json").stdout)
    [row] = [each for each in listed if "feed" in each["whose"]]
    assert row["end"] == f"rotate strays --reap --unclaimed {row['token']}"
    assert rotate(path, *row["end"].split()[1:], "--yes").returncode == 0
    assert not world.halo.accepts(left)
    assert world.halo.accepts(kept)


def test_an_emergency_through_a_daemon_ends_settled(world: World, settings: Path) -> None:
    with Daemon(settings).ready():
        until("published", lambda: settled(world, "bot") and settled(world, "feed"))
        assert rotate(settings, "revoke", "bot", "feed").returncode == 0
    assert not faults_of(world, "bot")
    assert not faults_of(world, "feed")
