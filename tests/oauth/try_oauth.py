"""`make try-oauth SERVER=django-oauth-toolkit`: a server from the package index, its kinds rotated under consumers.

    python -m tests.oauth.try_oauth SERVER [MINUTES]

The server is installed into a folder of its own below the virtual environment, runs on loopback, and is ended by its
process id. A consumer of each credential reads Vault and uses what it finds ten times a second. Printed are uses,
refusals, the longest time between the first refused use and the next accepted one, and cut-overs. Exit 1 when a kind
that has no cut-over was refused once, or one that has was refused for longer than a second.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.oauth.journey import Journey, bearer, say
from tests.system.daemon import Daemon, until

VERSIONS = {"django-oauth-toolkit": ("django-oauth-toolkit==3.4.1", "django>=5.2,<5.3")}
NAMES = ("basic", "post", "by-password", "renewed")
LIMITS = {"mints_per_day": 500}
PACE = 0.1  # seconds
LONGEST_CUT = 1.0  # seconds in which a refresh may leave consumers without an accepted token


@dataclass
class Uses:
    """What one consumer saw."""

    count: int = 0
    refused: int = 0
    gap: float = 0.0
    rotations: frozenset[str] = frozenset()


def installed(server: str) -> Path:
    """The Python that has the server. Downloads it where it is not there yet."""
    folder = Path(sys.prefix) / ".cache" / server
    python = folder / "bin" / "python"
    if not (folder / ".installed").exists():
        say(f"{', '.join(VERSIONS[server])} into {folder}")
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run(
            [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *VERSIONS[server]], check=True
        )
        (folder / ".installed").touch()
    return python


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


def consume(journey: Journey, url: str, name: str, end: float, uses: Uses) -> None:
    """Read and use, until `end`."""
    since = None
    while (now := time.monotonic()) < end:
        told = journey.document(f"apps/{name}")
        status = bearer(f"{url}/me", told["access_token"])
        uses.count += 1
        uses.rotations |= {told["rotation"]}
        if status == 200:
            uses.gap = max(uses.gap, now - since) if since is not None else uses.gap
            since = None
        else:
            uses.refused += 1
            since = now if since is None else since
        time.sleep(max(0.0, PACE - (time.monotonic() - now)))
    if since is not None:
        uses.gap = max(uses.gap, end - since)


def tell(journey: Journey, daemon: Daemon, url: str, minutes: float) -> None:
    """Consumers at work, and the table of what they saw."""
    seen = {name: Uses() for name in NAMES}
    end = time.monotonic() + 60 * minutes
    threads = [threading.Thread(target=consume, args=(journey, url, name, end, seen[name])) for name in NAMES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert daemon.process.poll() is None, daemon.last_words()
    for name, uses in seen.items():
        journey.chapter(name, lambda name=name, uses=uses: judged(daemon, name, uses))


def judged(daemon: Daemon, name: str, uses: Uses) -> str:
    """One line of the table. Raises AssertionError where consumers were cut off."""
    cuts = sum(bool(each["cut_over_at"]) for each in daemon.heard("candidate.installed", credential=name)[1:])
    said = (
        f"{len(uses.rotations)} rotations, {uses.count} uses, {uses.refused} refused, longest gap {uses.gap:.2f} s,"
        f" {cuts} cut-overs"
    )
    assert uses.refused == 0 or (name == "renewed" and uses.gap <= LONGEST_CUT), said
    assert len(uses.rotations) > 1, said
    return said


def main(arguments: list[str]) -> int:
    """Try it; the exit code."""
    if not arguments or arguments[0] not in VERSIONS:
        say(f"which server? make try-oauth SERVER={'|'.join(VERSIONS)} (also: try-keycloak, try-oidc-provider)")
        return 2
    python = installed(arguments[0])
    minutes = float(arguments[1]) if len(arguments) > 1 and arguments[1] else 2.0
    given = {name: secrets.token_hex(24) for name in (*NAMES, "password")}
    script = Path(__file__).with_name("django_site.py")
    with Journey() as journey:
        command = [str(python), str(script), str(journey.folder)]
        with (
            (journey.folder / "site.log").open("w") as log,
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True) as site,
        ):
            try:
                told = started(site, given)
                journey.bao.call(
                    "POST", "secret/data/renewals/renewed", {"data": {"refresh_token": told["refresh_token"]}}
                )
                settle(journey, told["url"], given)
                say(journey.rotate("check"))
                daemon = journey.daemon()
                until(
                    "everything to be published", lambda: all(journey.document(f"apps/{name}") for name in NAMES), 60.0
                )
                tell(journey, daemon, told["url"], minutes)
                say(journey.rotate("check"))
                journey.kill(daemon)
            finally:
                site.kill()
        return journey.verdict()


def started(site: subprocess.Popen[str], given: dict[str, str]) -> dict[str, str]:
    """Hand the secrets over; the site's own line."""
    assert site.stdin
    assert site.stdout
    json.dump(given, site.stdin)
    site.stdin.close()
    line = site.stdout.readline()
    assert line, "the site did not start"
    found: dict[str, str] = json.loads(line)
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
