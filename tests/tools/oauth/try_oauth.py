"""The rotator's kinds on a real OAuth server, by hand. Everything that was started is ended by its id.

    python -m tests.tools.oauth.try_oauth SERVER [ONLY]

The server is installed from a package index into a folder of its own below the virtual environment. Ten rotations of
each credential under a consumer that reads Vault and uses what it finds ten times a second; leaks, lost answers,
mistakes; then each kind is killed at every call of a rotation. `ONLY`: a part of the titles to tell, or "rotations" or
"kills". Exit 1 when something did not hold: a refused use without a cut-over, or in one that was longer than its proof
takes (half a second, and as long as eight uses took at their slowest at that very time); a predecessor that lives on.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from functools import partial

from tests.tools.oauth import django_server, hydra, jupyterhub, keycloak, oidc_provider, spring_server
from tests.tools.oauth.journey import say
from tests.tools.oauth.story import tell

LONGEST = 3600  # seconds for everything; a quiet machine needs a sixth of them
SERVERS: dict[str, Callable[[str], int]] = {
    "hydra": partial(tell, hydra.OFFER),
    "spring": partial(tell, spring_server.OFFER),
    "django-oauth-toolkit": partial(tell, django_server.OFFER),
    "keycloak": partial(tell, keycloak.OFFER),
    "oidc-provider": partial(tell, oidc_provider.OFFER),
    "jupyterhub": jupyterhub.try_manual,
}


def _broken_off(number: int, _frame: object) -> None:
    """Too late, or told to stop: what was started is still ended."""
    raise SystemExit(f"broken off by {signal.Signals(number).name}; what is not in the table was not tried")


def main(arguments: list[str]) -> int:
    """Try it; the exit code, 2 when nothing was tried."""
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, _broken_off)
    signal.alarm(LONGEST)
    server, only = (*arguments, "", "")[:2]
    if server not in SERVERS:
        say(f"which server? make try-oauth SERVER={'|'.join(SERVERS)}")
        return 2
    return SERVERS[server](only)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
