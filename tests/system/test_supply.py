"""A credential that only a person can make: it waits where everybody sees it, takes what is brought, and proves it."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rotator.rotation.secret import Secret
from tests.sandbox.environment import World
from tests.system.daemon import Daemon, rotate, until
from tests.system.quick import quick
from tests.system.truth import PATS, journal, staged_remains

pytestmark = pytest.mark.system

CLICKS = "open the console of the tool, Users, bot, New token"
SETTINGS = """
[targets.tool]
kind = "http"
url = "{url}"
settle = "1s"
timeout = "1s"
deadline = "2s"

[credentials.tool]
target = "tool"
path = "apps/tool/halo"
probe = "{probe}"
instructions = "{clicks}"
ending = "open the console of the tool, Users, bot, delete the old token"
"""


def supply(path: Path, name: str, value: bytes, *options: str) -> subprocess.CompletedProcess[str]:
    """`rotate supply` with a value on its standard input."""
    command = [sys.executable, "-m", "rotator", "-c", str(path), "supply", name, *options]
    done = subprocess.run(command, input=value, capture_output=True, timeout=60)
    return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture
def settings(world: World) -> Path:
    """A world with a credential of ours, and one of a person's on the same server."""
    world.add("bot")
    path = quick(world)
    path.write_text(path.read_text() + SETTINGS.format(url=world.halo.url, probe=PATS, clicks=CLICKS))
    world.credentials["tool"] = {"path": "apps/tool/halo"}
    return path


def test_a_person_is_told_what_to_do_and_what_they_bring_is_proven_and_published(
    world: World, settings: Path, tmp_path: Path
) -> None:
    with Daemon(settings).ready() as daemon:
        until("waiting", lambda: journal(world, "tool").get("phase") == "awaiting")
        for verb in ("explain", "status"):
            assert CLICKS in rotate(settings, verb, "tool").stdout
        assert daemon.heard("person.awaited")
        asked = rotate(settings, "now", "tool")
        assert (asked.returncode, CLICKS in asked.stdout) == (3, True)

        wrong = supply(settings, "tool", b"canary-supplied-wrong-41c7")
        assert wrong.returncode == 1, wrong.stdout
        assert "the probe refuses the token" in wrong.stdout
        assert journal(world, "tool")["phase"] == "awaiting"

        first = world.halo.mint("by-hand-1", ["super-role"])
        taken = supply(settings, "tool", first.reveal().encode() + b"\n")
        assert taken.returncode == 0, taken.stdout + taken.stderr
        assert world.published("tool").matches(first)
        until("settled", lambda: journal(world, "tool")["phase"] == "settled")
        assert not staged_remains(world, "tool")
        checked = rotate(settings, "check")
        assert checked.returncode == 0, checked.stdout
        assert f"mint (tool): not tried, as a person does it: {CLICKS}" in checked.stdout
        assert "published (tool): what consumers read is accepted" in checked.stdout

        second = world.halo.mint("by-hand-2", ["super-role"])
        kept = tmp_path / "value"
        kept.write_text(second.reveal())
        ends = f"{datetime.now(UTC) + timedelta(days=100):%F}"
        assert supply(settings, "tool", b"", "--file", str(kept), "--expires", ends).returncode == 0
        assert f"it expires at {ends} 00:00:00Z" in rotate(settings, "explain", "tool").stdout
        assert world.published("tool").matches(second)
        assert world.halo.accepts(first)
        assert journal(world, "tool")["predecessor"]["rotation"] == "1"


@pytest.mark.parametrize(
    ("name", "value", "exit_code", "said"),
    [
        ("bot", b"canary-supplied-in-vain-9d", 1, "makes its own values"),
        ("tool", b"", 2, "no value was given"),
        ("tool", b"\xff\xfe", 2, "not UTF-8"),
        ("tool", b"x" * 70_000, 2, "longer than 64 KiB"),
        ("toool", b"canary-supplied-in-vain-9d", 2, "tool"),
    ],
)
def test_what_cannot_be_handed_over_is_refused_in_words(
    settings: Path, name: str, value: bytes, exit_code: int, said: str
) -> None:
    done = supply(settings, name, value)
    assert (done.returncode, said in done.stderr) == (exit_code, True), done.stderr


def test_a_value_that_is_over_already_is_not_taken(world: World, settings: Path) -> None:
    done = supply(settings, "tool", b"canary-supplied-in-vain-9d", "--expires", "2020-01-01")
    assert (done.returncode, "is over already" in done.stderr) == (2, True), done.stderr
    assert not journal(world, "tool")


def test_a_probe_that_accepts_anyone_is_refused_before_anything_is_staged(world: World, settings: Path) -> None:
    settings.write_text(settings.read_text().replace(f'probe = "{PATS}"', 'probe = "/actuator/health"'))
    done = supply(settings, "tool", world.halo.mint("by-hand", ["super-role"]).reveal().encode())
    assert done.returncode == 1
    assert "accepts anyone" in done.stderr
    assert not journal(world, "tool")


def test_a_value_on_the_command_line_is_not_taken(settings: Path) -> None:
    done = rotate(settings, "supply", "tool", Secret("canary-on-argv-77").reveal())
    assert done.returncode == 2
    assert "canary-on-argv-77" not in done.stdout
