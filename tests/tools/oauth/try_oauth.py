"""`make try-oauth SERVER=…`: a server from a package index, its kinds rotated under consumers.

    python -m tests.tools.oauth.try_oauth SERVER [MINUTES]

The server is installed into a folder of its own below the virtual environment, runs on loopback, and is ended by its
process id. A consumer of each credential reads Vault and uses what it finds ten times a second. Printed are uses,
refusals, the longest time between the first refused use and the next accepted one, and cut-overs. Exit 1 when a kind
that has no cut-over was refused once, or one that has was refused for longer than its proof takes: half a second, and
as long as eight uses took at their slowest at that very time.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from typing import Any

from tests.system.daemon import until
from tests.tools.oauth import django_server, hydra, jupyterhub, spring_server
from tests.tools.oauth.asserting import try_asserting
from tests.tools.oauth.consumers import judged, opening, watched
from tests.tools.oauth.journey import Journey, say

NAMES = ("basic", "post", "by-password", "renewed")
LIMITS = {"mints_per_day": 500}


def django(minutes: float) -> int:
    """Secrets, a password and a refresh token: it knows no keys of clients."""
    given = {name: secrets.token_hex(24) for name in (*NAMES, "password")}
    with Journey() as journey, django_server.run(journey.folder, given) as site:
        journey.bao.call("POST", "secret/data/renewals/renewed", {"data": {"refresh_token": site["refresh_token"]}})
        settle(journey, site["url"], given)
        say(journey.rotate("check"))
        daemon = journey.daemon()
        until("everything to be published", lambda: all(journey.document(f"apps/{name}") for name in NAMES), 60.0)
        seen = watched(journey, dict.fromkeys(NAMES, opening(f"{site['url']}/me")), 60 * minutes)
        assert daemon.process.poll() is None, daemon.last_words()
        for name, uses in seen.items():
            journey.chapter(name, lambda name=name, uses=uses: judged(daemon, name, uses, cuts=name == "renewed"))
        say(journey.rotate("check"))
        journey.kill(daemon)
        return journey.verdict()


def settle(journey: Journey, url: str, given: dict[str, str]) -> None:
    """The settings, as somebody would write them for this server."""
    refs = {name: journey.secret(f"{name}-secret", value) for name, value in given.items()}
    common: dict[str, Any] = {"target": "site", "kind": "oauth-token", "scopes": ["read"], "probe": "/me"}
    common |= {"lifetime": "60s", "fraction": 0.33, "limits": LIMITS}
    credentials = {
        name: {**common, "path": f"apps/{name}", "client_id": name, "client_secret": refs[name]} for name in NAMES
    }
    credentials["basic"] |= {"auth_method": "client_secret_basic"}
    person = {"identity": {"name": "ada"}}
    credentials["by-password"] |= person | {"grant": "password", "username": "ada", "password": refs["password"]}
    kept = {"vault": "secret/renewals/renewed#refresh_token"}
    credentials["renewed"] |= person | {"grant": "refresh_token", "refresh_token": kept}
    target = {"kind": "oauth", "url": url, "token_url": f"{url}/o/token/", "calls": 100_000, "settle": "10s"}
    journey.write({"site": target}, credentials)


SERVERS: dict[str, Callable[[float], int]] = {
    "django-oauth-toolkit": django,
    "hydra": lambda minutes: try_asserting(hydra.run, minutes),
    "spring": lambda minutes: try_asserting(spring_server.run, minutes),
    "jupyterhub": jupyterhub.try_manual,
}


def main(arguments: list[str]) -> int:
    """Try it; the exit code."""
    if not arguments or arguments[0] not in SERVERS:
        say(f"which server? make try-oauth SERVER={'|'.join(SERVERS)} (also: try-keycloak, try-oidc-provider)")
        return 2
    return SERVERS[arguments[0]](float(arguments[1]) if len(arguments) > 1 and arguments[1] else 2.0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
