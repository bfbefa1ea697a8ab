"""`make try-keycloak`: every kind for OAuth servers, rotated on a real Keycloak as config/examples has it.

    python -m tests.tools.oauth.try_keycloak /path/to/keycloak-26.4.0 [ONLY]

The server is keycloak.py's, the chapters are keycloak_story.py's and keycloak_mistakes.py's. `ONLY`: part of the titles
of the chapters to try. Nothing is downloaded, and everything that was started is ended by its id.
"""

from __future__ import annotations

import shutil
import signal
import sys
from functools import partial
from pathlib import Path

from tests.tools.oauth.journey import Journey, say
from tests.tools.oauth.keycloak import ADA, Keycloak
from tests.tools.oauth.keycloak_mistakes import ASIDE
from tests.tools.oauth.keycloak_story import CHAPTERS
from tests.tools.oauth.shop import Shop

LONGEST = 5400  # seconds for everything; a quiet machine needs a tenth of them


def ended(number: int, _frame: object) -> None:
    """Too late, or told to stop: what was started is still ended."""
    raise SystemExit(f"ended by {signal.Signals(number).name}; what is not in the table was not tried")


def main() -> int:
    """Run the story; its exit code."""
    if len(sys.argv) < 2 or not (home := Path(sys.argv[1])).joinpath("bin", "kc.sh").exists():
        say("which Keycloak? make try-keycloak KEYCLOAK=/path/to/keycloak-26.4.0 (unpacked; needs Java 17 or newer)")
        return 2
    if shutil.which("java") is None:
        say("no java found: Keycloak needs Java 17 or newer")
        return 2
    for each in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(each, ended)
    signal.alarm(LONGEST)
    wanted = sys.argv[2] if len(sys.argv) > 2 else ""
    with Journey() as journey, Keycloak(home, journey.folder / "keycloak.log") as sso:
        shop = Shop(sso, journey)
        sso.user(ADA, shop.secret("ada-password"))
        for title, story in {**CHAPTERS, **ASIDE}.items():
            if wanted in title:
                shop.clear()
                journey.chapter(title, partial(story, shop))
        return journey.verdict()


if __name__ == "__main__":
    sys.exit(main())
