"""The status server: probes, metrics, /status.json and pages over a small HTTP/1.1. GET and HEAD only.

It is not meant for the open internet: it listens on loopback unless settings say otherwise, and answers only to host
names that settings allow, so that a page of another site cannot read it (DNS rebinding).
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Awaitable, Callable, Collection
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from importlib import resources
from urllib.parse import unquote

import anyio
import h11
from anyio.abc import TaskStatus

from rotator.host import sockets
from rotator.host.sockets import Connection, Listener
from rotator.host.threads import is_ip_address
from rotator.observe.health import Fleet, Severity
from rotator.observe.status.html import el, page
from rotator.observe.status.html_pages import Timeline, overview, single
from rotator.settings import Listen

_TEXT, _HTML, _JSON = "text/plain; charset=utf-8", "text/html; charset=utf-8", "application/json"
_SCRAPE = "text/plain; version=0.0.4; charset=utf-8"
_FILES = {
    "/page.css": "text/css; charset=utf-8",
    "/live.js": "text/javascript; charset=utf-8",
    "/icon.svg": "image/svg+xml",
}
_PROBES = ("/livez", "/readyz")  # which cost the same whatever the number of credentials
_MEASURES = ("/healthz", "/metrics")
_REASONS = 20  # reasons in an answer of a probe; the page has all of them
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = (
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)
_HOST = re.compile(  # RFC 9110, section 7.2; browsers send no zone of an address
    r"(?:\[(?P<address>[0-9a-f.]*:[0-9a-f:.]*)\]|(?P<name>[a-z0-9._-]+))(?::[0-9]{0,5})?"
)
_LONGEST = 100  # characters of a Host name that are shown
_LARGEST = 8 * 1024  # bytes of a request's head
_CONNECTIONS = 32
_REQUESTS = 100  # on one connection
_PACKED = 1024  # bytes from which an answer is worth being packed
_NEVER = (b"q=0", b"q=0.0", b"q=0.00", b"q=0.000")


def document(fleet: Fleet, instance: str, version: str) -> bytes:
    """The fleet as JSON. Times are UTC, ISO 8601."""
    states = fleet.states()
    reasons, unwell = fleet.unready(), fleet.unhealthy(states)
    content = {
        "schema": 1,
        "instance": instance,
        "version": version,
        "at": _plain(fleet.clock.now()),
        "alive": not fleet.alive(),
        "ready": not reasons,
        "unready": reasons,
        "healthy": not unwell,
        "unhealthy": unwell,
        "vault": fleet.vault(),
        "targets": [asdict(each) for each in fleet.targets()],
        "minters": [asdict(each) for each in fleet.minters()],
        "credentials": [asdict(each) for each in states],
        "unmanaged": [{**asdict(each), "do": each.end} for each in fleet.unmanaged()],
    }
    return json.dumps(content, default=_plain, indent=1).encode()


def _plain(value: object) -> str:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)


@dataclass(frozen=True, slots=True)
class StatusResponse:
    """Status, content type and body of an answer."""

    status: int
    kind: str
    body: bytes
    cache: str = "no-store"  # the Cache-Control header
    packed: bool = False  # the body is packed with gzip


@dataclass(slots=True)
class StatusRoutes:
    """All paths. `scrape`: the text of the metrics."""

    fleet: Fleet
    timeline: Timeline
    scrape: Callable[[], bytes]
    instance: str
    version: str
    _files: dict[str, bytes] = field(default_factory=dict)
    _probing: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(1))
    _measuring: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(1))
    _drawing: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(1))

    def __post_init__(self) -> None:
        here = resources.files("rotator.observe.status")
        self._files = {path: (here / path[1:]).read_bytes() for path in _FILES}

    async def respond(self, path: str) -> StatusResponse:
        """`answer` in a worker thread: a page of thousands of rows blocks neither the loop nor a probe."""
        bare = path.partition("?")[0]
        limiter = self._probing if bare in _PROBES else self._measuring if bare in _MEASURES else self._drawing
        return await anyio.to_thread.run_sync(self.answer, path, limiter=limiter)

    def answer(self, path: str) -> StatusResponse:
        """The answer for a path. The query is ignored."""
        path = path.partition("?")[0]
        if path in _FILES:
            return StatusResponse(200, _FILES[path], self._files[path])
        match path:
            case "/":
                return StatusResponse(200, _HTML, overview(self.fleet, self.instance, self.version))
            case "/livez":
                return _probe(self.fleet.alive(), "alive")
            case "/readyz":
                return _probe("\n".join(_shortened(self.fleet.unready())), "ready")
            case "/healthz":
                return _probe("\n".join(_shortened(self.fleet.unhealthy())), "healthy")
            case "/metrics":
                return StatusResponse(200, _SCRAPE, self.scrape())
            case "/status.json":
                return StatusResponse(200, _JSON, document(self.fleet, self.instance, self.version))
        return self._credential(path)

    def _credential(self, path: str) -> StatusResponse:
        before, _, name = path.partition("/credential/")
        state = None if before else self.fleet.state(unquote(name))
        if state is None:
            return StatusResponse(404, _HTML, self._missing())
        moments = self.timeline.of(state.name)
        return StatusResponse(200, _HTML, single(self.fleet, state, moments, self.instance, self.version))

    def _missing(self) -> bytes:
        words = "Nothing is found here. Perhaps the credential is no longer in the settings."
        parts = (el("h1", "Not found"), el("p", words), el("p", el("a", "← All credentials", href="/")))
        return page("Not found", Severity.WATCH, self.instance, self.version, self.fleet.clock.now(), *parts)


def _probe(trouble: str, fine: str) -> StatusResponse:
    return StatusResponse(503 if trouble else 200, _TEXT, f"{trouble or fine}\n".encode())


def _shortened(reasons: list[str]) -> list[str]:
    left = len(reasons) - _REASONS
    return [*reasons[:_REASONS], *([f"and {left} more"] if left > 0 else [])]


Respond = Callable[[str], Awaitable[StatusResponse]]


def strange(header: bytes, known: Collection[str]) -> str:
    """The host that a Host header names, if it is not served here, fit to be shown; empty when it is."""
    host = header.decode("ascii", "replace").strip().lower()
    found = _HOST.fullmatch(host)
    if found and is_ip_address(found["address"] or found["name"]):
        return ""
    name = found["name"].removesuffix(".") if found and found["name"] else host
    if found and (name == "localhost" or name.endswith(".localhost") or name in known):
        return ""
    return "".join(each if each.isascii() and each.isprintable() else "?" for each in name[:_LONGEST]) or "?"


@dataclass(frozen=True, slots=True)
class Patience:
    """Time limits in seconds: for a whole request, until the next one begins, for reading the answer."""

    arrive: float = 5.0
    idle: float = 75.0  # so that a scraper that calls once a minute keeps its connection
    leave: float = 10.0


class ServerError(Exception):
    """Listening at the address is impossible; the text says why and what to do."""


class StatusServer:
    """Serves until cancelled. `failed` gets a bug in an answer; the caller sees only that there was one.

    `strained` gets the reason why no caller can be accepted now.
    """

    def __init__(
        self,
        listen: Listen,
        answer: Respond,
        failed: Callable[[BaseException], None],
        patience: Patience | None = None,
        strained: Callable[[str], None] = lambda reason: None,
        hosts: Collection[str] | None = None,
    ) -> None:
        """`hosts`: the accepted Host names, besides addresses and loopback names; None: any."""
        self._hosts = None if listen.path else hosts
        self._listen = listen
        self._answer = answer
        self._failed = failed
        self._strained = strained
        self._patience = patience or Patience()

    async def serve(self, *, task_status: TaskStatus[int] = anyio.TASK_STATUS_IGNORED) -> None:
        """Listen; reports the port through `task_status`. Raises ServerError."""
        bound = await self._bound()
        listener = Listener(bound, _CONNECTIONS, self._failed, self._strained)
        task_status.started(bound.port)

        async def converse(connection: Connection) -> None:
            await _Conversation(connection, self._answered, self._patience, self._hosts).serve()

        await listener.serve(converse)

    async def _answered(self, path: str) -> StatusResponse:
        try:
            return await self._answer(path)
        except (Exception, BaseExceptionGroup) as bug:  # noqa: BLE001 (a bug in a page must not end the daemon)
            self._failed(bug)
            return StatusResponse(500, "text/plain", b"a bug; the daemon's log has it\n")

    async def _bound(self) -> sockets.Endpoint:
        listen = self._listen
        try:
            if not listen.path:
                return sockets.tcp(listen.host, listen.port)
            return await sockets.unix(listen.path, 0o660)
        except sockets.AddressError as fault:
            remedy = "give it another in [status] listen or jwks_listen"
            raise ServerError(f"status address {listen}: {fault}; {remedy}") from None


def _takes_gzip(request: h11.Request) -> bool:
    """Whether the caller takes an answer that is packed with gzip (RFC 9110, section 12.5.3)."""
    for name, value in request.headers:
        for coding in value.split(b",") if name == b"accept-encoding" else ():
            wanted, _, weight = coding.partition(b";")
            if wanted.strip().lower() in (b"gzip", b"*") and weight.replace(b" ", b"") not in _NEVER:
                return True
    return False


class _Conversation:
    """One caller, whose requests are answered in turn until either side ends."""

    def __init__(
        self,
        connection: Connection,
        answer: Respond,
        patience: Patience,
        hosts: Collection[str] | None,
    ) -> None:
        self._hosts = hosts
        self._connection = connection
        self._stream = connection.stream
        self._answer = answer
        self._patience = patience
        self._wire = h11.Connection(h11.SERVER, max_incomplete_event_size=_LARGEST)

    async def serve(self) -> None:
        """Answer until the connection ends."""
        try:
            for left in range(_REQUESTS, 0, -1):
                wait = self._patience.arrive if left == _REQUESTS else self._patience.idle
                if not await self._exchange(wait, last=left == 1):
                    return
                self._wire.start_next_cycle()
        except h11.RemoteProtocolError as fault:
            if self._wire.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                await self._send(StatusResponse(fault.error_status_hint, "text/plain", b"not a request\n"), last=True)

    async def _exchange(self, wait: float, *, last: bool) -> bool:
        """One request and its answer; False when there will be no other."""
        self._connection.rest()
        request = await self._request(wait)
        if request is None:
            return False
        self._connection.busy()
        bare = request.method == b"HEAD"
        sized = {name: value for name, value in request.headers if name in (b"content-length", b"transfer-encoding")}
        if sized and sized != {b"content-length": b"0"}:
            await self._send(StatusResponse(413, "text/plain", b"no bodies\n"), last=True, bare=bare)
            return False
        if request.method not in (b"GET", b"HEAD"):
            await self._send(StatusResponse(405, "text/plain", b"only GET and HEAD\n"), last=True, allow=True)
            return False
        if self._hosts is not None and (name := self._strange(request, self._hosts)):
            text = f"the name {name} is not served here; if it is this daemon's, add it to [status] hosts\n"
            await self._send(StatusResponse(421, "text/plain; charset=utf-8", text.encode()), last=True, bare=bare)
            return False
        answer = await self._answer(request.target.decode("ascii", "replace"))
        if len(answer.body) >= _PACKED and _takes_gzip(request):
            body = await anyio.to_thread.run_sync(partial(gzip.compress, answer.body, 1, mtime=0))
            answer = replace(answer, body=body, packed=True)
        await self._send(answer, last=last, bare=bare)
        self._wire.next_event()  # h11 needs to see the end of a request without body before the next
        return self._wire.our_state is h11.DONE and self._wire.their_state is h11.DONE

    def _strange(self, request: h11.Request, hosts: Collection[str]) -> str:
        """The Host name if it is not ours. Callers without one (HTTP/1.0) are no browsers."""
        return next(
            (found for key, value in request.headers if key == b"host" and (found := strange(value, hosts))), ""
        )

    async def _request(self, wait: float) -> h11.Request | None:
        """The next request; None when none begins in time or the caller has gone."""
        if not self._wire.trailing_data[0]:
            with anyio.move_on_after(wait) as waited:
                if not await self._receive():
                    return None
            if waited.cancelled_caught:
                return None
        with anyio.fail_after(self._patience.arrive):
            return await self._head()

    async def _head(self) -> h11.Request | None:
        while True:
            event = self._wire.next_event()
            if isinstance(event, h11.Request):
                return event
            if event is not h11.NEED_DATA or not await self._receive():
                return None

    async def _receive(self) -> bool:
        try:
            chunk = await self._stream.receive(_LARGEST)
        except anyio.EndOfStream:
            chunk = b""
        self._wire.receive_data(chunk)
        return bool(chunk)

    async def _send(self, answer: StatusResponse, *, last: bool, bare: bool = False, allow: bool = False) -> None:
        headers = [("Content-Type", answer.kind), ("Content-Length", str(len(answer.body))), *HEADERS]
        headers += [("Cache-Control", answer.cache), ("Vary", "Accept-Encoding")]
        headers += [("Content-Encoding", "gzip")] if answer.packed else []
        headers += [("Connection", "close")] if last else []
        headers += [("Allow", "GET, HEAD")] if allow else []
        parts = [self._wire.send(h11.Response(status_code=answer.status, headers=headers)) or b""]
        if not bare:
            parts.append(self._wire.send(h11.Data(data=answer.body)) or b"")
        parts.append(self._wire.send(h11.EndOfMessage()) or b"")
        with anyio.fail_after(self._patience.leave):
            await self._stream.send(b"".join(parts))
