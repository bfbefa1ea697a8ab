"""Where the daemon may be looked at, and where its receipts go: nowhere, unless somebody says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from rotator.settings import Audit, Listen, Status, load
from tests.unit.settings.files import SOUND, write


def test_nobody_may_look_and_nothing_is_kept_by_default(tmp_path: Path) -> None:
    settings = load(write(tmp_path, SOUND))
    assert (settings.status, settings.audit) == (Status(None, False), Audit("", False, True))


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("127.0.0.1:9464", Listen("127.0.0.1", 9464)),
        ("localhost:1", Listen("127.0.0.1", 1)),
        ("[::1]:65535", Listen("::1", 65535)),
        ("unix:/run/rotator/status.sock", Listen(path="/run/rotator/status.sock")),
    ],
)
def test_an_address_of_this_host_is_taken_as_written(said: str, meant: Listen, tmp_path: Path) -> None:
    settings = load(write(tmp_path, SOUND + f'[status]\nlisten = "{said}"\n'))
    assert settings.status.listen == meant
    assert str(meant) == said.replace("localhost", "127.0.0.1")


def test_an_address_for_everybody_is_taken_from_those_who_mean_it(tmp_path: Path) -> None:
    path = write(tmp_path, SOUND + '[status]\nlisten = "0.0.0.0:9464"\nallow_remote = true\n')
    assert load(path).status == Status(Listen("0.0.0.0", 9464), True)


def test_names_under_which_it_may_be_asked_are_taken_as_browsers_send_them(tmp_path: Path) -> None:
    path = write(tmp_path, SOUND + '[status]\nlisten = "127.0.0.1:1"\nhosts = ["Rotator.Example.", "rotator"]\n')
    assert load(path).status.hosts == ("rotator.example", "rotator")
