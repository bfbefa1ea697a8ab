"""Owns the fuzzing of the control socket: bytes of any kind at the real server, over a real unix socket."""

from __future__ import annotations

import json
import socket
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from functools import cache
from types import SimpleNamespace
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import strategies as st

from rotator.control import LARGEST, Control
from rotator.now import chosen
from tests.fuzz.shapes import LEAVES, VALUES

NAMES = ("blog/bot", "crm")
FLEET: Any = SimpleNamespace(
    credentials={name: SimpleNamespace(labels={"team": "web", "odd": "\ud800"}) for name in NAMES}
)


class Door:
    """The server with the daemon's way of reading a demand; what was asked for is written down instead of done."""

    def __init__(self) -> None:
        self.path = f"{tempfile.mkdtemp()}/s"
        self.loop = start_blocking_portal("asyncio")  # kept: without it the loop ends
        self.effects: list[tuple[str, ...]] = []
        self.bugs: list[str] = []
        verbs = {"now": self._now, "ping": self._ping}
        self.control = Control(self.path, verbs, lambda *_: None, lambda verb, bug: self.bugs.append(repr(bug)))

    async def _now(self, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        _, names, unknown = chosen(FLEET, request)
        if unknown:
            yield {"error": unknown, "exit": 2}
            return
        self.effects.append(names)
        yield {"chosen": names}

    async def _ping(self, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        yield {"alive": True}

    def say(self, *pieces: bytes, half: bool = False) -> bytes:
        """Send, and what comes back; `half`: hang up without listening."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(10)
            link.connect(self.path)
            with suppress(BrokenPipeError, ConnectionResetError):
                for piece in pieces:
                    link.sendall(piece)
                if half:
                    return b""
                link.shutdown(socket.SHUT_WR)
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
    portal.start_task(made.control.serve)
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
CASES = st.tuples(st.lists(REQUESTS | BYTES, min_size=1, max_size=3), st.booleans())


def wanted(raw: bytes) -> bool:
    """Whether the first line is a request for a rotation that somebody could mean."""
    try:
        request = json.loads(raw.partition(b"\n")[0])
    except (ValueError, RecursionError):
        return False
    if not isinstance(request, dict) or request.get("verb") != "now":
        return False
    return bool(request.get("names") or request.get("everything") is True or request.get("labels"))


def anything(case: tuple[list[bytes], bool]) -> None:
    """No bug, no effect that was not asked for, JSON lines in answer, and the next caller is served."""
    pieces, half = case
    server = door()
    server.effects.clear()
    answered = server.say(*pieces, half=half)
    for line in answered.splitlines():
        assert isinstance(json.loads(line), dict)
    assert server.say(b'{"verb": "ping"}\n') == b'{"alive": true}\n'
    assert not server.bugs
    assert not server.effects or wanted(b"".join(pieces))
    assert all(set(names) <= set(NAMES) for names in server.effects)


CONTROL = {"the control socket": (CASES, anything)}
