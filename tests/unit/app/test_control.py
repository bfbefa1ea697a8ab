"""The control socket on a real unix socket: framing, garbage, bugs and slow callers harm the caller alone."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import anyio
import pytest

from rotator.app import control
from rotator.app.control import LARGEST, Control, ControlError, answers, call
from rotator.ports import Transient

pytestmark = pytest.mark.anyio


class Door:
    """A control socket with a few verbs; `heard` and `bugs` list what it told its owner."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.heard: list[str] = []
        self.bugs: list[str] = []
        self.closed: list[str] = []
        verbs = {"echo": self.echo, "bug": self.bug, "flood": self.flood, "wait": self.wait}
        told = self.heard
        self.control = Control(
            self.path,
            verbs,
            lambda verb, uid, pid: told.append(f"{verb} {uid} {pid}"),
            lambda verb, bug: self.bugs.append(f"{verb} {bug}"),
        )

    async def echo(self, request):
        yield {"was": request}
        yield {"last": True}

    async def bug(self, request):
        yield {"first": True}
        raise ZeroDivisionError("oh")

    async def flood(self, request):
        try:
            while True:
                yield {"x": "y" * 65536}
        finally:
            self.closed.append("flood")

    async def wait(self, request):
        await anyio.sleep_forever()
        yield {}

    async def ask(self, verb: str, **request: object) -> list[dict]:
        async with aclosing(call(self.path, {"verb": verb, **request})) as replies:
            return [reply async for reply in replies]

    async def send(self, raw: bytes) -> list[dict]:
        """Raw bytes, and everything that comes back."""
        async with await anyio.connect_unix(self.path) as wire:
            await wire.send(raw)
            whole = b""
            try:
                while True:
                    whole += await wire.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return [json.loads(line) for line in whole.splitlines()]


async def until(true: Callable[[], object]) -> None:
    """Wait until something is true."""
    with anyio.fail_after(10):
        while not true():  # noqa: ASYNC110 (what is waited for sets no event)
            await anyio.sleep(0.01)


@asynccontextmanager
async def listening(path: Path) -> AsyncIterator[Door]:
    door = Door(path)
    async with anyio.create_task_group() as group:
        await group.start(door.control.serve)
        yield door
        group.cancel_scope.cancel()


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with listening(tmp_path / "s") as made:
        yield made


async def test_a_request_is_answered_line_by_line_and_the_caller_is_named_by_the_kernel(door: Door) -> None:
    first, last = await door.ask("echo", by="somebody else", names=["bot"])
    assert first["was"] == {"verb": "echo", "names": ["bot"], "by": f"uid {os.getuid()} (pid {os.getpid()})"}
    assert last == {"last": True}
    assert door.heard == [f"echo {os.getuid()} {os.getpid()}"]
    assert stat.S_IMODE(os.stat(door.path).st_mode) == 0o600  # noqa: PTH116 (and quick)


async def test_a_request_in_pieces_is_put_together(door: Door) -> None:
    async with await anyio.connect_unix(door.path) as wire:
        for piece in (b'{"ve', b'rb": "ec', b'ho"}\n'):
            await wire.send(piece)
            await anyio.sleep(0.01)
        assert b'"was"' in await wire.receive()


@pytest.mark.parametrize("raw", [b"\n", b"\xff\n", b"[]\n", b"{}\n", b'{"verb": null}\n', b"[" * 50000 + b"\n"])
async def test_garbage_is_answered_with_the_verbs_there_are(door: Door, raw: bytes) -> None:
    assert "verbs: bug, echo, flood, wait" in (await door.send(raw))[0]["error"]
    assert not door.heard


async def test_an_oversized_request_is_refused_without_being_read_to_its_end(door: Door) -> None:
    said = await door.send(b"x" * (LARGEST + 65536))
    assert not said or "verbs" in said[0]["error"]
    assert (await door.ask("echo"))[-1] == {"last": True}


async def test_a_bug_in_a_verb_is_told_to_both_sides_and_the_door_stays_open(door: Door) -> None:
    first, last = await door.ask("bug")
    assert first == {"first": True}
    assert last == {"error": "a bug in the daemon, its log has it: ZeroDivisionError", "exit": 1}
    assert door.bugs == ["bug oh"]
    assert (await door.ask("echo"))[-1] == {"last": True}


async def test_a_silent_caller_is_shown_the_door(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_READ_WITHIN", 0.05)
    assert "verbs" in (await door.send(b'{"verb"'))[0]["error"]


async def test_a_caller_that_reads_nothing_is_given_up_and_its_verb_is_closed(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "_WRITE_WITHIN", 0.1)
    with socket.socket(socket.AF_UNIX) as wire:
        wire.connect(door.path)
        wire.sendall(b'{"verb": "flood"}\n')
        await until(lambda: door.closed)
    assert not door.bugs


async def test_a_hundred_who_wait_keep_nobody_out(door: Door) -> None:
    async with anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(door.ask, "wait")
        await until(lambda: len(door.heard) == 100)
        assert (await door.ask("echo"))[-1] == {"last": True}
        group.cancel_scope.cancel()


async def test_a_daemon_that_says_nothing_is_given_up_by_the_caller(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "SILENCE", 0.05)
    with pytest.raises(Transient, match="has said nothing"):
        await door.ask("wait")


async def test_a_second_daemon_is_refused_with_words(door: Door) -> None:
    with pytest.raises(ControlError, match="another daemon listens"):
        await Door(Path(door.path)).control.serve()
    assert (await door.ask("echo"))[-1] == {"last": True}


async def test_a_socket_left_behind_is_taken_over_and_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert not await answers(str(path))
    async with listening(path) as made:
        assert await answers(made.path)
        await anyio.sleep(0.05)  # that call is over, too
    assert not path.exists()


async def test_a_daemon_that_ends_late_does_not_take_the_socket_of_its_successor_away(tmp_path: Path) -> None:
    path, late = tmp_path / "s", anyio.CancelScope()

    async def serve(*, task_status) -> None:
        with late:
            await Door(path).control.serve(task_status=task_status)

    async with anyio.create_task_group() as group:
        await group.start(serve)
        path.rename(tmp_path / "old")
        async with listening(path) as successor:
            late.cancel()
            await anyio.sleep(0.05)
            assert (await successor.ask("echo"))[-1] == {"last": True}


@pytest.mark.parametrize("path", ["nowhere/s", "folder"])
async def test_a_path_that_cannot_be_used_is_told_with_a_remedy(tmp_path: Path, path: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ControlError, match="set \\[daemon\\] socket to a writable folder"):
        await Door(tmp_path / path).control.serve()


async def test_nobody_at_home_is_told_in_words(tmp_path: Path) -> None:
    assert not await answers(str(tmp_path / "s"))
    with pytest.raises(Transient, match="no daemon answers"):
        await Door(tmp_path / "s").ask("echo")


async def test_what_is_in_the_sockets_place_and_a_daemon_of_others_are_named(tmp_path: Path, monkeypatch) -> None:
    """Both were "no daemon answers": Connection refused, and Permission denied."""
    (tmp_path / "s").write_text("")
    with pytest.raises(Transient, match=r"no daemon answers on .*: a plain file is in the socket's place"):
        await Door(tmp_path / "s").ask("echo")
    monkeypatch.setattr(control.sockets, "others", lambda path: "rotator and root")
    with pytest.raises(Transient, match=r"a daemon runs on .*, and rotator and root may ask it: `sudo rotate`"):
        await Door(tmp_path / "s").ask("echo")
