"""A real Spring Authorization Server on loopback. Its program is spring/, built by Maven."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from tests.kit.certificates import Authority
from tests.tools.oauth.journey import bearer, call, form
from tests.tools.oauth.server import Client, Offer, Running, announced, basic, from_maven, installed

VERSION = "1.4.1"
HEAP = ("-Xms64m", "-Xmx300m", "-XX:TieredStopAtLevel=1")


def install() -> Path:
    """The archive, by a JDK 17 and Maven; built anew when the program has changed."""
    project = Path(__file__).with_name("spring")
    said = f"Spring Authorization Server {VERSION}, built by Maven"
    return installed(f"spring-{VERSION}", said, lambda folder: from_maven(folder, project), project)


@contextmanager
def run(folder: Path, outside: str, clients: list[Client], _password: str, tls: Authority) -> Iterator[Running]:
    """`folder`: for its log."""
    archive = install() / "target" / "server.jar"
    quiet = ["--logging.threshold.console=OFF", f"--logging.file.name={folder / 'spring.log'}"]
    where = ["--server.port=0", "--server.address=127.0.0.1", "--spring.main.banner-mode=off"]
    looking = next(each for each in clients if each.method == "client_secret_basic")
    given: dict[str, object] = {"issuer": outside, "clients": [asdict(each) for each in clients]}
    given |= {"certificate": tls.issue(), "authority": tls.ca_file}
    with announced(["java", *HEAP, "-jar", str(archive), *where, *quiet], folder / "java.log", given) as server:
        url = server["url"]

        def active(token: str) -> bool:
            return bool(form(f"{url}/oauth2/introspect", {"token": token}, basic(looking))[1].get("active"))

        yield Running(
            url,
            opens=lambda token: bearer(f"{url}/me", token) == 200,
            active=active,
            consent=lambda client: str(call("POST", f"{url}/browser/{client.name}")[1]["refresh_token"]),
            target={"issuer": outside, "single_use": False, "leeway": "60s"},
            secure=server["secure"],
        )


NAMES = ("basic", "post", "secret-jwt", "ps256", "es384", "ps512", "tls", "tls-self", "renewed")
NAMES += ("asserted", "pool", "transit", "key-url")
OFFER = Offer(run, NAMES, token="/oauth2/token", revocation="/oauth2/revoke")
