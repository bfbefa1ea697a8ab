"""The fuzzing of the control socket: bytes of any kind at the real server, over a real unix socket."""

from __future__ import annotations

import json
import socket
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import ExitStack, suppress
from functools import cache
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.lowlevel
from anyio.abc import TaskStatus
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import strategies as st

from rotator.app.control import LARGEST, Control
from rotator.commands.rotate import chosen
from rotator.host.threads import BackgroundTasks
from tests.hostile.fuzz.shapes import LEAVES, VALUES

NAMES = ("blog/bot", "crm")
FLEET: Any = SimpleNamespace(
    credentials={name: SimpleNamespace(labels={"team": "web", "odd": "\ud800"}, target="blog") for name in NAMES}
)


class Door:
    """The server with the daemon's way of reading a demand; what was asked for is written down instead of done."""

    def __init__(self) -> None:
        self.path = f"{tempfile.mkdtemp()}/s"
        self.loop = start_blocking_portal("asyncio")  # kept: without it the loop ends
        self.effects: list[tuple[str, ...]] = []
        self.bugs: list[str] = []
        self.begun = self.done = 0
        self.mute: list[socket.socket] = []  # callers that never read, and stay for a while
        self.tasks = BackgroundTasks(lambda name, bug: self.bugs.append(repr(bug)))
        verbs = {"now": self._now, "ping": self._ping, "pause": self._pause}
        self.control = Control(self.path, verbs, lambda *_: None, lambda verb, bug: self.bugs.append(repr(bug)))

    async def serve(self, *, task_status: TaskStatus[None]) -> None:
        """The socket, and work that goes on whoever asked for it."""
        async with anyio.create_task_group() as self.tasks.group:
            await self.control.serve(task_status=task_status)

    async def _now(self, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        _, names, unknown = chosen(FLEET, request)
        if unknown:
            yield {"error": unknown, "exit": 2}
            return
        self.effects.append(names)
        yield {"chosen": names}

    async def _pause(self, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        """Work that is begun, long lines about it, and a task group around them: what a caller that leaves breaks."""
        self.begun += 1
        self.tasks.begin("pause", self._worked)
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.lowlevel.checkpoint)
            for _ in range(4):
                yield {"said": "x" * 30_000}
                await anyio.lowlevel.checkpoint()

    async def _worked(self) -> None:
        await anyio.sleep(0.001)
        self.done += 1

    async def _ping(self, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        yield {"alive": True}

    def is_done(self) -> bool:
        """Whether everything that was begun is done before long."""
        end = time.monotonic() + 5
        while self.done < self.begun and time.monotonic() < end:
            time.sleep(0.001)
        return self.done == self.begun

    def say(self, *pieces: bytes, manner: str = "listen") -> bytes:
        """Send, and what comes back. A caller may also leave at once, leave after the first bytes, or stay mute."""
        with ExitStack() as stack:
            link = socket.socket(socket.AF_UNIX)
            if manner == "mute":
                self.mute.append(link)
                for old in self.mute[:-8]:
                    old.close()
            else:
                stack.enter_context(link)
            link.settimeout(10)
            link.connect(self.path)
            with suppress(BrokenPipeError, ConnectionResetError):
                for piece in pieces:
                    link.sendall(piece)
                if manner in ("leave", "mute"):
                    return b""
                link.shutdown(socket.SHUT_WR)
                if manner == "bored":
                    link.recv(10)
                    return b""
            whole = b""
            with suppress(ConnectionResetError):
                while piece := link.recv(65536):
                    whole += piece
            return whole


@cache
def door() -> Door:
    """One for all examples: that it still answers after each of them is the point."""
    made = Door()
    portal: BlockingPortal = made.loop.__enter__()
    portal.start_task(made.serve)
    return made


REQUESTS = st.one_of(
    st.dictionaries(
        st.sampled_from(["verb", "names", "everything", "labels", "emergency", "patient", "within", "by"]), VALUES
    ),
    st.fixed_dictionaries(
        {"verb": st.just("now")},
        optional={
            "names": st.lists(st.sampled_from([*NAMES, "no"]) | LEAVES, max_size=3) | VALUES,
            "everything": VALUES,
            "labels": st.dictionaries(st.sampled_from(["team", "odd"]), st.sampled_from(["web", "\ud800"])) | VALUES,
            "within": VALUES,
            "by": VALUES,
        },
    ),
).map(lambda request: json.dumps(request).encode() + b"\n")
BYTES = st.one_of(
    st.binary(max_size=200),
    st.sampled_from(
        [
            *(b"\n", b"{", b"{}\n", b"[" * 60000 + b"\n", b'{"a":' * 9000 + b"\n", b"x" * (LARGEST + 9) + b"\n"),
            *(b'{"verb": NaN}\n', b'{"verb": 1e999}\n', b'{"within": ' + b"9" * 5000 + b"}\n", b"\xff\xfe\n", b"\0\n"),
            *(b'{"verb": "now", "verb": "ping"}\n', b"GET / HTTP/1.1\r\n\r\n", b'"now"\n', b"null\n"),
        ]
    ),
)
MANNERS = ("listen", "leave", "bored", "mute")
PAUSE = b'{"verb": "pause"}\n'
CASES = st.tuples(st.lists(REQUESTS | BYTES | st.just(PAUSE), min_size=1, max_size=3), st.sampled_from(MANNERS))


def wanted(raw: bytes) -> bool:
    """Whether the first line is a request for a rotation that somebody could mean."""
    try:
        request = json.loads(raw.partition(b"\n")[0])
    except (ValueError, RecursionError):
        return False
    if not isinstance(request, dict) or request.get("verb") != "now":
        return False
    return bool(request.get("names") or request.get("everything") is True or request.get("labels"))


def anything(case: tuple[list[bytes], str]) -> None:
    """No bug, no effect that was not asked for, JSON lines in answer, the next caller is served, and work goes on."""
    pieces, manner = case
    server = door()
    server.effects.clear()
    answered = server.say(*pieces, manner=manner)
    for line in answered.splitlines():
        assert isinstance(json.loads(line), dict)
    assert server.say(b'{"verb": "ping"}\n') == b'{"alive": true}\n'
    assert server.is_done(), "work that was begun was not done"
    assert not server.bugs, server.bugs
    assert not server.effects or wanted(b"".join(pieces))
    assert all(set(names) <= set(NAMES) for names in server.effects)


CONTROL = {"the control socket": (CASES, anything)}
