"""The kernel alone proves that a process has ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rotator.host import process as process_lock
from rotator.host.process import ProcessLock, has_ended

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="abstract sockets are Linux's")
BOOT = "0a1b2c3d-0a1b-2c3d-4e5f-0a1b2c3d4e5f"
PROGRAM = "from rotator.host.process import ProcessLock; p = ProcessLock(); print(p.lock, flush=True); input()"


@pytest.fixture(autouse=True)
def boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A boot id that the test may change."""
    path = tmp_path / "boot_id"
    path.write_text(f"{BOOT}\n")
    monkeypatch.setattr(process_lock, "BOOT_ID", path)
    monkeypatch.delenv(process_lock.BOOT_VARIABLE, raising=False)
    return path


@pytest.fixture
def ours() -> Iterator[ProcessLock]:
    made = ProcessLock()
    yield made
    made.close()


def test_a_living_holder_has_not_ended_and_one_that_let_go_has(ours: ProcessLock) -> None:
    assert ours.lock
    assert not has_ended(ours.lock)
    ours.close()
    ours.close()
    assert has_ended(ours.lock)


def test_a_killed_process_is_proven_to_have_ended(boot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_lock, "BOOT_ID", Path("/proc/sys/kernel/random/boot_id"))
    child = subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin
    assert child.stdout
    with child.stdin, child.stdout:
        lock = child.stdout.readline().strip()
        assert lock
        assert not has_ended(lock)
        child.kill()
        child.wait()
    assert has_ended(lock)


@pytest.mark.parametrize("change", ["boot", "namespace", "shape"])
def test_a_lock_from_elsewhere_proves_nothing(ours: ProcessLock, change: str) -> None:
    ours.close()
    boot, namespace, name = ours.lock.split("/")
    other = {
        "boot": f"{boot[::-1]}/{namespace}/{name}",
        "namespace": f"{boot}/{int(namespace) + 1}/{name}",
        "shape": f"{boot}/{namespace}/{name}\n",
    }
    assert has_ended(ours.lock)
    assert not has_ended(other[change])
    assert not has_ended("")


def test_where_the_boot_cannot_be_read_systemd_may_have_told_it(
    boot: Path, monkeypatch: pytest.MonkeyPatch, ours: ProcessLock
) -> None:
    """`ProcSubset=pid` hides the file; the units hand over `%b`, which has no dashes."""
    boot.unlink()
    monkeypatch.setenv(process_lock.BOOT_VARIABLE, BOOT.replace("-", ""))
    assert not has_ended(ours.lock)
    ours.close()
    assert has_ended(ours.lock)


def test_without_a_boot_nothing_is_claimed_and_nothing_proven(boot: Path, ours: ProcessLock) -> None:
    ours.close()
    boot.write_text("none")
    assert not has_ended(ours.lock)
    assert ProcessLock().lock == ""


def test_without_a_descriptor_a_process_is_waited_for_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object) -> None:
        raise OSError(24, os.strerror(24))

    monkeypatch.setattr(process_lock.socket, "socket", none_left)
    assert ProcessLock().lock == ""
    assert not has_ended(f"{BOOT.replace('-', '')}/{Path('/proc/self/ns/net').stat().st_ino}/{'0' * 32}")
