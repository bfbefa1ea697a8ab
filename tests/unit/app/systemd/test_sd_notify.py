"""The sd_notify protocol, spoken over a real datagram socket."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from uuid import uuid4

import pytest

from rotator.app.systemd import Notifier
from tests.unit.app.systemd.ear import Ear


def test_each_thing_said_is_one_datagram_of_the_protocol(tmp_path: Path) -> None:
    with Ear(tmp_path / "ear") as ear:
        notifier = Notifier({"NOTIFY_SOCKET": ear.name})
        notifier.ready()
        notifier.status("two words")
        notifier.alive()
        notifier.extend(1.5)
        notifier.stopping()
        assert ear.listen() == [
            "READY=1",
            "STATUS=two words",
            "WATCHDOG=1",
            "EXTEND_TIMEOUT_USEC=1500000",
            "STOPPING=1",
        ]


def test_an_abstract_socket_is_reached_too() -> None:
    with Ear(f"@rotator-test-{uuid4().hex}") as ear:
        Notifier({"NOTIFY_SOCKET": ear.name}).ready()
        assert ear.listen() == ["READY=1"]


def test_a_reload_carries_the_monotonic_time_at_which_it_began(tmp_path: Path) -> None:
    with Ear(tmp_path / "ear") as ear:
        before = time.monotonic() * 1e6
        Notifier({"NOTIFY_SOCKET": ear.name}).reloading()
        first, stamp = ear.listen()
        assert first == "RELOADING=1"
        assert before - 1 <= int(stamp.removeprefix("MONOTONIC_USEC=")) <= time.monotonic() * 1e6 + 1


def test_a_status_is_one_line_however_it_is_given(tmp_path: Path) -> None:
    with Ear(tmp_path / "ear") as ear:
        Notifier({"NOTIFY_SOCKET": ear.name}).status("fine\nREADY=1\n" + "x" * 9000)
        (line,) = ear.listen()
        assert line.startswith("STATUS=fine READY=1 xxx")
        assert len(line) < 500


@pytest.mark.parametrize("given", ["", "relative/path", "vsock:2:1234"])
def test_without_a_socket_nothing_is_said(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", opened)
    notifier = Notifier({"NOTIFY_SOCKET": given, "WATCHDOG_USEC": "1000000"})
    notifier.ready()
    assert not notifier.heard
    assert notifier.watchdog is None


def test_a_listener_that_went_away_harms_nobody(tmp_path: Path) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()
    with Ear(tmp_path / "ear") as ear:
        pass
    Notifier({"NOTIFY_SOCKET": ear.name}).ready()


def test_a_listener_that_never_reads_costs_a_moment_only(tmp_path: Path) -> None:
    with Ear(tmp_path / "ear") as ear:
        notifier = Notifier({"NOTIFY_SOCKET": ear.name})
        began = time.monotonic()
        queue = int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text())
        for _ in range(queue + 2):
            notifier.alive()
        assert time.monotonic() - began < 3
        assert 0 < ear.listen().count("WATCHDOG=1") <= queue + 1


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdogs_period_is_read_for_the_process_it_is_meant_for(
    environ: dict[str, str], seconds: float | None, tmp_path: Path
) -> None:
    assert Notifier({"NOTIFY_SOCKET": str(tmp_path / "ear"), **environ}).watchdog == seconds
