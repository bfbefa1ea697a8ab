"""What others may write and the daemon obeys is told: a hook in it would run as the daemon's user."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from rotator.settings import load
from rotator.settings.files import writable
from tests.unit.settings.files import SOUND, write

HOOK = '[hooks.tell]\non = ["published"]\ncommand = ["{}"]\n'


@pytest.fixture
def program(tmp_path: Path) -> Path:
    made = tmp_path / "bin" / "tell"
    made.parent.mkdir()
    made.write_text("#!/bin/sh\n")
    made.chmod(0o755)
    return made


@pytest.fixture
def main(tmp_path: Path, program: Path) -> Path:
    tmp_path.chmod(0o700)
    path = write(tmp_path, SOUND)
    more = write(tmp_path, HOOK.format(program), "conf.d/hooks.toml")
    for each, mode in ((path, 0o640), (more, 0o640), (more.parent, 0o755)):
        each.chmod(mode)
    return path


def test_what_only_its_owner_may_write_is_no_concern(main: Path) -> None:
    assert list(writable(load(main))) == []


@pytest.mark.parametrize("place", ["conf.d/hooks.toml", "conf.d", "rotator.toml", "bin/tell"])
def test_what_anybody_may_write_is_told_with_what_it_lets_them_do(main: Path, place: str) -> None:
    path = main.parent / place
    path.chmod(path.stat().st_mode | 0o002)
    [(told, said)] = writable(load(main))
    assert told == str(path)
    assert said.startswith("anybody may write it: ")


def test_a_sticky_folder_keeps_others_out(main: Path) -> None:
    (main.parent / "conf.d").chmod(0o1777)
    assert list(writable(load(main))) == []


@pytest.mark.parametrize("how", ["config map", "writable", "no volume of the kubelet"])
def test_a_config_map_is_mounted_read_only(main: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = main.parent / "conf.d"
    folder.chmod(0o777)
    if how != "no volume of the kubelet":
        (folder / "..data").symlink_to("..2026_12_01")
    if how != "writable":
        monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_flag=os.ST_RDONLY))
    assert [told for told, _ in writable(load(main))] == ([] if how == "config map" else [str(folder)])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_a_file_of_another_user_or_group_is_told(main: Path) -> None:
    more = main.parent / "conf.d" / "hooks.toml"
    os.chown(more, 12345, 0)
    assert next(writable(load(main)))[1].startswith("it belongs to the user 12345: ")
    os.chown(more, 0, 12345)
    more.chmod(0o660)
    assert next(writable(load(main)))[1].startswith("the group 12345 may write it: ")
