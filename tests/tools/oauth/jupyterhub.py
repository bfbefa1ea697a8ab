"""A real JupyterHub on loopback, and a person who makes, brings and ends its tokens: the kind `manual`."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.sandbox.openbao import free_port
from tests.system.daemon import until
from tests.tools.oauth.consumers import LIMITS, opening, try_consumers
from tests.tools.oauth.journey import Journey, call
from tests.tools.oauth.server import answering, from_pypi, installed

VERSION = "6.1.1"
PERIOD = 30.0  # seconds between two tokens that the person brings


def install() -> Path:
    """A virtual environment."""
    wanted = f"jupyterhub=={VERSION}"
    return installed(f"jupyterhub-{VERSION}", wanted, lambda folder: from_pypi(folder, wanted))


class Hub:
    """Its API, as an administrator uses it."""

    def __init__(self, url: str, admin: str) -> None:
        self.url = url
        self._admin = admin

    def call(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
        return call(method, f"{self.url}/hub/api{path}", f"token {self._admin}", body)

    def made(self) -> tuple[str, str]:
        """A new token of ada's: its id and the token."""
        status, told = self.call("POST", "/users/ada/tokens", {"note": "for the shop"})
        assert status == 201, f"no token: {status}"
        return told["id"], told["token"]

    def end(self, number: str) -> None:
        status, _ = self.call("DELETE", f"/users/ada/tokens/{number}")
        assert status == 204, f"it does not end: {status}"


@contextmanager
def run(folder: Path) -> Iterator[Hub]:
    """`folder`: for its database and its log."""
    port, admin = free_port(), secrets.token_hex(32)
    python = install() / "bin" / "python"
    environment = {"HUB_HOME": str(folder), "HUB_PORT": str(port), "HUB_ADMIN": admin}
    command = [str(python), "-m", "jupyterhub", "-f", str(Path(__file__).with_name("jupyterhub_config.py"))]
    hub = Hub(f"http://127.0.0.1:{port}", admin)
    with answering(command, folder / "hub.log", f"{hub.url}/hub/api/", 90.0, environment):
        hub.call("POST", "/users/ada")
        yield hub


def try_manual(minutes: float) -> int:
    """The exit code."""
    with Journey() as journey, run(journey.folder) as hub:
        tool: dict[str, Any] = {"target": "hub", "kind": "manual", "path": "apps/tool", "key": "access_token"}
        tool |= {"instructions": "Token, Request new API token", "ending": "the same page, revoke"}
        tool |= {"probe": "/hub/api/user", "prefix": "token ", "identity": {"name": "ada"}}
        tool |= {"every": "1h", "lifetime": "2h", "retire": {"after": "5s"}, "limits": LIMITS}
        journey.targets, journey.credentials = {"hub": {"kind": "http", "url": hub.url, "settle": "5s"}}, {"tool": tool}
        journey.save()
        daemon = journey.daemon()
        numbers = [bring(journey, hub)]

        def person() -> None:
            end = time.monotonic() + 60 * minutes - PERIOD
            while time.monotonic() < end:
                numbers.append(bring(journey, hub))
                ended = len(daemon.heard("predecessor.ended"))
                until(
                    "the person to be asked",
                    lambda ended=ended: len(daemon.heard("predecessor.unended")) > ended,
                    60.0,
                )
                hub.end(numbers[-2])
                until("its end to be proven", lambda ended=ended: len(daemon.heard("predecessor.ended")) > ended, 180.0)

        try_consumers(journey, daemon, {"tool": opening(f"{hub.url}/hub/api/user")}, minutes, person)
        journey.kill(daemon)
        return journey.verdict()


def bring(journey: Journey, hub: Hub) -> str:
    """The person makes a token and hands it over; its id."""
    number, token = hub.made()
    path = journey.folder / "brought"
    path.write_text(token)
    journey.rotate("supply", "tool", "--file", str(path), expect=0)
    path.unlink()
    return number
