"""What a shell offers: commands, options, and the names in the settings, quickly and without calling anybody."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import BashComplete

from rotator.cli import COMMANDS, rotate
from tests.unit.settings.files import SOUND, write

NAMES = SOUND + "".join(f'[credentials."{name}"]\ntarget = "blog"\npath = "p/{name}"\n' for name in ("ci", "team/ci"))
PROBE = """
import sys
sys.argv = ["rotate"]
from rotator.cli import main
try:
    main()
finally:
    print("loaded:", *sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def offered(*words: str) -> list[str]:
    """What is offered in place of the last word."""
    *before, last = words
    return [item.value for item in BashComplete(rotate, {}, "rotate", "_ROTATE_COMPLETE").get_completions(before, last)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path, NAMES)


def test_commands_and_options_are_offered() -> None:
    assert offered("") == list(COMMANDS)
    assert offered("st") == ["status", "strays"]
    assert offered("now", "--em") == ["--emergency"]
    assert offered("completion", "") == ["bash", "zsh", "fish"]


@pytest.mark.parametrize("command", ["now", "status", "plan", "explain", "release"])
def test_a_command_that_takes_names_is_offered_those_of_the_settings(path: Path, command: str) -> None:
    assert offered("-c", str(path), command, "") == ["ci", "team/ci", "web"]
    assert offered("-c", str(path), command, "te") == ["team/ci"]


def test_every_argument_called_name_or_names_offers_them() -> None:
    for name in COMMANDS:
        command = rotate.get_command(click.Context(rotate), name)
        assert command is not None
        for param in command.params:
            if isinstance(param, click.Argument) and param.name in ("name", "names"):
                assert param.type.name == "name"


def test_a_target_is_offered_those_of_the_settings(path: Path) -> None:
    assert offered("-c", str(path), "targets", "") == ["blog"]
    assert offered("-c", str(path), "revoke", "--target", "b") == ["blog"]


def test_a_name_that_stands_there_is_not_offered_again(path: Path) -> None:
    assert offered("-c", str(path), "now", "ci", "") == ["team/ci", "web"]


def test_names_of_files_beside_and_of_the_environments_settings_count(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path.parent, '[credentials.beside]\npath = "b"\n', "conf.d/team.toml")
    monkeypatch.setenv("ROTATOR_CONFIG", str(path))
    assert offered("now", "b") == ["beside"]


def test_broken_settings_offer_what_can_be_read_and_say_nothing(path: Path) -> None:
    path.write_text('[vault]\naddress = 7\n[credentials.half]\n[credentials."Not A Name"]\n')
    assert offered("-c", str(path), "now", "h") == ["half"]
    path.write_text("[vault")
    assert offered("-c", str(path), "now", "") == []
    path.unlink()
    assert offered("-c", str(path), "now", "") == []


def test_it_loads_nothing_heavy(path: Path) -> None:
    asked = {"_ROTATE_COMPLETE": "bash_complete", "COMP_WORDS": f"rotate -c {path} now ", "COMP_CWORD": "4"}
    ended = subprocess.run(
        [sys.executable, "-c", PROBE], env=os.environ | asked, capture_output=True, text=True, timeout=30
    )
    assert ended.stdout.split() == ["plain,ci", "plain,team/ci", "plain,web"]
    modules = set(re.findall(r"\w+", ended.stderr.partition("loaded:")[2]))
    assert "click" in modules
    assert not modules & {"hvac", "requests", "httpx", "apscheduler", "anyio", "structlog", "cryptography"}


def test_bash_completes_with_the_printed_script(path: Path) -> None:
    script = (
        'eval "$(rotate completion bash)"; COMP_WORDS=(rotate -c "$1" now t); COMP_CWORD=4; _rotate_completion rotate'
    )
    command = ["bash", "-c", f'{script}; echo "${{COMPREPLY[@]}}"', "bash", str(path)]
    own = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    ended = subprocess.run(command, env=own, capture_output=True, text=True, timeout=30)
    assert (ended.stdout, ended.stderr) == ("team/ci\n", "")


@pytest.mark.parametrize(
    ("shell", "sign"), [("zsh", "#compdef rotate"), ("fish", "complete --no-files --command rotate")]
)
def test_other_shells_have_theirs(shell: str, sign: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "rotator", "completion", shell], capture_output=True, text=True, timeout=30
    )
    assert ended.returncode == 0
    assert sign in ended.stdout
    assert "_ROTATE_COMPLETE" in ended.stdout
