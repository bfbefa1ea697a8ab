"""What runbook and operations.md tell a person to do works: holds are put right, and what is lost is told apart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.environment import World
from tests.system.daemon import rotate
from tests.system.quick import quick

pytestmark = pytest.mark.system
DONE, FAILED, HELD = 0, 1, 3


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World() as made:
        yield made


@pytest.fixture
def name(world: World, request: pytest.FixtureRequest) -> str:
    """A credential of the test's own, published once."""
    made = request.node.name.removeprefix("test_").replace("_", "-")[:30].rstrip("-")
    world.add(made)
    assert rotate(quick(world, made, only=[made]), "now", made).returncode == DONE
    return made


@pytest.fixture
def path(world: World, name: str) -> Path:
    return quick(world, name, only=[name])


def bao(world: World, method: str, place: str, body: object = None) -> dict:
    return world.bao.call(method, f"{world.mount}/{place}", body)


def newest(world: World, path: str) -> int:
    return int(bao(world, "GET", f"metadata/{path}")["data"]["current_version"])


def held(path: Path, name: str) -> str:
    """Held once more by a rotation; the reason as explain has it."""
    assert rotate(path, "now", name).returncode == HELD
    return rotate(path, "explain", name).stdout


def test_a_foreign_write_is_rolled_back_and_released(world: World, path: Path, name: str) -> None:
    ours = bao(world, "GET", f"data/apps/{name}/halo")["data"]
    bao(world, "POST", f"data/apps/{name}/halo", {"data": {"token": "by hand"}})
    said = held(path, name)
    assert "(foreign_write)" in said
    version = ours["metadata"]["version"]
    assert f"was published at {world.mount}/apps/{name}/halo, version {version}," in said  # which one to go back to
    bao(world, "POST", f"data/apps/{name}/halo", {"data": ours["data"]})  # what `bao kv rollback` does
    assert rotate(path, "release", name).returncode == DONE
    assert rotate(path, "now", name).returncode == DONE


def test_a_deleted_value_is_undeleted_and_released(world: World, path: Path, name: str) -> None:
    bao(world, "DELETE", f"data/apps/{name}/halo")
    assert "(deleted_by_operator)" in held(path, name)
    bao(world, "POST", f"undelete/apps/{name}/halo", {"versions": [newest(world, f"apps/{name}/halo")]})
    assert rotate(path, "release", name).returncode == DONE
    assert rotate(path, "now", name).returncode == DONE


def test_a_deleted_journal_says_so_and_is_undeleted(world: World, path: Path, name: str) -> None:
    bao(world, "DELETE", f"data/rotator/journal/{name}")
    ended = rotate(path, "explain", name)
    assert ended.returncode == FAILED
    assert "was deleted (version" in ended.stdout
    bao(world, "POST", f"undelete/rotator/journal/{name}", {"versions": [newest(world, f"rotator/journal/{name}")]})
    assert rotate(path, "now", name).returncode == DONE


def test_a_journal_gone_with_its_metadata_begins_anew_once_a_person_says_so(
    world: World, path: Path, name: str
) -> None:
    before = bao(world, "GET", f"data/apps/{name}/halo")["data"]["data"]
    bao(world, "DELETE", f"metadata/rotator/journal/{name}")
    assert "(foreign_write)" in held(path, name)
    assert bao(world, "GET", f"data/apps/{name}/halo")["data"]["data"] == before
    world.credentials[name]["on_foreign"] = "overwrite"
    path = quick(world, name, only=[name])
    assert rotate(path, "release", name).returncode == DONE
    assert rotate(path, "now", name).returncode == DONE
    after = bao(world, "GET", f"data/apps/{name}/halo")["data"]["data"]
    assert int(after["rotation"]) > int(before["rotation"])
    listed = json.loads(rotate(path, "strays", "--json").stdout)
    assert (before["provider_id"], "unclaimed") in [(row["token"], row["state"]) for row in listed]


def test_a_deleted_meta_stops_everything_until_it_is_undeleted(world: World, path: Path, name: str) -> None:
    bao(world, "DELETE", "data/rotator/meta")
    ended = rotate(path, "now", name)
    assert ended.returncode == FAILED
    assert "rotator/meta was deleted; undelete it" in ended.stderr
    bao(world, "POST", "undelete/rotator/meta", {"versions": [1]})
    assert rotate(path, "now", name).returncode == DONE


def test_without_meta_nothing_is_recognised_and_written_back_it_is_again(world: World, path: Path, name: str) -> None:
    meta = bao(world, "GET", "data/rotator/meta")["data"]["data"]
    bao(world, "DELETE", "metadata/rotator/meta")
    assert "(foreign_write)" in held(path, name)
    bao(world, "POST", "data/rotator/meta", {"data": meta})
    assert rotate(path, "release", name).returncode == DONE
    assert rotate(path, "now", name).returncode == DONE


def test_records_of_a_newer_version_are_left_alone(world: World, path: Path, name: str) -> None:
    document = bao(world, "GET", f"data/rotator/journal/{name}")["data"]["data"]
    bao(world, "POST", f"data/rotator/journal/{name}", {"data": {**document, "schema": "999"}})
    at, tokens = newest(world, f"rotator/journal/{name}"), world.halo.tokens()
    ended = rotate(path, "now", name, "--within", "2s")
    assert ended.returncode == FAILED
    assert "written by a newer rotator" in ended.stdout
    assert "written by a newer rotator" in rotate(path, "status").stdout
    assert (newest(world, f"rotator/journal/{name}"), world.halo.tokens()) == (at, tokens)
