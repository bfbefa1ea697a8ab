"""A real Spring Authorization Server on loopback. Its program is spring/, built by Maven."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.tools.oauth.journey import form
from tests.tools.oauth.packages import from_maven, installed
from tests.tools.oauth.server import Client, Running

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
    command = ["java", *HEAP, "-jar", str(archive), *where, *quiet]
    looking = next(each for each in clients if each.method == "client_secret_post")
    with (
        (folder / "java.log").open("wb") as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True) as server,
    ):
        try:
            assert server.stdin
            assert server.stdout
            json.dump({each.name: _told(each) for each in clients}, server.stdin)
            server.stdin.close()
            line = server.stdout.readline()
            assert line, f"it did not start: {(folder / 'spring.log').read_text()[-1500:]}"
            told = json.loads(line)

            def introspect(token: str) -> dict[str, Any]:
                fields = {"token": token, "client_id": looking.name, "client_secret": looking.secret}
                return form(f"{told['url']}/oauth2/introspect", fields)[1]

            target = {"single_use": False, "leeway": "60s"}
            yield Running(f"{told['url']}/oauth2/token", introspect, told["refresh_token"], target=target)
        finally:
            server.kill()


def _told(client: Client) -> dict[str, Any]:
    told: dict[str, Any] = {"method": client.method}
    if client.secret:
        told["secret"] = client.secret
    if client.jwks:
        told |= {"jwks": client.jwks, "algorithm": client.algorithm}
    return told | ({"refreshes": True} if client.refreshes else {})
