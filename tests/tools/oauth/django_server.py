"""A real django-oauth-toolkit on loopback. Its site is django_site.py; it knows secrets and passwords, and no keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from tests.kit.certificates import Authority
from tests.tools.oauth.journey import bearer, call, form
from tests.tools.oauth.server import Client, Offer, Running, announced, basic, from_pypi, installed

VERSIONS = ("django-oauth-toolkit==3.4.1", "django>=5.2,<5.3")


def install() -> Path:
    """A virtual environment."""
    return installed("django-oauth-toolkit", ", ".join(VERSIONS), lambda folder: from_pypi(folder, *VERSIONS))


@contextmanager
def run(folder: Path, outside: str, clients: list[Client], password: str, _tls: Authority) -> Iterator[Running]:
    """`folder`: for its database and its log."""
    command = [str(install() / "bin" / "python"), str(Path(__file__).with_name("django_site.py")), str(folder)]
    looking = next(each for each in clients if each.method == "client_secret_basic")
    given = {"password": password, "clients": [asdict(each) for each in clients]}
    with announced(command, folder / "site.log", given) as site:
        url = site["url"]
        where = {
            "token_url": f"{outside}/o/token/",
            "revocation_url": f"{outside}/o/revoke_token/",
            "introspection_url": f"{outside}/o/introspect/",
        }
        yield Running(
            url,
            opens=lambda token: bearer(f"{url}/me", token) == 200,
            active=lambda token: bool(form(f"{url}/o/introspect/", {"token": token}, basic(looking))[1].get("active")),
            consent=lambda client: str(call("POST", f"{url}/browser/{client.name}")[1]["refresh_token"]),
            target=where,
        )


OFFER = Offer(run, ("basic", "post", "password", "renewed", "public"), token="/o/token/", revocation="/o/revoke_token/")
