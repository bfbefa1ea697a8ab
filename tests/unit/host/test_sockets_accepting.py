"""The loop that accepts: errors, bugs and crowds end nothing but a conversation."""

from __future__ import annotations

import errno
import os
import resource
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from rotator.host import sockets
from rotator.host.sockets import Connection, Listener
from tests.unit.app.test_control import until

pytestmark = pytest.mark.anyio


class Broken:
    """A listening socket whose accept fails so often, with this number."""

    def __init__(self, raw: socket.socket, number: int, times: int) -> None:
        self.raw, self.number, self.times = raw, number, times

    def accept(self) -> tuple[socket.socket, object]:
        if self.times:
            self.times -= 1
            raise OSError(self.number, os.strerror(self.number))
        return self.raw.accept()

    def gettimeout(self) -> float:
        return 0.0

    def fileno(self) -> int:
        return self.raw.fileno()

    def close(self) -> None:
        self.raw.close()


async def echo(connection: Connection) -> None:
    while True:
        said = await connection.stream.receive()
        connection.busy()
        await connection.stream.send(said)
        connection.rest()


class Told:
    def __init__(self) -> None:
        self.bugs: list[BaseException] = []
        self.strains: list[str] = []


@asynccontextmanager
async def listening(
    path: Path,
    converse: Callable[[Connection], Awaitable[None]] = echo,
    limit: int = 3,
    breaks: tuple[int, int] = (0, 0),
) -> AsyncIterator[Told]:
    bound = await sockets.unix(str(path), 0o600)
    bound.raw = Broken(bound.raw, *breaks)
    told = Told()
    listener = Listener(bound, limit, told.bugs.append, told.strains.append)
    async with anyio.create_task_group() as group:
        group.start_soon(listener.serve, converse)
        yield told
        await until(lambda: not listener._open)  # anyio's unix streams trip over a caller that leaves just then
        group.cancel_scope.cancel()


async def said(path: Path, what: bytes = b"x") -> bytes:
    with anyio.fail_after(5):
        async with await anyio.connect_unix(path) as stream:
            await stream.send(what)
            return await stream.receive()


@pytest.mark.parametrize(
    "number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ECONNABORTED, errno.EPERM, errno.EIO]
)
async def test_an_error_at_accept_is_waited_out_and_told_once(tmp_path: Path, number: int) -> None:
    async with listening(tmp_path / "s", breaks=(number, 3)) as told:
        assert await said(tmp_path / "s") == b"x"
    assert told.strains == ([] if number == errno.ECONNABORTED else [os.strerror(number).lower()])
    assert not told.bugs


async def test_a_probe_behind_two_hundred_callers_is_served_within_its_five_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    sleep = anyio.sleep

    async def noting(delay: float) -> None:
        pauses.append(delay)
        await sleep(delay)

    monkeypatch.setattr(anyio, "sleep", noting)
    async with listening(tmp_path / "s", breaks=(errno.EMFILE, 1)):
        assert await said(tmp_path / "s") == b"x"
    assert 200 * pauses[0] <= 2.5  # each of them is accepted after one error, and the pause that follows it


def fill(held: list[int]) -> None:
    """Take every descriptor there is."""
    while True:
        held.append(os.open(os.devnull, os.O_RDONLY))


async def test_without_descriptors_callers_are_served_one_by_one(tmp_path: Path) -> None:
    limit = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 (names are enough)
    async with listening(tmp_path / "s", limit=50) as told:
        clients = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        held: list[int] = []
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit + 40, hard))
        try:
            with pytest.raises(OSError, match="Too many open files"):
                fill(held)
            for client in clients:
                client.setblocking(False)
                client.connect(str(tmp_path / "s"))
                client.send(b"x")
                with anyio.fail_after(5):
                    await anyio.wait_readable(client)
                    assert client.recv(10) == b"x"
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for number in held:
                os.close(number)
            for client in clients:
                client.close()
    assert told.strains == ["too many open files"]


@pytest.mark.parametrize(
    "bug",
    [
        ValueError("oh"),
        ExceptionGroup("g", [ValueError("oh")]),
        BaseExceptionGroup("g", [GeneratorExit()]),
        BaseExceptionGroup("g", [ValueError("oh"), GeneratorExit()]),
        SystemExit(3),
        GeneratorExit(),
    ],
    ids=repr,
)
async def test_whatever_escapes_a_conversation_ends_that_one_alone(tmp_path: Path, bug: BaseException) -> None:
    async def converse(connection: Connection) -> None:
        if await connection.stream.receive() == b"bug":
            raise bug
        await connection.stream.send(b"fine")

    async with listening(tmp_path / "s", converse) as told:
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await said(tmp_path / "s", b"bug")
        assert await said(tmp_path / "s") == b"fine"
    assert told.bugs == [bug]


async def test_when_all_places_are_taken_the_oldest_idle_caller_goes_and_else_the_oldest(tmp_path: Path) -> None:
    async def wait(connection: Connection) -> None:
        while (await connection.stream.receive()) == b"idle":
            pass
        connection.busy()
        await connection.stream.send(b"at work")
        await connection.stream.receive()

    async with listening(tmp_path / "s", wait) as told:
        busy = [await anyio.connect_unix(tmp_path / "s") for _ in range(2)]
        for each in busy:
            await each.send(b"work")
            assert await each.receive() == b"at work"
        idle = await anyio.connect_unix(tmp_path / "s")
        await idle.send(b"idle")
        assert await said(tmp_path / "s", b"work") == b"at work"
        with anyio.fail_after(5), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await idle.receive()
        third = await anyio.connect_unix(tmp_path / "s")
        await third.send(b"work")
        assert await third.receive() == b"at work"
        assert await said(tmp_path / "s", b"work") == b"at work"
        with anyio.fail_after(5), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await busy[0].receive()
        for each in (*busy, idle, third):
            await each.aclose()
    assert not told.bugs
