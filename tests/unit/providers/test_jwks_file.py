"""A key set in a file: links are written through, locks and disks are not waited for without end."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

import anyio
import pytest

from rotator.ports import Transient
from rotator.providers.keys import jwks
from rotator.providers.keys.jwks import JwksFile, KeySet

pytestmark = pytest.mark.anyio
ONE = '{"keys": [{"kty": "EC", "kid": "one"}]}\n'
TWO = '{"keys": [{"kty": "EC", "kid": "two"}]}\n'


def second(_: KeySet) -> KeySet:
    return jwks.parse(TWO)


async def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    served = tmp_path / "srv"
    served.mkdir()
    (served / "jwks.json").write_text(ONE)
    (tmp_path / "jwks.json").symlink_to(served / "jwks.json")
    (tmp_path / "again.json").symlink_to("jwks.json")
    assert await JwksFile(str(tmp_path / "again.json")).change(second)
    assert (tmp_path / "jwks.json").is_symlink()
    assert (tmp_path / "again.json").is_symlink()
    assert '"two"' in (served / "jwks.json").read_text()
    assert sorted(each.name for each in served.iterdir()) == ["jwks.json"]


async def test_a_link_to_a_file_that_is_not_there_yet_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "srv").mkdir()
    (tmp_path / "jwks.json").symlink_to("srv/jwks.json")
    assert await JwksFile(str(tmp_path / "jwks.json")).change(second)
    assert '"two"' in (tmp_path / "srv" / "jwks.json").read_text()


async def test_a_foreign_lock_is_a_fault_in_words_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jwks, "_LOCK", 0.05)
    number = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(number, fcntl.LOCK_EX)
    with pytest.raises(Transient, match="is kept locked by another process"):
        await JwksFile(str(tmp_path / "jwks.json")).change(second)
    os.close(number)
    assert await JwksFile(str(tmp_path / "jwks.json")).change(second)


async def test_what_is_no_file_or_has_no_end_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with anyio.fail_after(5), pytest.raises(Transient, match="it is a pipe, not a regular file"):
        await JwksFile(str(tmp_path / "pipe")).read()
    (tmp_path / "large").write_bytes(b" " * 2_000_000)
    with pytest.raises(Transient, match="is larger than 1024 KiB"):
        await JwksFile(str(tmp_path / "large")).read()


async def test_a_disk_that_hangs_is_a_fault_and_changes_nothing_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back, over = threading.Event(), threading.Event()
    monkeypatch.setattr(jwks, "_PATIENCE", 0.1)

    def slow(keys: KeySet) -> KeySet:
        back.wait(10)
        over.set()
        return second(keys)

    with pytest.raises(Transient, match=r"no end of reading or writing within 0\.1 s"):
        await JwksFile(str(tmp_path / "jwks.json")).change(slow)
    back.set()
    assert await anyio.to_thread.run_sync(over.wait, 10)
    monkeypatch.setattr(jwks, "_PATIENCE", 10.0)
    await JwksFile(str(tmp_path / "jwks.json")).read()  # by then the thread before has let the lock go, or soon
    assert not (tmp_path / "jwks.json").exists()
