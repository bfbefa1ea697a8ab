"""The control socket: a unix stream socket, one JSON request per connection, a stream of JSON lines in answer.

No secret travels over it. It has mode 0600, and the peer's uid is checked as well.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any

import anyio
from anyio.abc import SocketAttribute, SocketStream, TaskStatus
from anyio.streams.buffered import BufferedByteReceiveStream

from rotator.host import sockets
from rotator.host.sockets import Connection, Listener
from rotator.ports import Fault, Transient

LARGEST = 64 * 1024  # bytes of a request
_READ_WITHIN = 5.0  # seconds
_WRITE_WITHIN = 10.0  # seconds for a caller to read a line
SILENCE = 60.0  # seconds without a line until a caller gives up; the daemon sends one more often
_CONNECTIONS = 256
_GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)

Verb = Callable[[Mapping[str, Any]], AsyncGenerator[dict[str, Any]]]


class ControlError(Fault):
    """The socket cannot be used; the reason says why and what to do."""


class Control:
    """The server's side. `heard` gets each request (verb, peer uid and pid), `failed` each verb with a bug.

    A verb is closed when its caller disconnects, so it must not do work that has to go on.
    """

    def __init__(
        self,
        path: str,
        verbs: Mapping[str, Verb],
        heard: Callable[[str, int, int], None],
        failed: Callable[[str, BaseException], None],
        strained: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._path = path
        self._verbs = verbs
        self._heard = heard
        self._failed = failed
        self._strained = strained
        self._allowed = {0, os.getuid()}

    async def serve(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Listen until cancelled. Raises ControlError when another daemon listens, or the folder cannot be used."""
        try:
            bound = await sockets.unix(self._path, 0o600)
        except sockets.TakenError:
            text = f"another daemon listens on {self._path}; give this one its own [daemon] socket"
            raise ControlError(text) from None
        except sockets.AddressError as fault:
            text = f"control socket {self._path}: {fault}; set [daemon] socket to a writable folder"
            raise ControlError(text) from None
        listener = Listener(bound, _CONNECTIONS, lambda bug: self._failed("", bug), self._strained)
        task_status.started()
        await listener.serve(self._converse)

    async def _converse(self, connection: Connection) -> None:
        stream = connection.stream
        pid, uid = peer(stream.extra(SocketAttribute.raw_socket))  # noqa: S610 (not Django's)
        request = await _request(stream)  # read all before answering: a caller that still writes would not read
        if uid not in self._allowed:
            await _send(stream, {"error": "this socket serves its owner and root only"})
            return
        connection.busy()
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
        except (Exception, BaseExceptionGroup, SystemExit) as bug:  # noqa: BLE001 (a bug must not end the daemon)
            if isinstance(bug, BaseExceptionGroup) and bug.split(GeneratorExit)[1] is None:
                return  # the caller went away while a task group of the verb was open
            self._failed(name, bug)
            await _send(stream, {"error": f"a bug in the daemon, its log has it: {_kind(bug)}", "exit": 1})


def _kind(bug: BaseException) -> str:
    """The exception's name, of the first in a group."""
    return _kind(bug.exceptions[0]) if isinstance(bug, BaseExceptionGroup) else type(bug).__name__


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


def peer(raw: socket.socket) -> tuple[int, int]:
    """The pid and uid of the peer, from the kernel (SO_PEERCRED)."""
    pid, uid, _ = struct.unpack("3i", raw.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return pid, uid


def listens(path: str) -> bool:
    """`answers` for code without an event loop."""
    with socket.socket(socket.AF_UNIX) as tried:
        tried.settimeout(_READ_WITHIN)
        try:
            tried.connect(path)
        except OSError:
            return False
        return True


def digest_of(path: str) -> str:
    """The digest of the settings by which the daemon at a path works; empty: none that we may ask answers."""
    with socket.socket(socket.AF_UNIX) as tried:
        tried.settimeout(_READ_WITHIN)
        try:
            tried.connect(path)
            tried.sendall(b'{"verb": "ping"}\n')
            with tried.makefile("rb") as replies:
                reply = json.loads(replies.readline(LARGEST))
        except (OSError, ValueError):
            return ""
    return str(reply.get("digest", "")) if isinstance(reply, dict) else ""


async def answers(path: str) -> bool:
    """Whether a daemon listens there that we may ask. Anything else there means: work without a daemon."""
    try:
        return await sockets.answers(path)
    except sockets.AddressError:
        return False


async def call(path: str, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
    """The client's side: send one request, yield each reply. Raises Transient when the daemon cannot be heard."""
    try:
        stream = await anyio.connect_unix(path)
    except OSError as fault:
        raise Transient(await _unanswered(path, fault)) from None
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


async def _unanswered(path: str, fault: OSError) -> str:
    """Why no daemon could be asked there: none, or one that we may not ask."""
    if who := sockets.others(path):
        return f"a daemon runs on {path}, and {who} may ask it: `sudo rotate` for one"
    try:
        await sockets.answers(path)
    except sockets.AddressError as trouble:
        return f"no daemon answers on {path}: {trouble}"
    return f"no daemon answers on {path}: {fault.strerror}"


async def _line(stream: BufferedByteReceiveStream) -> bytes:
    """The next reply; nothing at the end."""
    try:
        with anyio.fail_after(SILENCE):
            return await stream.receive_until(b"\n", 16 * LARGEST)
    except (anyio.IncompleteRead, *_GONE):
        return b""
