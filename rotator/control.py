"""Owns the control socket: a unix stream socket, one JSON request per connection, a stream of JSON lines in answer.

What the verbs do is the daemon's. No secret ever travels over it. 0600, and the peer's uid is checked as well.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import SocketAttribute, SocketStream, TaskStatus
from anyio.streams.buffered import BufferedByteReceiveStream

from rotator.ports import Fault, Transient

LARGEST = 64 * 1024  # bytes of a request
_READ_WITHIN = 5.0  # seconds
_WRITE_WITHIN = 10.0  # seconds in which a caller takes a line, or is given up
SILENCE = 60.0  # seconds without a line after which a caller gives the daemon up; it says something more often
_AT_ONCE = 64  # requests being read; whoever waits for an answer takes no place
_GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)

Verb = Callable[[Mapping[str, Any]], AsyncGenerator[dict[str, Any]]]


class ControlError(Fault):
    """The socket cannot be used; the reason says why and what to do."""


class Control:
    """The server's side. `heard` is told of every request: verb, peer uid and pid; `failed` of a verb with a bug."""

    def __init__(
        self,
        path: str,
        verbs: Mapping[str, Verb],
        heard: Callable[[str, int, int], None],
        failed: Callable[[str, Exception], None],
    ) -> None:
        self._path = Path(path)
        self._verbs = verbs
        self._heard = heard
        self._failed = failed
        self._allowed = {0, os.getuid()}
        self._places = anyio.Semaphore(_AT_ONCE)

    async def serve(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Listen until cancelled. Raises ControlError when another daemon listens, or the folder cannot be used."""
        listener = await self._listen()
        mine = _inode(self._path)
        try:
            async with listener:
                task_status.started()
                await listener.serve(self._answer)
        finally:
            # By now another daemon may listen there, started because we did not answer.
            if _inode(self._path) == mine:
                self._path.unlink(missing_ok=True)

    async def _listen(self) -> Any:
        if await answers(str(self._path)):
            raise ControlError(f"another daemon listens on {self._path}; give this one its own [daemon] socket")
        before = os.umask(0o177)
        try:
            return await anyio.create_unix_listener(self._path, mode=0o600)
        except OSError as fault:
            words = fault.strerror or "unusable"
            raise ControlError(
                f"control socket {self._path}: {words}; set [daemon] socket to a writable folder"
            ) from None
        finally:
            os.umask(before)

    async def _answer(self, stream: SocketStream) -> None:
        async with stream:
            try:
                await self._converse(stream)
            except _GONE:
                return  # the caller went away, or reads nothing; what it asked for goes on

    async def _converse(self, stream: SocketStream) -> None:
        pid, uid = peer(stream.extra(SocketAttribute.raw_socket))  # noqa: S610 (not Django's)
        if uid not in self._allowed:
            await _send(stream, {"error": "this socket serves its owner and root only"})
            return
        async with self._places:
            request = await _request(stream)
        name = str(request.get("verb")) if request else ""
        verb = self._verbs.get(name)
        if request is None or verb is None:
            known = ", ".join(sorted(self._verbs))
            await _send(stream, {"error": f"not a request this daemon knows; verbs: {known}"})
            return
        self._heard(name, uid, pid)
        try:
            await _reply(stream, verb({**request, "by": f"uid {uid} (pid {pid})"}))
        except _GONE:
            raise
        except Exception as bug:  # noqa: BLE001 (one caller's bug must not end the daemon)
            self._failed(name, bug)
            await _send(stream, {"error": f"a bug in the daemon, its log has it: {type(bug).__name__}", "exit": 1})


async def _reply(stream: SocketStream, replies: AsyncGenerator[dict[str, Any]]) -> None:
    async with aclosing(replies):
        async for reply in replies:
            await _send(stream, reply)


async def _request(stream: SocketStream) -> dict[str, Any] | None:
    try:
        with anyio.fail_after(_READ_WITHIN):
            line = await BufferedByteReceiveStream(stream).receive_until(b"\n", LARGEST)
        request = json.loads(line)
    except (TimeoutError, ValueError, RecursionError, anyio.DelimiterNotFound, anyio.IncompleteRead):
        return None
    return request if isinstance(request, dict) else None


async def _send(stream: SocketStream, reply: Mapping[str, Any]) -> None:
    with anyio.move_on_after(_WRITE_WITHIN):
        await stream.send(json.dumps(reply).encode() + b"\n")
        return
    raise anyio.BrokenResourceError


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def peer(raw: socket.socket) -> tuple[int, int]:
    """The pid and uid at the other end, by the kernel's word (SO_PEERCRED)."""
    pid, uid, _ = struct.unpack("3i", raw.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return pid, uid


async def answers(path: str) -> bool:
    """Whether a daemon listens there."""
    try:
        async with await anyio.connect_unix(path):
            return True
    except OSError:
        return False


async def call(path: str, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
    """The client's side: send one request, yield each reply. Raises Transient when the daemon cannot be heard."""
    try:
        stream = await anyio.connect_unix(path)
    except OSError as fault:
        raise Transient(f"no daemon answers on {path}: {fault.strerror}") from None
    async with stream:
        buffered = BufferedByteReceiveStream(stream)
        try:
            await _send(stream, request)
            while line := await _line(buffered):
                yield json.loads(line)
        except _GONE:
            return
        except (TimeoutError, ValueError, anyio.DelimiterNotFound):
            text = f"the daemon on {path} has said nothing that makes sense for {SILENCE:g} s; its log may say why"
            raise Transient(text) from None


async def _line(stream: BufferedByteReceiveStream) -> bytes:
    """The next reply; nothing at the end."""
    try:
        with anyio.fail_after(SILENCE):
            return await stream.receive_until(b"\n", 16 * LARGEST)
    except (anyio.IncompleteRead, *_GONE):
        return b""
