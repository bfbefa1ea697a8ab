"""A real JupyterHub on loopback, and a person who makes, brings and ends its tokens: the kind `manual`."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.sandbox.openbao import free_port
from tests.system.daemon import until
from tests.tools.oauth.consumers import LIMITS, judged, opening, watched
from tests.tools.oauth.journey import Journey, bearer, call
from tests.tools.oauth.server import answering, from_pypi, installed

VERSION = "6.1.1"
BROUGHT = 4  # tokens that the person brings, beside the first


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


def try_manual(_only: str) -> int:
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

        def person(_name: str) -> None:
            for _ in range(BROUGHT):
                numbers.append(bring(journey, hub))
                asked, ended = (len(daemon.heard(f"predecessor.{each}")) for each in ("unended", "ended"))
                until(
                    "the person to be asked", lambda asked=asked: len(daemon.heard("predecessor.unended")) > asked, 60.0
                )
                hub.end(numbers[-2])
                until("its end to be proven", lambda ended=ended: len(daemon.heard("predecessor.ended")) > ended, 180.0)

        journey.await_everything()
        opens = opening(lambda token: bearer(f"{hub.url}/hub/api/user", token) == 200)
        seen = watched(journey, {"tool": opens}, person)
        journey.chapter("tool", lambda: judged(daemon, "tool", seen["tool"]))
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
