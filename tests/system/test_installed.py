"""The wheel in an empty folder: it has no sandbox and no demo, and no command needs a file of the repository."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest

from rotator.cli import COMMANDS, rotate
from rotator.host.exit_codes import Exit

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]
HOUSE = Path(__file__).parents[2]
CLOSED = "http://127.0.0.1:9"
NAME = "newsletter"
INIT = ["init", ".", "--vault-addr", CLOSED, "--target-url", CLOSED, "--credential", NAME]

# What each command comes to on the settings of `rotate init`, before anything else was done: no secret-id is there.
FIRST: dict[str, tuple[list[str], int]] = {
    "init": (["file/etc"], Exit.FAILED),  # below a file: it cannot be written
    "run": (["--help"], 0),  # it waits for a secret-id, for a quarter of an hour
    "reload": ([], Exit.UNDECIDED),
    "now": ([NAME], Exit.FAILED),
    "due": ([], Exit.FAILED),
    "plan": ([], Exit.FAILED),
    "status": ([], Exit.FAILED),
    "explain": ([NAME], Exit.FAILED),
    "history": ([NAME], Exit.FAILED),
    "check": ([], Exit.FAILED),
    "verify": (["--all"], Exit.FAILED),
    "revoke": ([NAME], Exit.FAILED),
    "supply": ([NAME], Exit.USAGE),
    "pause": ([NAME], Exit.FAILED),
    "resume": ([NAME], Exit.FAILED),
    "undo": ([NAME], Exit.FAILED),
    "adopt": ([NAME], Exit.FAILED),
    "release": ([NAME], Exit.FAILED),
    "claim": (["--yes"], Exit.FAILED),
    "targets": ([], Exit.FAILED),
    "strays": ([], Exit.FAILED),
    "unused": ([], Exit.FAILED),
    "receipts": (["verify", "rotator.toml"], Exit.FAILED),
    "conformance": (["nothing", "--settings", "rotator.toml", "--yes"], Exit.USAGE),
    "policy": ([], 0),
    "completion": (["bash"], 0),
}


class Outcome(NamedTuple):
    """What one command came to."""

    code: int
    stdout: str
    stderr: str


def run(*words: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    ended = subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=200, check=False, **options)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but the wheel, unpacked by pip."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=HOUSE)
    (wheel,) = folder.glob("*.whl")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-index", "--no-deps")
    run(*pip, "--target", folder / "site", wheel)
    return folder / "site"


def environment(site: Path) -> dict[str, str]:
    """Our own package from the wheel, its dependencies from where the tests have them, and nothing else."""
    path = os.pathsep.join([str(site), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    return {"PATH": os.environ["PATH"], "PYTHONPATH": path, "LOGNAME": "x", "ROTATOR_CONFIG": "rotator.toml"}


def helps(command: click.Command = rotate, *path: str) -> list[list[str]]:
    """`--help` of every command, those within groups included."""
    found = [[*path, "--help"]]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            if inner := command.get_command(context, name):
                found += helps(inner, *path, name)
    return found


def test_the_wheel_has_neither_sandbox_nor_demo(site: Path, tmp_path: Path) -> None:
    assert (site / "rotator" / "cli" / "init.py").is_file()
    assert not (site / "rotator" / "sandbox").exists()
    assert not (site / "rotator" / "demo").exists()
    metadata = (next(site.glob("rotator-*.dist-info")) / "METADATA").read_text()
    assert set(re.findall(r"^Provides-Extra: (\S+)", metadata, re.MULTILINE)) == {"otel", "dev"}
    assert ".SS rotate now " in (site / "share" / "man" / "man1" / "rotate.1").read_text()
    shown = run(site / "bin" / "rotate", "--version", cwd=tmp_path, env=environment(site)).stdout
    assert shown.startswith("rotate, version ")


def test_the_first_step_of_every_command_reads_nothing_of_the_repository(site: Path, tmp_path: Path) -> None:
    assert set(FIRST) == set(COMMANDS), "a new command has a first step, too"
    (tmp_path / "file").touch()
    (tmp_path / "vault-secret-id").write_text("s")
    wanted: list[tuple[list[str], int]] = [(INIT, 0), *((words, 0) for words in helps())]
    wanted += [([verb, *words], code) for verb, (words, code) in FIRST.items()]
    with_a_login = f"CREDENTIALS_DIRECTORY={tmp_path}"  # so that Vault is called, where nobody listens
    wanted += [([with_a_login, "check"], Exit.FAILED), ([with_a_login, "status"], Exit.UNDECIDED)]

    program = (sys.executable, "-S", "-P", HOUSE / "tests" / "system" / "installed.py")
    lines = "".join(f"{json.dumps(words)}\n" for words, _ in wanted)
    ended = run(*program, input=lines, cwd=tmp_path, env=environment(site))
    assert ended.stderr == "", "what importing the package has read of the repository"
    modules, *outcomes = map(json.loads, ended.stdout.splitlines())
    assert "rotator.cli.init" in modules
    found = {" ".join(words): Outcome(**each) for (words, _), each in zip(wanted, outcomes, strict=True)}
    for words, code in wanted:
        outcome = found[" ".join(words)]
        assert outcome.code == code, (words, outcome)
        assert outcome.stderr.strip() or outcome.stdout.strip(), words
        said = outcome.stdout + outcome.stderr
        assert not re.search("Traceback|exception.escaped|REPOSITORY", said), (words, outcome)
    assert {path.name for path in tmp_path.glob("rotator.*")} == {"rotator.toml", "rotator.hcl", "rotator.service"}
    assert found["policy"].stdout == (tmp_path / "rotator.hcl").read_text()
    assert "secret-id cannot be read" in found["claim --yes"].stderr
    assert "127.0.0.1:9" in found[f"{with_a_login} check"].stdout
    assert "127.0.0.1:9" in found[f"{with_a_login} status"].stderr
