"""The fuzzing of the status address: requests of any kind, callers of any manners, at the real server over TCP."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from functools import cache

from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import strategies as st

from rotator.observe.status import Patience, StatusResponse, StatusServer
from rotator.settings import Listen

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: a reset instead of an orderly end


class Address:
    """The server, and what it has let through: the paths that were asked for, and the bugs that it was told of."""

    def __init__(self) -> None:
        self.loop = start_blocking_portal("asyncio")  # kept: without it the loop ends
        self.asked: list[str] = []
        self.bugs: list[BaseException] = []
        self.mute: list[socket.socket] = []  # callers that never read, and stay for a while
        patience = Patience(arrive=0.5, idle=0.5, leave=0.5)
        listen = Listen("127.0.0.1", 0)
        self.server = StatusServer(listen, self._answer, self.bugs.append, patience, hosts=("rotator.example",))
        self.port = 0

    async def _answer(self, path: str) -> StatusResponse:
        self.asked.append(path)
        return StatusResponse(200, "text/plain", b"x" * (200_000 if len(path) % 2 else 1))

    def say(self, raw: bytes, end: Callable[[socket.socket], None] | None) -> bytes:
        """Send; everything that comes back, unless `end` says how the caller leaves."""
        link = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        if end is _stay:
            self.mute.append(link)
            for old in self.mute[:-8]:
                old.close()
        whole = b""
        with suppress(BrokenPipeError, ConnectionResetError):
            link.sendall(raw)
            if end:
                end(link)
                return b""
            link.shutdown(socket.SHUT_WR)
            while piece := link.recv(65536):
                whole += piece
        link.close()
        return whole


@cache
def address() -> Address:
    """One for all examples: that it still answers after each of them is the point."""
    made = Address()
    portal: BlockingPortal = made.loop.__enter__()
    _, made.port = portal.start_task(made.server.serve)
    return made


def _stay(link: socket.socket) -> None:
    """It never reads."""


def _leave(link: socket.socket) -> None:
    link.close()


def _reset(link: socket.socket) -> None:
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    link.close()


HOSTS = (
    "localhost",
    "127.0.0.1:9464",
    "[::1]",
    "rotator.example",
    "evil.example",
    "localhost.evil.example",
    "",
    "\u00e4",
)
REQUESTS = st.builds(
    lambda method, path, version, host, more: f"{method} {path} HTTP/{version}\r\nHost: {host}\r\n{more}\r\n".encode(),
    st.sampled_from(["GET", "HEAD", "POST", "get", "G T"]),
    st.sampled_from(["/", "/livez", "/status.json", "//", "/%2e%2e", "*", "http://evil.example/", "/" + "a" * 9000]),
    st.sampled_from(["1.1", "1.0", "0.9", "2"]),
    st.sampled_from(HOSTS),
    st.sampled_from(
        ["", "Host: evil.example\r\n", "Content-Length: 3\r\n", "Connection: close\r\n", "X: \0\r\n", " y\r\n"]
    ),
)
CASES = st.tuples(
    st.lists(REQUESTS | st.binary(max_size=100), min_size=1, max_size=4), st.sampled_from([None, _stay, _leave, _reset])
)


def anything(case: tuple[list[bytes], Callable[[socket.socket], None] | None]) -> None:
    """No bug, nothing for a name that is not ours, and the next caller is served."""
    pieces, end = case
    server = address()
    server.asked.clear()
    heard = server.say(b"".join(pieces), end)
    assert not heard or heard.startswith(b"HTTP/1.1 "), heard[:50]
    if all(
        piece.split(b"\r\n")[1:2] in ([b"Host: evil.example"], [b"Host: localhost.evil.example"]) for piece in pieces
    ):
        assert not server.asked, "a stranger's name was served"
    assert b" 200 " in server.say(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", None)[:20]
    assert not server.bugs, server.bugs


LISTENERS = {"the status address": (CASES, anything)}
