"""The operator's verbs on a real Vault and a Halo: undo, adopt, pause and resume, with a daemon and without one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rotator.rotation.secret import Secret
from tests.sandbox.environment import World
from tests.system.daemon import Daemon, rotate, until
from tests.system.quick import quick
from tests.system.truth import journal, living, settled

pytestmark = pytest.mark.system

GRACE = {"retire": {"after": "40s"}}
ROLES = ["role-template-view-posts"]


def stem(world: World) -> str:
    return str(journal(world, "bot")["stem"])


def consumer(world: World) -> dict[str, Any]:
    """The consumer document with its version."""
    read = world.bao.call("GET", f"{world.mount}/data/{world.credentials['bot']['path']}")["data"]
    return {**read["data"], "version": read["metadata"]["version"]}


@pytest.fixture
def twice(world: World) -> tuple[World, Secret, Secret]:
    """A world in which a second rotation is over, its predecessor dead; and both values."""
    world.add("bot")
    path = quick(world)
    assert rotate(path, "now", "bot").returncode == 0
    old = world.published("bot")
    assert rotate(path, "now", "bot", "--wait").returncode == 0
    assert not world.halo.accepts(old)
    return world, old, world.published("bot")


def test_within_the_grace_undo_publishes_the_value_before_and_retires_the_successor(world: World) -> None:
    world.add("bot")
    path = quick(world, defaults=GRACE)
    with Daemon(path).ready() as daemon:
        until("published", lambda: settled(world, "bot"))
        old = world.published("bot")
        assert rotate(path, "now", "bot").returncode == 0
        new = world.published("bot")
        ended = rotate(path, "undo", "bot")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "bot: undone: rotation 3" in ended.stdout
        assert daemon.heard("control.called", verb="undo")
        assert daemon.heard("undo.begun")
        assert world.published("bot").matches(old)
        assert consumer(world)["rotation"] == "3"
        assert world.halo.accepts(old)
        assert world.halo.accepts(new)  # in grace
        assert len(living(world, stem(world))) == 2
        assert rotate(path, "undo", "bot", "--emergency").returncode == 0  # and back again: the other one dies now
        until("the other is dead", lambda: settled(world, "bot", 4))
        assert world.published("bot").matches(new)
        assert not world.halo.accepts(old)
        assert not daemon.heard("value.disproved")


def test_after_the_grace_undo_restores_the_token_and_a_redo_works_as_well(twice: tuple[World, Secret, Secret]) -> None:
    world, old, new = twice
    path = quick(world)
    ended = rotate(path, "undo", "bot", "--json")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    told = [line["event"] for line in lines if "event" in line]
    assert told[:4] == ["undo.begun", "candidate.restored", "candidate.verified", "value.published"]
    assert [each["answer"] for line in lines for each in line.get("verdicts", ())] == ["undone"]
    assert world.published("bot").matches(old)
    assert world.halo.accepts(old)
    assert consumer(world)["rotation"] == "3"
    assert rotate(path, "due").returncode == 0
    until("the successor is dead", lambda: rotate(path, "due").returncode == 0 and settled(world, "bot", 3))
    assert not world.halo.accepts(new)
    assert len(living(world, stem(world))) == 1
    again = rotate(path, "undo", "bot")
    assert again.returncode == 0, again.stdout + again.stderr
    assert world.published("bot").matches(new)


def test_an_undo_that_cannot_be_done_says_why_and_changes_nothing(twice: tuple[World, Secret, Secret]) -> None:
    world, _, new = twice
    path = quick(world)
    retired = journal(world, "bot")["retired"]
    world.halo.call("DELETE", f"/apis/uc.api.security.halo.run/v1alpha1/personalaccesstokens/{retired['token']['id']}")
    until("collected", lambda: all(x["metadata"]["name"] != retired["token"]["id"] for x in world.halo.tokens()))
    before = journal(world, "bot")
    gone = rotate(path, "undo", "bot")
    assert gone.returncode == 1
    assert "its record" in gone.stdout
    assert "was deleted at the target since" in gone.stdout
    world.bao.call("PUT", f"{world.mount}/destroy/apps/bot/halo", {"versions": [int(retired["version"])]})
    lost = rotate(path, "undo", "bot")
    assert lost.returncode == 1
    assert "is gone from Vault" in lost.stdout
    changed = {key for key, value in journal(world, "bot").items() if value != before[key]}
    # it remembers that it was asked, and what it answered; the number of the lease goes on
    assert changed == {"lease", "later_seq", "nonce", "taken"}
    assert world.published("bot").matches(new)


def test_a_value_made_by_hand_is_adopted_without_a_write_and_ends_with_its_successor(world: World) -> None:
    world.add("bot", roles=ROLES)
    path = quick(world)
    mine = world.halo.mint("made by hand", ROLES)
    world.bao.call("POST", f"{world.mount}/data/apps/bot/halo", {"data": {"token": mine, "theirs": "kept"}})
    with Daemon(path) as daemon:
        daemon.says("credential.held")
        ended = rotate(path, "adopt", "bot")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "nothing was written and nothing rotated. From now on it is ours" in ended.stdout
        assert consumer(world)["version"] == 1
        assert settled(world, "bot", 0)
        again = rotate(path, "adopt", "bot")
        assert (again.returncode, "adopted" in again.stdout) == (0, True)
        assert rotate(path, "now", "bot", "--wait").returncode == 0
    assert not world.halo.accepts(mine)
    assert consumer(world)["theirs"] == "kept"
    assert world.halo.accepts(world.published("bot"))


def test_what_is_not_as_settings_want_it_or_anothers_is_not_adopted(world: World) -> None:
    world.add("bot", roles=ROLES)
    world.add("web", roles=ROLES)
    path = quick(world)
    place = f"{world.mount}/data/apps/bot/halo"
    world.bao.call("POST", place, {"data": {"token": world.halo.mint("too strong", ["super-role"])}})
    wrong = rotate(path, "adopt", "bot")
    assert wrong.returncode == 1
    assert "roles are not the wanted ones" in wrong.stdout
    world.bao.call("POST", place, {"data": {"token": "pat_opaque"}})
    assert "does not say which personal access token it is" in rotate(path, "adopt", "bot").stdout
    assert rotate(path, "now", "web").returncode == 0
    world.bao.call("POST", place, {"data": {"token": world.published("web")}})
    anothers = rotate(path, "adopt", "bot")
    assert anothers.returncode == 1
    assert "was minted for another credential" in anothers.stdout
    assert "current" not in journal(world, "bot")


def test_while_paused_nothing_begins_but_an_emergency_and_resume_ends_it(world: World) -> None:
    world.add("bot", labels={"team": "web"})
    world.add("web")
    path = quick(world)
    with Daemon(path).ready():
        until("published", lambda: settled(world, "bot") and settled(world, "web"))
        ended = rotate(path, "pause", "--label", "team=web", "--for", "2h", "--reason", "a freeze")
        assert ended.returncode == 0, ended.stderr
        assert "--label team=web: paused: paused with --label team=web by uid" in ended.stdout
        assert "1 credential now" in ended.stdout
        refused = rotate(path, "now", "bot")
        assert refused.returncode == 3
        assert "a freeze; `rotate resume --label team=web` ends that" in refused.stdout
        assert "Paused with --label team=web by uid" in rotate(path, "explain", "bot").stdout
        assert rotate(path, "now", "bot", "--emergency").returncode == 0
        until("rotated all the same", lambda: settled(world, "bot", 2))
        assert rotate(path, "now", "bot").returncode == 3
        assert rotate(path, "resume", "--all").returncode == 0
        assert rotate(path, "now", "bot").returncode == 0
    assert rotate(path, "pause", "bot").returncode == 0  # without a daemon
    assert rotate(path, "now", "bot").returncode == 3
    assert rotate(path, "resume", "bot").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pause"], "say which: NAME..., --all, --label KEY=VALUE, or --target NAME"),
        (["pause", "bot", "--for", "soon"], "is no duration"),
        (["pause", "bot", "--until", "2020-01-01"], "is over already"),
        (["undo", "bott"], "no credential is called 'bott'; did you mean `bot`?"),
        (["undo"], "Missing argument 'NAME'"),
    ],
)
def test_what_makes_no_sense_ends_with_2(world: World, arguments: list[str], said: str) -> None:
    world.add("bot")
    ended = rotate(quick(world), *arguments)
    assert ended.returncode == 2
    assert said in " ".join(ended.stderr.split())
