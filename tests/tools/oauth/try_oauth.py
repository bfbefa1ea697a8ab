"""The rotator's kinds on real OAuth servers, by hand. Everything that was started is ended by its id.

    python -m tests.tools.oauth.try_oauth SERVER [MINUTES]                  a server from a package index
    python -m tests.tools.oauth.try_oauth keycloak /path/to/keycloak-26.4.0 [ONLY]
    python -m tests.tools.oauth.try_oauth oidc-provider /folder/with/node_modules [ONLY]

A server from a package index is installed into a folder of its own below the virtual environment. A consumer of each
credential reads Vault and uses what it finds ten times a second. Printed are uses, refusals, the longest time between
the first refused use and the next accepted one, and cut-overs. Exit 1 when a kind that has no cut-over was refused
once, or one that has was refused for longer than its proof takes: half a second, and as long as eight uses took at
their slowest at that very time.

On Keycloak and node oidc-provider, which are not downloaded, chapters are told; `ONLY`: a part of their titles. Exit 1
when something did not hold, 2 when nothing was tried.
"""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.tools.oauth import django_server, hydra, jupyterhub, keycloak, oidc_provider, oidc_story, spring_server
from tests.tools.oauth.asserting import try_asserting
from tests.tools.oauth.journey import Journey, say
from tests.tools.oauth.keycloak_mistakes import ASIDE
from tests.tools.oauth.keycloak_story import CHAPTERS
from tests.tools.oauth.shop import Shop

LONGEST = 5400  # seconds for everything; a quiet machine needs a tenth of them
INSTALLED: dict[str, Callable[[float], int]] = {
    "django-oauth-toolkit": django_server.try_secrets,
    "hydra": partial(try_asserting, hydra.run),
    "spring": partial(try_asserting, spring_server.run),
    "jupyterhub": jupyterhub.try_manual,
}


def try_keycloak(home: str, only: str) -> int:
    """Every kind for OAuth servers, as config/examples has it."""
    if not home or not Path(home, "bin", "kc.sh").exists() or shutil.which("java") is None:
        say("make try-keycloak KEYCLOAK=/path/to/keycloak-26.4.0 (unpacked; needs Java 17 or newer)")
        return 2
    with Journey() as journey, keycloak.run(Path(home), journey.folder / "keycloak.log") as sso:
        shop = Shop(sso, journey)
        sso.user(keycloak.ADA, shop.secret("ada-password"))
        for title, story in {**CHAPTERS, **ASIDE}.items():
            if only in title:
                shop.clear()
                journey.chapter(title, partial(story, shop))
        return journey.verdict()


def try_oidc_provider(modules: str, only: str) -> int:
    """Every OAuth kind; chapters build on one another, so the first publication is always among them."""
    if not modules or (reason := oidc_provider.missing(Path(modules))):
        say("make try-oidc-provider MODULES=/path" if not modules else f"nothing was tried: {reason}")
        return 2
    with Journey() as journey:
        oidc_story.tell(journey, Path(modules), only)
        return journey.verdict()


def _broken_off(number: int, _frame: object) -> None:
    """Too late, or told to stop: what was started is still ended."""
    raise SystemExit(f"broken off by {signal.Signals(number).name}; what is not in the table was not tried")


def main(arguments: list[str]) -> int:
    """Try it; the exit code."""
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, _broken_off)
    signal.alarm(LONGEST)
    server, first, second = (*arguments, "", "", "")[:3]
    if server == "keycloak":
        return try_keycloak(first, second)
    if server == "oidc-provider":
        return try_oidc_provider(first, second)
    if server not in INSTALLED:
        say(f"which server? make try-oauth SERVER={'|'.join(INSTALLED)} (also: try-keycloak, try-oidc-provider)")
        return 2
    return INSTALLED[server](float(first or 2.0))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
