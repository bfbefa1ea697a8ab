"""Consumers at ten uses a second: each reads Vault, uses what it finds, and counts what was refused."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import jwt

from tests.system.daemon import Daemon
from tests.tools.oauth.journey import Journey, form

PACE = 0.1  # seconds
CALLS = 8  # a cut-over is one request, one proof and five writes, and a consumer needs a use to see that it is over
OWN = 0.5  # seconds for the work between them
PAUSE = 1.0  # seconds until a daemon asks again after a call without an answer
LIMITS = {"mints_per_day": 500}
BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
Use = Callable[[dict[str, str]], bool | None]  # what was read: accepted, refused, or None where it is not to be used


@dataclass
class Uses:
    """What one consumer saw."""

    count: int = 0
    refused: int = 0
    unanswered: int = 0  # the server or Vault gave no answer
    refusals: list[tuple[float, float]] = field(default_factory=list, repr=False)  # monotonic: begun, answered
    gap: float = 0.0  # seconds, the longest
    beyond: float = 0.0  # seconds, the most by which a gap was longer than the work, by the round trips in it
    spent: float = 0.0  # seconds in all: what is read from Vault, and shown to the server
    seen: dict[int, dict[str, str]] = field(default_factory=dict, repr=False)  # by number of the rotation
    whole: bool = False  # it was at work until the end

    @property
    def each(self) -> float:
        """Seconds that one use takes."""
        return self.spent / max(1, self.count)

    def __str__(self) -> str:
        return (
            f"{len(self.seen) - 1} rotations, {self.count} uses of {self.each:.2f} s, {self.refused} refused,"
            f" {f'{self.unanswered} without an answer, ' if self.unanswered else ''}longest gap {self.gap:.2f} s"
        )

    def over(self, seconds: float, slowest: float, silent: float) -> None:
        """A gap is over in which an answered use took so long at most, and so long nothing was answered."""
        self.gap = max(self.gap, seconds)
        waited = silent + PAUSE if silent else 0.0
        self.beyond = max(self.beyond, seconds - (OWN + CALLS * slowest + waited))

    @property
    def old(self) -> list[dict[str, str]]:
        """All that was published before the last."""
        return [self.seen[number] for number in sorted(self.seen)[:-1]]


def opening(opens: Callable[[str], bool]) -> Use:
    """With an access token, at a resource."""
    return lambda read: opens(read["access_token"])


def exchanging(token_url: str, scope: str) -> Use:
    """With each assertion once, at the token endpoint."""
    used: set[str] = set()
    lock = threading.Lock()  # two threads may look at one value

    def use(read: dict[str, str]) -> bool | None:
        ours = {value for name, value in read.items() if name.startswith("client_assertion") and "_type" not in name}
        with lock:
            unused = ours - used
            used.update(unused)
        taken = [exchanged(token_url, each, scope, read["client_id"])[0] == 200 for each in unused]
        return all(taken) if taken else None

    return use


def signing(token_url: str, scope: str) -> Use:
    """With a private key: an assertion of one's own, at the token endpoint."""
    return lambda read: exchanged(token_url, signed(read, 5), scope, read["client_id"])[0] == 200


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


def consume(journey: Journey, path: str, use: Use, over: threading.Event, uses: Uses) -> None:
    """Read and use, until it is over."""
    since, slowest, silent = None, 0.0, 0.0
    while not over.is_set():
        now = time.monotonic()
        try:
            read = journey.document(path)
            accepted = use(read)
        except OSError:  # Hydra over SQLite cuts a connection where it took ten seconds
            uses.unanswered += 1
            silent += time.monotonic() - now
            continue
        took = time.monotonic() - now
        uses.seen[int(read["rotation"])] = read
        uses.count += accepted is not None
        uses.spent += took if accepted is not None else 0.0
        slowest = max(slowest, took) if since is not None else took
        if accepted and since is not None:
            uses.over(now - since, slowest, silent)
            since = None
        elif accepted is False:
            uses.refused += 1
            uses.refusals.append((now, now + took))
            since = now if since is None else since
        silent = silent if since is not None else 0.0
        time.sleep(max(0.0, PACE - (time.monotonic() - now)))
    if since is not None:
        uses.over(time.monotonic() - since, slowest, silent)
    uses.whole = True


def watched(journey: Journey, uses: dict[str, Use], work: Callable[[str], None]) -> dict[str, Uses]:
    """A consumer for each name, on the path `apps/NAME`, for as long as the work with that name takes; what it saw."""

    def watch(name: str) -> Uses:
        seen, over = Uses(), threading.Event()
        thread = threading.Thread(target=consume, args=(journey, f"apps/{name}", uses[name], over, seen))
        thread.start()
        try:
            work(name)
            time.sleep(10 * PACE)  # so that it sees what was last published
        finally:
            over.set()
            thread.join()
        return seen

    with ThreadPoolExecutor(len(uses)) as pool:
        try:
            return dict(zip(uses, pool.map(watch, uses), strict=True))
        finally:
            journey.over.set()  # where it is broken off, the others give up
            journey.over = threading.Event()


def judged(daemon: Daemon, name: str, uses: Uses, *, cuts: bool = False) -> str:
    """One line of the table. Raises AssertionError where consumers were cut off. `cuts`: each rotation may, briefly."""
    over = sum(bool(each["cut_over_at"]) for each in daemon.heard("candidate.installed", credential=name)[1:])
    said = f"{uses}, {over} cut-overs"
    assert uses.refused == 0 or (cuts and uses.beyond <= 0.0), f"{said}, {uses.beyond:.2f} s longer than the work"
    assert uses.whole, f"{said}; then it broke off"
    assert len(uses.seen) > 1, said
    return said
