"""Locks: taken within a time or not at all, and where a folder cannot be locked, beside it."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path

import pytest

from rotator.host import files
from rotator.host.files import LockTimeoutError, locked_folder


def test_a_foreign_lock_is_waited_for_up_to_a_time(tmp_path: Path) -> None:
    number = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(number, fcntl.LOCK_EX)
    began = time.monotonic()
    with pytest.raises(LockTimeoutError, match="is kept locked by another process"), locked_folder(tmp_path, began):
        pass
    os.close(number)
    with locked_folder(tmp_path, time.monotonic()):
        pass


@pytest.mark.parametrize("also", [False, True], ids=["NFS", "no locks at all"])
def test_where_a_folder_cannot_be_locked_a_file_in_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, also: bool
) -> None:
    real = fcntl.flock

    def flock(number: int, how: int) -> None:
        if also or (not os.get_inheritable(number) and Path(f"/proc/self/fd/{number}").is_dir()):
            raise OSError(errno.ENOLCK if also else errno.EBADF, "no")
        real(number, how)

    monkeypatch.setattr(files.fcntl, "flock", flock)
    with locked_folder(tmp_path, time.monotonic()) as folder:
        assert Path(f"/proc/self/fd/{folder}").is_dir()
        if not also:
            with pytest.raises(LockTimeoutError), locked_folder(tmp_path, time.monotonic()):
                pass
