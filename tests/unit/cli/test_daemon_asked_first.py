"""A command that a daemon of the very same settings answers reads neither them nor Vault."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from rotator.cli import rotate
from rotator.rotation.credential_state import state
from rotator.settings.files import digest
from tests.kit.fleet import NOW, named, settled

BROKEN = """[daemon]
socket = "{socket}"
[credentials
"""


@contextmanager
def daemon(path: Path, its_digest: str) -> Iterator[list[dict[str, object]]]:
    """As much of one as tells its digest and the state of `blog`; what it was asked."""
    asked: list[dict[str, object]] = []
    row = msgspec.to_builtins(state(named("blog"), settled(), NOW))
    end = {"at": NOW.isoformat(), "stale": "", "login": "", "refused": "", "left": [], "unclaimed": []}
    end |= {"code": 0, "more": 0, "read_only": False}
    answers = {
        "ping": [{"digest": its_digest}],
        "states": [{"states": [row]}, end],
        "explain": [{"said": "so"}, {"exit": 0}],
    }
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        door.listen()

        def serve() -> None:
            while True:
                try:
                    caller, _ = door.accept()
                except OSError:
                    return
                with caller, caller.makefile("rwb") as stream:
                    if line := stream.readline():
                        asked.append(json.loads(line))
                        stream.writelines(json.dumps(each).encode() + b"\n" for each in answers[asked[-1]["verb"]])

        server = threading.Thread(target=serve)
        server.start()
        try:
            yield asked
        finally:
            door.shutdown(socket.SHUT_RDWR)
            server.join()


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Settings that nobody can read to their end: whoever tries finds a fault."""
    path = tmp_path / "rotator.toml"
    path.write_text(BROKEN.format(socket=tmp_path / "s"))
    return path


@pytest.mark.parametrize(("words", "said"), [(("status",), "blog"), (("plan",), "blog"), (("explain", "blog"), "so")])
def test_the_same_settings_are_not_read_again(broken: Path, words: tuple[str, ...], said: str) -> None:
    with daemon(broken.parent / "s", digest(broken)) as asked:
        ended = CliRunner().invoke(rotate, ["--config", str(broken), *words])
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert said in ended.stdout
    assert asked[-1]["vault"] is None


def test_other_settings_are_read_and_their_faults_told(broken: Path) -> None:
    with daemon(broken.parent / "s", "another"):
        ended = CliRunner().invoke(rotate, ["--config", str(broken), "status"])
    assert "is not valid TOML" in ended.stderr


def test_a_named_socket_needs_no_settings(tmp_path: Path) -> None:
    with daemon(tmp_path / "s", "another") as asked:
        args = ["--config", str(tmp_path / "none"), "--socket", str(tmp_path / "s")]
        ended = CliRunner().invoke(rotate, [*args, "status", "--state", "settled", "--limit", "5"])
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert asked[-1] == {"verb": "states", "vault": None, "names": [], "words": ["settled"], "limit": 5}
