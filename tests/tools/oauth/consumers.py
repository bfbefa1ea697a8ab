"""Consumers at ten uses a second: each reads Vault, uses what it finds, and counts what was refused."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

import jwt

from tests.system.daemon import Daemon
from tests.tools.oauth.journey import Journey, bearer, form, say

PACE = 0.1  # seconds
CALLS = 8  # a cut-over is one request, one proof and five writes, and a consumer needs a use to see that it is over
OWN = 0.5  # seconds for the work between them
LIMITS = {"mints_per_day": 500}
BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
Use = Callable[[dict[str, str]], bool | None]  # what was read: accepted, refused, or None where it is not to be used


@dataclass
class Uses:
    """What one consumer saw."""

    count: int = 0
    refused: int = 0
    gap: float = 0.0  # seconds, the longest
    beyond: float = 0.0  # seconds, the most by which a gap was longer than the work, by the round trips in it
    spent: float = 0.0  # seconds in all: what is read from Vault, and shown to the server
    rotations: frozenset[str] = frozenset()
    whole: bool = False  # it was at work until the end

    @property
    def each(self) -> float:
        """Seconds that one use takes."""
        return self.spent / max(1, self.count)

    def __str__(self) -> str:
        return (
            f"{len(self.rotations)} rotations, {self.count} uses of {self.each:.2f} s, {self.refused} refused, longest"
            f" gap {self.gap:.2f} s"
        )

    def over(self, seconds: float, slowest: float) -> None:
        """A gap is over in which a use took so long at most."""
        self.gap = max(self.gap, seconds)
        self.beyond = max(self.beyond, seconds - (OWN + CALLS * slowest))


def opening(url: str) -> Use:
    """With an access token, at a resource."""
    return lambda read: bearer(url, read["access_token"]) == 200


def exchanging(token_url: str, *, once: bool) -> Use:
    """With an assertion, at the token endpoint. `once`: a server takes each one only once."""
    used = set()

    def use(read: dict[str, str]) -> bool | None:
        assertion = read["client_assertion"]
        if once and assertion in used:
            return None
        used.add(assertion)
        return exchanged(token_url, assertion, "read", read["client_id"])[0] == 200

    return use


def signing(read: dict[str, str]) -> bool:
    """With a private key: an assertion of one's own, at the token endpoint that was published beside it."""
    return exchanged(read["token_url"], signed(read, 5), "read", read["client_id"])[0] == 200


def signed(read: dict[str, str], life: int = 30) -> str:
    """An assertion by a published key, for so many seconds."""
    now = int(time.time())
    claims = {"iss": read["iss"], "sub": read["client_id"], "aud": read["aud"], "iat": now, "exp": now + life}
    return jwt.encode({**claims, "jti": str(uuid4())}, read["private_key"], read["algorithm"], {"kid": read["kid"]})


def exchanged(token_url: str, assertion: str, scope: str, client: str = "") -> tuple[int, dict[str, Any]]:
    """What an assertion is exchanged for: the status and the answer."""
    fields = {"grant_type": "client_credentials", "scope": scope, "client_assertion_type": BEARER}
    fields |= {"client_assertion": assertion} | ({"client_id": client} if client else {})
    return form(token_url, fields)


def consume(journey: Journey, path: str, use: Use, end: float, uses: Uses) -> None:
    """Read and use, until `end`, in monotonic seconds."""
    since, slowest = None, 0.0
    while (now := time.monotonic()) < end:
        read = journey.document(path)
        accepted = use(read)
        took = time.monotonic() - now
        uses.rotations |= {read["rotation"]}
        uses.count += accepted is not None
        uses.spent += took if accepted is not None else 0.0
        slowest = max(slowest, took) if since is not None else took
        if accepted and since is not None:
            uses.over(now - since, slowest)
            since = None
        elif accepted is False:
            uses.refused += 1
            since = now if since is None else since
        time.sleep(max(0.0, PACE - (time.monotonic() - now)))
    if since is not None:
        uses.over(end - since, slowest)
    uses.whole = True


def watched(
    journey: Journey, uses: dict[str, Use], seconds: float, meanwhile: Callable[[], None] | None = None
) -> dict[str, Uses]:
    """Consumers at work, each on the path `apps/NAME`, while `meanwhile` goes on; what they saw."""
    seen = {name: Uses() for name in uses}
    end = time.monotonic() + seconds
    threads = [
        threading.Thread(target=consume, args=(journey, f"apps/{name}", use, end, seen[name]))
        for name, use in uses.items()
    ]
    for thread in threads:
        thread.start()
    if meanwhile:
        meanwhile()
    for thread in threads:
        thread.join()
    return seen


def judged(daemon: Daemon, name: str, uses: Uses, *, cuts: bool = False) -> str:
    """One line of the table. Raises AssertionError where consumers were cut off. `cuts`: each rotation may, briefly."""
    over = sum(bool(each["cut_over_at"]) for each in daemon.heard("candidate.installed", credential=name)[1:])
    said = f"{uses}, {over} cut-overs"
    assert uses.refused == 0 or (cuts and uses.beyond <= 0.0), f"{said}, {uses.beyond:.2f} s longer than the work"
    assert uses.whole, f"{said}; then it broke off"
    assert len(uses.rotations) > 1, said
    return said


def try_consumers(
    journey: Journey,
    daemon: Daemon,
    uses: dict[str, Use],
    minutes: float,
    meanwhile: Callable[[], None] | None = None,
) -> None:
    """A line of the table for each credential. One by refresh token may be cut off: its server ends the old one."""
    journey.await_everything()
    say(journey.rotate("check"))
    seen = watched(journey, uses, 60 * minutes, meanwhile)
    assert daemon.process.poll() is None, daemon.last_words()
    for name, each in seen.items():
        journey.chapter(name, partial(judged, daemon, name, each, cuts=name == "renewed"))
