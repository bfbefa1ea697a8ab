"""Threads for calls that may hang: each keeps its own, and nobody waits for those that were given up."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial

import anyio
import pytest

from rotator.host import threads
from rotator.host.threads import HostNames, Threads
from rotator.ports import Transient

pytestmark = pytest.mark.anyio


@pytest.fixture
def hang() -> Iterator[threading.Event]:
    """What hanging calls wait for; they end with the test."""
    event = threading.Event()
    yield event
    event.set()


async def test_results_and_faults_come_back_and_a_thread_is_used_again() -> None:
    some = Threads("some", 1)
    first = await some.run(threading.get_ident)
    assert await some.run(threading.get_ident) == first != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await some.run(lambda: 1 // 0)
    with pytest.raises(RuntimeError):
        await some.run(partial(next, iter(())))


async def test_no_more_threads_are_started_than_calls_go_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    some, started, start = Threads("some", 4), [], threading.Thread.start

    def counted(self: threading.Thread) -> None:
        started.append(self.name)
        start(self)

    async def calls() -> None:
        for _ in range(200):
            await some.run(threading.get_ident)

    monkeypatch.setattr(threading.Thread, "start", counted)
    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(calls)
    assert started.count("some") <= 4


async def test_what_is_given_up_keeps_its_thread_but_nobody_waiting_until_all_hang(hang: threading.Event) -> None:
    some = Threads("some", 2, 3)
    for _ in range(2):
        with anyio.move_on_after(0.05):
            await some.run(hang.wait)
    assert await some.run(lambda: 5) == 5
    with anyio.move_on_after(0.05):
        await some.run(hang.wait)
    with anyio.move_on_after(0.05) as waited:
        await some.run(lambda: 5)
    assert waited.cancelled_caught, "three threads hang, there is no fourth"
    with pytest.raises(Transient, match="some: everything that was asked before hangs still"):
        some.start(lambda: 5)
    hang.set()
    with anyio.fail_after(5):
        assert await some.run(lambda: 5) == 5


async def test_no_thread_left_is_told_and_leaves_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    some = Threads("some", 1, 1)

    def full(self: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threads.threading.Thread, "start", full)
        for _ in range(3):
            with pytest.raises(Transient, match="no thread can be started: this host's limit is reached"):
                await some.run(lambda: 5)
    assert await some.run(lambda: 5) == 5


def test_the_end_of_the_process_waits_for_none() -> None:
    program = """
import anyio, threading
from rotator.host.threads import Threads
async def main():
    with anyio.move_on_after(0.05):
        await Threads("some", 1).run(threading.Event().wait)
anyio.run(main)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)


async def test_a_name_is_looked_up_once_for_all_who_ask_and_addresses_not_at_all(
    monkeypatch: pytest.MonkeyPatch, hang: threading.Event
) -> None:
    asked = []

    def look_up(host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        asked.append(host)
        hang.wait(10)
        return [(2, 1, 6, "", (address, 0)) for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1")]

    monkeypatch.setattr(threads.socket, "getaddrinfo", look_up)
    some = HostNames()
    found = []

    async def find() -> None:
        found.append(await some.find("a.example"))

    with anyio.move_on_after(0.05):
        await find()
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(find)
        await anyio.sleep(0.05)
        assert await some.find("192.0.2.9") == ("192.0.2.9",)
        assert await some.find("2001:db8::1") == ("2001:db8::1",)
        hang.set()
    assert found == [("192.0.2.1", "192.0.2.2")] * 20
    assert asked == ["a.example"]
    assert await some.find("a.example") == ("192.0.2.1", "192.0.2.2")
    assert asked == ["a.example"] * 2


async def test_a_name_that_is_none_is_a_fault_for_all_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(threads.socket, "getaddrinfo", look_up)
    some = HostNames()
    for _ in range(2):
        with pytest.raises(socket.gaierror):
            await some.find("a.example")
