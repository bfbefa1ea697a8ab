"""A real `rotate run` tells a real socket how it is: ready, reloading, alive, waiting for Vault, stopping."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.environment import World
from tests.unit.app.systemd.ear import Ear

pytestmark = pytest.mark.system


@pytest.fixture
def world() -> Iterator[World]:
    with World() as made:
        made.add("blog-ci", roles=["role-template-view-posts"])
        yield made


class Run:
    """A daemon with a service manager's socket and a watchdog of 0.4 s; leaving the block kills it."""

    def __init__(self, settings: Path, ear: Ear) -> None:
        environ = os.environ | {"NOTIFY_SOCKET": ear.name, "WATCHDOG_USEC": "400000"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rotator", "-c", str(settings), "run", "--log", "json"],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> subprocess.Popen[bytes]:
        return self.process

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)


def test_a_daemons_life_is_heard_from_ready_to_stopping(world: World) -> None:
    settings = world.write_settings(target={"settle": "1s"})
    with Ear(world.folder / "ear") as ear, Run(settings, ear) as daemon:
        ear.until(lambda heard: "READY=1" in heard, 30)
        ear.until(lambda heard: any(x.startswith("STATUS=1 credential; next: blog-ci") for x in heard))
        ear.forget()
        ear.until(lambda heard: heard.count("WATCHDOG=1") >= 2)

        settings.write_text(settings.read_text() + "\n[nonsense]\n")
        ear.forget()
        daemon.send_signal(signal.SIGHUP)
        ear.until(lambda heard: "READY=1" in heard)
        refused = next(x for x in ear.heard if x.startswith("STATUS=Settings refused"))
        assert "rotator.toml:" in refused
        assert ear.heard.index("RELOADING=1") < ear.heard.index(refused) < ear.heard.index("READY=1")

        daemon.send_signal(signal.SIGTERM)
        ear.until(lambda heard: "STOPPING=1" in heard)
        assert daemon.wait(20) == 0


def test_a_stopped_process_feeds_no_watchdog(world: World) -> None:
    with Ear(world.folder / "ear") as ear, Run(world.write_settings(), ear) as daemon:
        ear.until(lambda heard: heard.count("WATCHDOG=1") >= 2, 30)
        daemon.send_signal(signal.SIGSTOP)
        ear.forget()
        ear.listen(0.6)
        ear.forget()
        assert ear.listen(1.0) == []


def test_a_sealed_vault_at_the_start_is_waited_for_and_said(world: World) -> None:
    world.bao.seal()
    with Ear(world.folder / "ear") as ear, Run(world.write_settings(), ear):
        ear.until(lambda heard: any(x.startswith("STATUS=Waiting for Vault:") for x in heard), 30)
        assert "EXTEND_TIMEOUT_USEC=60000000" in ear.heard
        assert "READY=1" not in ear.heard
        world.bao.unseal()
        ear.until(lambda heard: "READY=1" in heard, 30)
