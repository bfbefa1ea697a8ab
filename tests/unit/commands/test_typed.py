"""A stranger's first hour: what `rotate init` says is typed as it stands, and the first token is rotated.

The policy is the generated one alone: without the `default` policy, and without anything of the shipped file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rotator.commands.scaffold import CREDSTORE
from tests.sandbox.environment import World
from tests.system.daemon import rotate

pytestmark = pytest.mark.system


def shell(line: str, world: World, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """One line in a shell that has the Vault command and may do everything."""
    own = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(world.folder)}
    vault = {"BAO_ADDR": world.bao.address, "BAO_TOKEN": world.bao.root.reveal()}
    command = ["bash", "-o", "pipefail", "-c", line]
    return subprocess.run(command, input=stdin, env=own | vault, capture_output=True, text=True, timeout=30)


def test_what_is_said_is_typed_and_the_first_value_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with World() as world:
        home, store = tmp_path / "etc", tmp_path / "credstore"
        path = home / "rotator.toml"
        wanted = ["--vault-addr", world.bao.address, "--target-url", world.halo.url]
        said = rotate(path, "init", str(home), *wanted)
        assert said.returncode == 0, said.stderr
        typed = [line.strip() for line in said.stdout.splitlines() if line.startswith("    ")]
        minter = world.halo.mint("first-minter", ["super-role"])
        for line in typed:
            if not line.startswith(("rotate", "systemctl", "bao auth enable")):
                ended = shell(line.replace(CREDSTORE, f"{store}/"), world, f"{minter.reveal()}\n")
                assert ended.returncode == 0, f"{line}: {ended.stderr}"
        assert [path.stat().st_mode & 0o777 for path in store.iterdir()] == [0o400]
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(store))

        checked = rotate(path, "check", "--json")
        found = json.loads(checked.stdout)
        assert checked.returncode == 0, [each for each in found if each["level"] == "refusal"]
        assert [each for each in found if each["level"] == "note"] == []
        now = rotate(path, "now", "newsletter")
        assert now.returncode == 0, now.stdout + now.stderr
        world.credentials["newsletter"] = {"path": "apps/newsletter/halo"}
        assert world.halo.accepts(world.published("newsletter"))
        again = rotate(path, "now", "newsletter", "--emergency", "--wait")
        assert again.returncode == 0, again.stdout + again.stderr
        assert rotate(path, "strays").stdout == "no strays\n"


def test_after_adding_a_credential_the_policy_is_written_anew_and_serves_it(tmp_path: Path) -> None:
    with World() as world:
        world.add("first")
        path = world.write_settings()

        def grant() -> None:
            text = rotate(path, "policy").stdout
            world.bao.call("PUT", "sys/policies/acl/rotator", {"policy": text})

        grant()
        assert rotate(path, "now", "first").returncode == 0
        world.add("second", path="elsewhere/second")
        path = world.write_settings()
        refused = rotate(path, "check", "--json")
        assert refused.returncode == 1
        assert "secret/data/elsewhere/second" in refused.stdout
        grant()
        assert rotate(path, "now", "second").returncode == 0
