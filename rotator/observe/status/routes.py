"""The paths of the status server: probes, metrics, /status.json and pages; and the headers of every answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import resources
from urllib.parse import unquote

import anyio

from rotator.observe.health import Fleet, Severity
from rotator.observe.status.html import el, page
from rotator.observe.status.pages import Timeline, overview, single

_TEXT, _HTML, _JSON = "text/plain; charset=utf-8", "text/html; charset=utf-8", "application/json"
_SCRAPE = "text/plain; version=0.0.4; charset=utf-8"
_FILES = {
    "/page.css": "text/css; charset=utf-8",
    "/live.js": "text/javascript; charset=utf-8",
    "/icon.svg": "image/svg+xml",
}
_PROBES = ("/livez", "/readyz", "/healthz", "/metrics")
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


def document(fleet: Fleet, instance: str, version: str) -> bytes:
    """The fleet as JSON. Times are UTC, ISO 8601."""
    reasons, unwell = fleet.unready(), fleet.unhealthy()
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
        "credentials": [asdict(each) for each in fleet.states()],
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
    _drawing: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(1))

    def __post_init__(self) -> None:
        here = resources.files("rotator.observe.status")
        self._files = {path: (here / path[1:]).read_bytes() for path in _FILES}

    async def respond(self, path: str) -> StatusResponse:
        """`answer` in a worker thread: a page of thousands of rows blocks neither the loop nor a probe."""
        limiter = self._probing if path.partition("?")[0] in _PROBES else self._drawing
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
