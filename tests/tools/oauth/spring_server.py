"""A real Spring Authorization Server on loopback. Its program is spring/, built by Maven."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.tools.oauth.journey import form
from tests.tools.oauth.server import Client, Running, announced, from_maven, installed

VERSION = "1.4.1"
HEAP = ("-Xms64m", "-Xmx300m", "-XX:TieredStopAtLevel=1")


def install() -> Path:
    """The archive, by a JDK 17 and Maven."""
    said = f"Spring Authorization Server {VERSION}, built by Maven"
    return installed(f"spring-{VERSION}", said, lambda folder: from_maven(folder, Path(__file__).with_name("spring")))


@contextmanager
def run(folder: Path, clients: list[Client]) -> Iterator[Running]:
    """`folder`: for its log."""
    archive = install() / "target" / "server.jar"
    quiet = ["--logging.threshold.console=OFF", f"--logging.file.name={folder / 'spring.log'}"]
    where = ["--server.port=0", "--server.address=127.0.0.1", "--spring.main.banner-mode=off"]
    looking = next(each for each in clients if each.method == "client_secret_post")
    told = {each.name: _told(each) for each in clients}
    with announced(["java", *HEAP, "-jar", str(archive), *where, *quiet], folder / "java.log", told) as server:

        def introspect(token: str) -> dict[str, Any]:
            fields = {"token": token, "client_id": looking.name, "client_secret": looking.secret}
            return dict(form(f"{server['url']}/oauth2/introspect", fields)[1])

        target = {"single_use": False, "leeway": "60s"}
        yield Running(f"{server['url']}/oauth2/token", introspect, server["refresh_token"], target=target)


def _told(client: Client) -> dict[str, Any]:
    told: dict[str, Any] = {"method": client.method}
    if client.secret:
        told["secret"] = client.secret
    if client.jwks:
        told |= {"jwks": client.jwks, "algorithm": client.algorithm}
    return told | ({"refreshes": True} if client.refreshes else {})
