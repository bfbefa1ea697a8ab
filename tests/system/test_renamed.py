"""A credential that is renamed, and two targets that reach one account: no command that we print ends what is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.sandbox.environment import World
from tests.system.daemon import rotate
from tests.system.quick import quick

pytestmark = pytest.mark.system


def listed(path: Path, *words: str) -> list[dict[str, str]]:
    return json.loads(rotate(path, *words, "--json").stdout)


def test_a_renamed_credential_is_held_with_the_way_on_and_nothing_of_it_is_proposed_to_end(world: World) -> None:
    world.add("second")
    assert rotate(quick(world), "now", "second").returncode == 0
    value = world.published("second")
    world.credentials["third"] = world.credentials.pop("second")
    path = quick(world)
    held = rotate(path, "now", "third")
    assert held.returncode == 3, held.stdout
    assert "the credential second published" in held.stdout
    assert "`rotate adopt third`" in held.stdout
    [ours] = [each for each in listed(path, "unused", "--older", "0h") if "third" in each["whose"]]
    assert "written by second" in ours["whose"]
    assert ours["end"].startswith("nothing")
    assert listed(path, "strays") == []
    assert rotate(path, "strays", "--reap", "--unclaimed", "--yes").returncode == 0
    assert rotate(path, "strays", "--reap", "--unclaimed", "--yes", ours["token"]).returncode == 2
    assert world.halo.accepts(value)
    adopted = rotate(path, "adopt", "third")
    assert adopted.returncode == 0, adopted.stdout
    assert rotate(path, "now", "third", "--wait").returncode == 0
    assert not world.halo.accepts(value)
    assert world.halo.accepts(world.published("third"))


def test_two_targets_that_reach_one_account_claim_each_others_tokens(world: World) -> None:
    world.add("one")
    world.add("two", target="twin")
    path = quick(world)
    text = path.read_text()
    halo = text[text.index('[targets."halo"]') : text.index("[defaults]")]
    path.write_text(text.replace(halo, halo + halo.replace('"halo"]', '"twin"]')))
    for name in ("one", "two"):
        assert rotate(path, "now", name).returncode == 0
    assert listed(path, "strays") == []
    assert {each["end"] for each in listed(path, "unused", "--older", "0h") if "published" in each["whose"]} == {
        "nothing while settings have the path: consumers read it"
    }
    assert rotate(path, "strays", "--reap", "--unclaimed", "--yes").returncode == 0
    assert world.halo.accepts(world.published("one"))
    assert world.halo.accepts(world.published("two"))


def test_what_left_the_settings_is_listed_as_unmanaged_until_it_is_ended(world: World) -> None:
    world.add("kept")
    world.add("gone")
    path = quick(world)
    for name in ("kept", "gone"):
        assert rotate(path, "now", name).returncode == 0
    value = world.published("gone")
    del world.credentials["gone"]
    path = quick(world)
    for words in (("status",), ("plan",)):
        [row] = [each for each in listed(path, *words) if each["word"] == "unmanaged"]
        assert (row["name"], row["path"]) == ("gone", f"{world.mount}/apps/gone/halo")
        assert "unmanaged" in rotate(path, *words).stdout
    assert rotate(path, "explain", "kept").returncode == rotate(path, "plan").returncode == 0
    checked = rotate(path, "check")
    assert "left the settings" in checked.stdout + checked.stderr
    assert rotate(path, *row["do"].split()[1:], "--yes").returncode == 0
    assert not world.halo.accepts(value)
    assert [each["word"] for each in listed(path, "status")] == ["settled"]
