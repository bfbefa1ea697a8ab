"""`rotate check` on a good world and on broken ones: each fault is named with a remedy, and nothing is left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.environment import ADMIN, World, policy_text
from tests.system.daemon import rotate
from tests.system.quick import quick

pytestmark = pytest.mark.system


def check(world: World, path: Path) -> tuple[int, list[dict[str, Any]]]:
    """Exit code and findings; nothing may be left on Halo or published, whatever is found."""
    before = _there(world)
    ended = rotate(path, "check", "--json")
    assert "Traceback" not in ended.stderr
    assert _there(world) == before
    return ended.returncode, json.loads(ended.stdout)


def _there(world: World) -> list[str]:
    """Every record that is not about to be removed: Halo does that a little after it was told to."""
    records = [token["metadata"] for token in world.halo.tokens()]
    return [each["name"] for each in records if not each.get("deletionTimestamp")]


def refusals(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Subject and text of what would stop the daemon; each has a remedy."""
    grave = [finding for finding in found if finding["level"] == "refusal"]
    assert all(finding["remedy"] for finding in grave)
    return [(finding["subject"], finding["text"]) for finding in grave]


@contextmanager
def login(world: World, policy: str) -> Iterator[None]:
    """Another login for the daemon, with this policy."""
    before = world.role_id, world.secret_id
    other = world.bao.approle(f"other-{abs(hash(policy))}", policy)
    world.role_id, world.secret_id = other.role_id, world.folder / "other-secret-id"
    world.secret_id.unlink(missing_ok=True)
    world.secret_id.write_text(other.secret_id.reveal())
    world.secret_id.chmod(0o400)
    try:
        yield
    finally:
        world.role_id, world.secret_id = before


def test_a_good_world_passes_and_every_verb_was_tried(world: World) -> None:
    code, found = check(world, quick(world))
    assert code == 0
    assert refusals(found) == []
    tried = {finding["subject"] for finding in found if finding["level"] == "ok"}
    for verb in ("control", "mint", "find", "verify", "inspect", "revoke", "prove dead", "restore", "clean up"):
        assert f"target halo: {verb} (blog-ci)" in tried
        assert f"target halo: {verb} (blog-web)" in tried
    assert any("roles that it hands to nobody" in finding["text"] for finding in found)


def test_for_people_each_finding_is_a_line_and_one_login_is_enough(world: World) -> None:
    role, before = "auth/approle/role/rotator", world.secret_id
    given = world.bao.call("POST", f"{role}/secret-id", {"num_uses": 5})["data"]["secret_id"]
    world.secret_id = world.folder / "five-uses"
    world.secret_id.write_text(given)
    world.secret_id.chmod(0o400)
    try:
        ended = rotate(quick(world), "check")
    finally:
        world.secret_id = before
    assert ended.returncode == 0
    assert "login: our secret-id is good for 4 more logins" in ended.stdout
    left = world.bao.call("POST", f"{role}/secret-id/lookup", {"secret_id": given})["data"]["secret_id_num_uses"]
    assert left == 4, "a look may use up a login that the daemon needs"
    assert ended.stdout.startswith("settings  2 credentials, 1 target in ")
    assert "ok        target halo: mint (blog-ci): a disposable token, valid until " in ended.stdout
    offline = rotate(quick(world, vault="http://127.0.0.1:9"), "check", "--offline")
    assert offline.returncode == 0


def test_a_minter_that_is_refused_is_named(world: World) -> None:
    world.bao.call("POST", f"{world.mount}/data/minters/halo", {"data": {"token": "pat_not.a.token"}})
    try:
        code, found = check(world, quick(world))
    finally:
        minter = world.halo.mint("minter-again", ["super-role"])
        world.bao.call("POST", f"{world.mount}/data/minters/halo", {"data": {"token": minter}})
    assert code == 1
    assert refusals(found) == [("target halo: minter", "the minter's token is refused")]


def test_a_minter_that_is_nowhere_is_named(world: World) -> None:
    path = quick(world, target={"minter": {"pat": {"vault": f"{world.mount}/minters/halo#nothing"}}})
    code, found = check(world, path)
    assert code == 1
    assert "holds nothing" in refusals(found)[0][1]


def test_an_engine_of_version_1_is_named(world: World) -> None:
    world.bao.enable_kv("old", version=1)
    with login(world, policy_text("old")):
        code, found = check(world, _mounted(world, "old"))
    assert code == 1
    subjects = dict(refusals(found))
    assert subjects["mount old"] == "it is a KV engine of version 1, which ignores check-and-set"
    assert "the targets were not tried" in subjects["start"]


def _mounted(world: World, mount: str) -> Path:
    path = quick(world)
    path.write_text(path.read_text().replace(f'mount = "{world.mount}"', f'mount = "{mount}"'))
    return path


def test_a_right_that_the_policy_lacks_is_named(world: World) -> None:
    lines = policy_text(world.mount).splitlines()
    with login(world, "\n".join(line for line in lines if "/destroy/" not in line)):
        code, found = check(world, quick(world))
    assert code == 1
    assert refusals(found) == [(f"{world.mount}/destroy/rotator/staged/any", "our policy lacks update")]


def test_a_login_that_fails_is_named(world: World) -> None:
    secret_id = world.folder / "wrong-secret-id"
    secret_id.write_text("00000000-0000-0000-0000-000000000000")
    secret_id.chmod(0o400)
    before, world.secret_id = world.secret_id, secret_id
    try:
        code, found = check(world, quick(world))
    finally:
        world.secret_id = before
    assert code == 1
    assert [subject for subject, _ in refusals(found)] == ["login", "start"]


def test_a_target_that_cannot_be_reached_is_named(world: World) -> None:
    code, found = check(world, quick(world, halo="http://127.0.0.1:9"))
    assert code == 1
    (subject, text), *others = refusals(found)
    assert not others
    assert subject == "target halo: minter"
    assert "nothing listens there (connection refused)" in text


def test_basic_auth_that_is_off_is_named(world: World) -> None:
    seed = world.folder / "users.json"
    user = {"name": ADMIN, "password": world.halo.password.reveal(), "roles": ["super-role"]}
    seed.write_text(json.dumps({"users": [user]}))
    password = world.folder / "password"
    password.write_text(world.halo.password.reveal())
    password.chmod(0o400)
    command = [sys.executable, "-m", "tests.sandbox.halo_cms", "--version", "2.26.0", "--seed-file", str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as halo:
        try:
            assert halo.stdout
            url = json.loads(halo.stdout.readline())["url"]
            minter = {"username": ADMIN, "password": {"file": str(password)}}
            code, found = check(world, quick(world, halo=url, target={"minter": minter}))
        finally:
            halo.terminate()
    assert code == 1
    assert refusals(found)[0][1] == "Halo ignores the minter's Basic Auth: it is off by default since 2.20.0"


def test_a_probe_that_accepts_anyone_is_named_and_the_other_credentials_are_tried_all_the_same(world: World) -> None:
    world.add("open", probe="/actuator/health")
    try:
        code, found = check(world, quick(world))
    finally:
        del world.credentials["open"]
    assert code == 1
    assert [subject for subject, _ in refusals(found)] == ["target halo: control (open)"]
    assert "target halo: mint (blog-web)" in [finding["subject"] for finding in found]
