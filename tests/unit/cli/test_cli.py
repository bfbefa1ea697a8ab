"""The commands as people and machines use them: exit codes, tables, JSON, and what they leave untouched."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rotator.cli import COMMANDS
from rotator.providers.halo_cms.client import wish
from rotator.providers.halo_cms.config import HaloPatOptions
from tests.sandbox.environment import World
from tests.sandbox.openbao import OpenBaoError
from tests.system.daemon import rotate
from tests.system.quick import quick
from tests.system.truth import PATS, journal

pytestmark = pytest.mark.system


def journals(world: World) -> dict[str, dict]:
    """Every journal document, as it stands."""
    return {name: journal(world, name) for name in world.credentials}


Ended = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def first(world: World) -> Ended:
    """What `rotate due` came to in a world in which nothing had happened."""
    return rotate(quick(world), "due", "--json")


@pytest.fixture(scope="module")
def path(world: World, first: Ended) -> Path:
    """Settings of a world in which everything was published; tests leave nothing that others would see."""
    return quick(world)


@pytest.fixture(scope="module")
def waited(world: World, path: Path) -> Ended:
    """What `rotate now --wait` came to, of a credential whose predecessor has an hour of grace from then on."""
    slow = quick(world, "slow", defaults={"retire": {"after": "1h"}})
    return rotate(slow, "now", "blog-web", "--wait", "--within", "3000s", seconds=30)


def test_help_names_every_command_and_each_has_its_own() -> None:
    said = subprocess.run([sys.executable, "-m", "rotator", "--help"], capture_output=True, text=True, timeout=30)
    assert said.returncode == 0
    assert all(f"  {name}" in said.stdout for name in COMMANDS)
    assert "75 undecided, busy or cut short" in said.stdout.replace("\n", " ").replace("  ", " ")


def test_before_anything_was_done_plan_says_so_and_leaves_journal_and_target_untouched(untouched: World) -> None:
    tokens = untouched.halo.tokens()
    ended = rotate(quick(untouched), "plan")
    assert ended.returncode == 0, ended.stderr
    heads, first, _ = ended.stdout.splitlines()
    assert heads.split() == ["NAME", "TARGET", "STATE", "NEXT"]
    said = "first rotation  begin a rotation (missing): nothing published yet"
    assert first.split(maxsplit=2) == ["blog-ci", "halo", said]
    assert journals(untouched) == {"blog-ci": {}, "blog-web": {}}
    assert untouched.halo.tokens() == tokens


def test_explain_of_an_untouched_credential_says_what_comes_next(untouched: World) -> None:
    assert rotate(quick(untouched), "explain", "blog-ci").stdout.splitlines() == [
        "Settled: nothing was published yet; nothing was tried yet.",
        "Next: begin a rotation (missing): nothing published yet.",
    ]


def test_due_does_what_is_due_and_prints_one_document(first: Ended) -> None:
    assert first.returncode == 0, first.stderr
    told = json.loads(first.stdout)
    rows = told["credentials"]
    assert (told["done"], told["said"]) == (["blog-ci", "blog-web"], "done: blog-ci, blog-web")
    assert [(row["name"], row["phase"], row["rotation"], row["said"]) for row in rows] == [
        ("blog-ci", "settled", 1, ""),
        ("blog-web", "settled", 1, ""),
    ]
    assert rows[0]["published_at"].endswith("+00:00")


def test_now_in_json_is_one_document_per_line_and_ends_with_the_verdict(path: Path) -> None:
    ended = rotate(path, "now", "--label", "team=web", "--json")
    assert ended.returncode == 0, ended.stderr
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert {line["credential"] for line in lines[:-1] if "accepted" not in line} == {"blog-ci"}
    assert lines[-1]["exit"] == 0
    assert lines[-1]["verdicts"][0]["answer"] in ("done", "published")


def test_now_that_is_patient_for_less_than_the_grace_ends_at_once_with_75(waited: Ended) -> None:
    assert waited.returncode == 75
    assert "blog-web: open: undecided: predecessor in grace" in waited.stdout
    assert "is live at secret/apps/blog-web/halo" in waited.stdout


@pytest.mark.usefixtures("waited")
def test_status_is_a_table_for_people(path: Path) -> None:
    ended = rotate(path, "status")
    assert ended.returncode == 0
    heads, ci, web = ended.stdout.splitlines()
    assert heads.split() == ["NAME", "STATE", "ROT", "LIVE", "PUBLISHED", "EXPIRES", "NEXT"]
    assert ci.split()[0] == "blog-ci"
    assert web.split()[:5] == ["blog-web", "in", "grace", "2", "2"]


@pytest.mark.usefixtures("waited")
def test_explain_tells_the_story_in_sentences(path: Path) -> None:
    ended = rotate(path, "explain", "blog-web")
    assert ended.returncode == 0
    assert "which is in its grace." in ended.stdout
    assert re.search(r"because .* asked for it\.", ended.stdout)
    assert ended.stdout.splitlines()[-1].startswith("Next: ")


def test_looking_changes_nothing(world: World, path: Path) -> None:
    before, tokens = journals(world), world.halo.tokens()
    for command in (["plan", "--json"], ["status", "--json"], ["explain", "blog-ci"]):
        assert rotate(path, *command).returncode == 0
    assert journals(world) == before
    assert world.halo.tokens() == tokens


def test_strays_are_found_reaped_and_gone(world: World, path: Path) -> None:
    stem = journal(world, "blog-ci")["stem"]
    status, _ = world.halo.call("POST", PATS, wish(f"{stem}-r1-a3", None, HaloPatOptions()))
    assert status == 200
    found = rotate(path, "strays", "--json")
    assert found.returncode == 1
    assert [(row["target"], row["state"]) for row in json.loads(found.stdout)] == [("halo", "stray")]
    assert rotate(path, "strays", "--reap", "--yes").returncode == 0
    assert rotate(path, "strays").stdout == "no strays\n"


@pytest.mark.parametrize("command", [["status"], ["plan"], ["explain"], ["now"]])
def test_an_unknown_name_is_a_usage_error_with_a_suggestion(path: Path, command: list[str]) -> None:
    ended = rotate(path, *command, "blog-cj")
    assert ended.returncode == 2
    assert "no credential is called 'blog-cj'; did you mean `blog-ci`?" in ended.stderr.replace("\n", " ")


@pytest.mark.parametrize("arguments", [["--within", "-1"], ["--within", "1se9"], ["--label", "x"], []])
def test_a_wish_that_makes_no_sense_is_a_usage_error(path: Path, arguments: list[str]) -> None:
    assert rotate(path, "now", *arguments).returncode == 2


def test_settings_with_faults_end_with_78_and_all_of_them(tmp_path: Path) -> None:
    bad = tmp_path / "rotator.toml"
    bad.write_text('[vault]\naddress = "nowhere"\n[credentials.x]\ntarget = "none"\n')
    ended = rotate(bad, "plan")
    assert ended.returncode == 78
    assert f"{bad}:2: vault.address" in ended.stderr
    assert "nothing was done" in ended.stderr
    assert rotate(tmp_path / "missing.toml", "status").returncode == 78


def test_a_journal_that_was_deleted_is_shown_beside_the_others_and_ends_status_with_1(world: World, path: Path) -> None:
    document = f"{world.mount}/data/rotator/journal/blog-web"
    world.bao.call("DELETE", document)
    try:
        ended = rotate(path, "status")
        assert ended.returncode == 1
        _, ci, web = ended.stdout.splitlines()
        assert ci.split()[1] != "broken"
        assert web.split()[1] == "broken"
        assert "was deleted" in web
        due = rotate(path, "due", "--within", "60s", seconds=30)
        assert due.returncode == 1  # it does what can be done, and does not wait for what cannot
    finally:
        newest = int(world.bao.call("GET", document.replace("/data/", "/metadata/"))["data"]["current_version"])
        world.bao.call("POST", document.replace("/data/", "/undelete/"), {"versions": [newest]})


def test_held_is_3(world: World) -> None:
    world.add("taken")
    try:
        own = quick(world, "taken", only=["taken"])
        assert rotate(own, "now", "taken").returncode == 0
        world.bao.call("POST", f"{world.mount}/data/apps/taken/halo", {"data": {"token": "written-by-hand"}})
        assert rotate(own, "now", "taken").returncode == 3
        held = rotate(own, "status", "taken", "--json")
        assert held.returncode == 3
        assert json.loads(held.stdout)[0]["phase"] == "held"
    finally:
        del world.credentials["taken"]
        world.bao.call("DELETE", f"{world.mount}/metadata/rotator/journal/taken")


def test_unreachable_is_75(world: World) -> None:
    ended = rotate(quick(world, "nowhere", vault="http://127.0.0.1:9"), "status")
    assert ended.returncode == 75
    assert ended.stderr.startswith("rotate: ")
    assert "Traceback" not in ended.stderr


def test_a_pass_that_may_not_last_ends_in_time_although_the_target_hangs(world: World) -> None:
    world.add("late")
    try:
        world.halo.fault(kind="slow", method="GET", path="rotator-control", delay=5, times=None)
        ended = rotate(quick(world, "hasty", only=["late"]), "due", "--within", "1s", seconds=30)
        assert ended.returncode == 75
    finally:
        world.halo.call("DELETE", "/_sandbox/faults")
        del world.credentials["late"]
        with pytest.raises(OpenBaoError):
            world.bao.call("GET", f"{world.mount}/data/apps/late/halo")


def test_tokens_and_roles_are_listed_by_name_and_nothing_changes(world: World) -> None:
    path, before = quick(world), world.halo.tokens()
    overview = rotate(path, "targets", "--json")
    assert overview.returncode == 0
    (blog,) = json.loads(overview.stdout)
    assert (blog["name"], blog["credentials"], blog["reachable"]) == ("halo", 2, True)
    told = json.loads(rotate(path, "targets", "halo", "--json").stdout)
    tokens, roles = told["tables"]
    assert "minter" in [row["name"] for row in tokens["rows"]]
    assert "role-template-view-posts" in [row["name"] for row in roles["rows"]]
    assert roles["settings"].startswith('roles = ["role-')
    shown = rotate(path, "targets", "halo")
    assert "in [credentials.NAME] of the settings, such as:\n  roles = [" in shown.stdout
    assert "pat_" not in shown.stdout + json.dumps(told)
    assert world.halo.tokens() == before


def test_a_name_that_is_not_there_a_target_that_is_away_and_one_without_credentials(world: World) -> None:
    unknown = rotate(quick(world), "targets", "hallo")
    assert unknown.returncode == 2
    assert "halo" in unknown.stderr
    away = quick(world, halo="http://127.0.0.1:9")
    overview = rotate(away, "targets")
    assert overview.returncode == 1
    assert "no: " in overview.stdout
    assert rotate(away, "targets", "halo").returncode == 75
    bare = world.folder / "bare.toml"
    bare.write_text(quick(world).read_text().partition("[credentials.")[0])
    assert "role-template-view-posts" in rotate(bare, "targets", "halo").stdout
    bare.write_text(bare.read_text() + '[credentials.half]\ntarget = "halo"\nrole = []\n')
    half = rotate(bare, "targets", "halo")  # whoever writes it looks the names up first
    assert (half.returncode, "role-template-view-posts" in half.stdout) == (0, True)
    assert "in the credentials, which are left out here" in half.stderr
