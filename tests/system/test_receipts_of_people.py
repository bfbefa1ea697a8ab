"""Whatever ends a token or changes a record leaves a receipt; required ones bar what acts, and never what looks."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.environment import World
from tests.system.daemon import Daemon, rotate
from tests.system.quick import quick
from tests.system.test_supply import SETTINGS, supply
from tests.system.truth import PATS, journal, living

pytestmark = pytest.mark.system


@pytest.fixture
def kept(world: World) -> Path:
    return world.folder / "receipts.jsonl"


@pytest.fixture
def path(world: World, kept: Path) -> Path:
    """A credential of ours and one of a person's, both settled after a rotation; receipts are required."""
    world.add("bot")
    path = quick(world, audit={"file": str(kept), "required": True})
    path.write_text(path.read_text() + SETTINGS.format(url=world.halo.url, probe=PATS, clicks="ask ada"))
    assert rotate(path, "now", "bot", "--wait").returncode == 0
    return path


def receipts(kept: Path, event: str) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, kept.read_text().splitlines()) if line["event"] == event]


def planted(world: World, name: str) -> str:
    """A living token under a mint name, as a lost answer leaves one behind."""
    spec = {"name": name, "description": f"rotator:{name}", "roles": []}
    status, made = world.halo.call("POST", PATS, {"metadata": {"name": name}, "spec": spec})
    assert status == 200
    return str(made["metadata"]["name"])


def test_what_a_person_ends_supplies_and_releases_is_in_the_receipts(world: World, path: Path, kept: Path) -> None:
    given = supply(path, "tool", world.halo.mint("by-hand", ["super-role"]).reveal().encode())
    assert given.returncode == 0, given.stderr
    assert [line["credential"] for line in receipts(kept, "value.published")] == ["bot", "tool"]

    stem = str(journal(world, "bot")["stem"])
    family = stem.rsplit("-bot-", 1)[0]
    stray, gone = planted(world, f"{stem}-r0-a1"), planted(world, f"{family}-gone-abcdef-r1-a1")
    assert rotate(path, "strays").returncode == 1
    ended = rotate(path, "strays", "--reap", "--unclaimed", "--yes")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert len(living(world, stem)) == 1
    told = receipts(kept, "stray.reaped")
    assert [(line["credential"], line["detail"]["stray"]) for line in told] == [("bot", stray), ("gone-abcdef", gone)]
    assert all("asked by" in line["said"] for line in told)

    world.bao.call("POST", f"{world.mount}/data/apps/bot/halo", {"data": {"token": "by hand"}})
    assert rotate(path, "now", "bot").returncode == 3
    released = rotate(path, "release", "bot")
    assert (released.returncode, "bot: released: from foreign_write" in released.stdout) == (0, True)
    assert len(receipts(kept, "credential.released")) == 1
    assert rotate(path, "receipts", "verify", str(kept)).returncode == 0


def test_required_receipts_that_cannot_be_written_bar_whatever_acts_and_nothing_that_looks(
    world: World, path: Path, kept: Path
) -> None:
    stem = str(journal(world, "bot")["stem"])
    planted(world, f"{stem}-r0-a1")
    before = journal(world, "bot")
    kept.write_text("dear diary\n")
    for words in (("now", "bot"), ("release", "bot"), ("strays", "--reap", "--unclaimed", "--yes")):
        barred = rotate(path, *words)
        assert (barred.returncode, "required = true" in barred.stderr) == (1, True), (words, barred.stderr)
    assert "required = true" in supply(path, "tool", b"canary-barred-supply-5d1e").stderr
    assert journal(world, "bot") == before
    assert len(living(world, stem)) == 2
    for words in (("status",), ("history", "bot"), ("unused",)):
        looked = rotate(path, *words)
        assert looked.returncode == 0, (words, looked.stderr)
    assert rotate(path, "strays").returncode == 1  # there is one
    checked = rotate(path, "check")
    assert checked.returncode == 1
    assert "the last line is not a receipt, and not even JSON" in checked.stdout
    assert "nothing would be begun" in checked.stdout


def test_an_end_that_was_cut_off_while_the_daemon_was_away_is_found_at_its_start(
    world: World, path: Path, kept: Path
) -> None:
    with Daemon(path).ready() as daemon:
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0
        assert not daemon.heard("receipts.cut")
    document = world.bao.call("GET", f"{world.mount}/data/rotator/node/daemon")["data"]["data"]
    lines = kept.read_bytes().splitlines(keepends=True)
    assert document["receipts"] == str(len(lines))
    kept.write_bytes(b"".join(lines[:-2]))
    kept.with_name(f"{kept.name}.head").unlink()
    assert rotate(path, "receipts", "verify", str(kept)).returncode == 0, "the file alone does not show it"
    with Daemon(path) as daemon:
        said = daemon.says("receipts.cut")["said"]
        assert f"ends with receipt {len(lines) - 2}, and {len(lines)} were noted" in said
