"""A real django-oauth-toolkit on loopback. Its site is django_site.py; it knows secrets and passwords, and no keys."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from tests.tools.oauth.consumers import LIMITS, opening, try_consumers
from tests.tools.oauth.journey import Journey
from tests.tools.oauth.server import announced, from_pypi, installed

VERSIONS = ("django-oauth-toolkit==3.4.1", "django>=5.2,<5.3")
NAMES = ("basic", "post", "by-password", "renewed")


def install() -> Path:
    """A virtual environment."""
    return installed("django-oauth-toolkit", ", ".join(VERSIONS), lambda folder: from_pypi(folder, *VERSIONS))


def try_secrets(minutes: float) -> int:
    """Secrets, a password and a refresh token; the exit code."""
    given = {name: secrets.token_hex(24) for name in (*NAMES, "password")}
    with Journey() as journey:
        command = [str(install() / "bin" / "python"), str(Path(__file__).with_name("django_site.py"))]
        with announced([*command, str(journey.folder)], journey.folder / "site.log", given) as site:
            journey.hand_over("renewed", site["refresh_token"])
            settle(journey, site["url"], given)
            daemon, uses = journey.daemon(), dict.fromkeys(NAMES, opening(f"{site['url']}/me"))
            try_consumers(journey, daemon, uses, minutes)
            journey.kill(daemon)
            return journey.verdict()


def settle(journey: Journey, url: str, given: dict[str, str]) -> None:
    """The settings, as somebody would write them for this server."""
    refs = {name: journey.secret(f"{name}-secret", value) for name, value in given.items()}
    common: dict[str, Any] = {"target": "site", "kind": "oauth-token", "scopes": ["read"], "probe": "/me"}
    common |= {"lifetime": "60s", "fraction": 0.33, "limits": LIMITS}
    journey.credentials = {
        name: {**common, "path": f"apps/{name}", "client_id": name, "client_secret": refs[name]} for name in NAMES
    }
    person = {"identity": {"name": "ada"}}
    journey.credentials["basic"] |= {"auth_method": "client_secret_basic"}
    journey.credentials["by-password"] |= {
        "grant": "password",
        "username": "ada",
        "password": refs["password"],
        **person,
    }
    kept = {"vault": "secret/renewals/renewed#refresh_token"}
    journey.credentials["renewed"] |= {"grant": "refresh_token", "refresh_token": kept, **person}
    journey.targets["site"] = {"kind": "oauth", "url": url, "token_url": f"{url}/o/token/", "calls": 100_000}
    journey.targets["site"]["settle"] = "10s"
    journey.save()
