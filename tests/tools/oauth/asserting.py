"""A server that reads key sets and has introspection: every kind that fits, and what goes wrong there."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

from rotator.providers.keys.algorithms import Algorithm
from rotator.providers.keys.signing import public_jwk, public_key
from tests.system.daemon import Daemon, until
from tests.tools.oauth.consumers import LIMITS, Use, exchanging, opening, signing, try_consumers
from tests.tools.oauth.journey import PATIENCE, Journey, bearer
from tests.tools.oauth.resource import Resource
from tests.tools.oauth.server import Client, Running
from tests.unit.providers.keys import public_pem

Run = Callable[[Path, list[Client]], AbstractContextManager[Running]]
PERIOD = 25.0  # seconds between two key pairs
JWKS_CACHE = 5.0  # seconds
LATER = 4.0  # seconds for which a set is not read yet when its cache has passed; less than the `settle` of 10 s
KEPT = "secret/renewals/renewed#refresh_token"


class Stage:
    """The clients, their settings, and where they are used."""

    def __init__(self, journey: Journey, resource: Resource) -> None:
        self.journey = journey
        self.resource = resource
        self.given = {name: secrets.token_hex(24) for name in ("basic", "post", "renewed")}
        key, self.key = journey.key("client")
        resource.key_set = {"keys": [public_jwk(public_key(public_pem(key)), Algorithm.PS256)]}

    def clients(self) -> list[Client]:
        keys, self.resource.ours = f"{self.resource.url}/jwks", f"http://{self.journey.listen}"
        return [
            Client("basic", "client_secret_basic", self.given["basic"]),
            Client("post", "client_secret_post", self.given["post"]),
            Client("renewed", "client_secret_basic", self.given["renewed"], refreshes=True),
            Client("by-assertion", "private_key_jwt", jwks=keys),
            Client("asserting", "private_key_jwt", jwks=keys),
            Client("signing", "private_key_jwt", jwks=f"{keys}/signing"),
        ]

    def settle(self, server: Running) -> None:
        """The settings, as somebody would write them for this server."""
        self.resource.introspect, self.resource.token_url = server.introspect, server.token_url
        journey = self.journey
        journey.hand_over("renewed", server.refresh_token)
        secret = {name: journey.secret(f"{name}-secret", value) for name, value in self.given.items()}
        token = {"kind": "oauth-token", "lifetime": "60s", "fraction": 0.33}
        basic = {"auth_method": "client_secret_basic"}
        target = {"kind": "oauth", "url": self.resource.url, "token_url": server.token_url, "calls": 100_000}
        journey.targets = {"site": {**target, "settle": "10s", **server.target}}
        # Its relay may lose answers: what is proven by a secret cares for no audience.
        journey.targets["relayed"] = {**journey.targets["site"], "token_url": f"{self.resource.url}/token"}
        refresh = {"grant": "refresh_token", "refresh_token": {"vault": KEPT}, "identity": {"name": "ada"}}
        key_set = {"jwks": "secret/public/signing", "jwks_cache": f"{JWKS_CACHE:g}s", "assertion_life": "5s"}
        credentials: dict[str, Any] = {
            "basic": {**token, **basic, "client_secret": secret["basic"]},
            "post": {**token, "client_secret": secret["post"]},
            "renewed": {**token, **basic, **refresh, "client_secret": secret["renewed"], "target": "relayed"},
            "by-assertion": {**token, "signing_key": self.key},
            "asserting": {
                "kind": "client-assertion", "signing_key": self.key, "lifetime": "60s", "fraction": 0.33, "rest": "10s"
            },
            "signing": {"kind": "assertion-key", **key_set, "bits": 2048, "every": "10m", "retire": {"after": "6s"}},
        }  # fmt: skip
        common = {"target": "site", "scopes": ["read"], "probe": "/me", "limits": LIMITS}
        for name, own in credentials.items():
            journey.credentials[name] = {**common, "path": f"apps/{name}", "client_id": name, **own}
        journey.save()

    def uses(self, server: Running) -> dict[str, Use]:
        open_me = opening(f"{self.resource.url}/me")
        once = bool(server.target.get("single_use", True))
        return {
            **dict.fromkeys(("basic", "post", "by-assertion", "renewed"), open_me),
            "asserting": exchanging(server.token_url, once=once),
            "signing": signing,
        }


def rotating(daemon: Daemon, end: float) -> None:
    """A new key pair every so often, faster than a schedule may be, until `end`, in monotonic seconds."""
    while time.monotonic() < end:
        daemon.begin("signing")
        time.sleep(PERIOD)


def left(daemon: Daemon) -> str:
    """Each was proven dead, and no healthy credential was paused for it."""
    retired = daemon.heard("predecessor.retired", credential="signing")
    assert retired, f"none: {[each['said'] for each in daemon.heard('step.faulted', credential='signing')][-3:]}"
    paused = [each for each in daemon.lines() if each["event"].startswith("target.") and each["level"] != "info"]
    assert not paused, paused[-1]["said"]
    faults = len(daemon.heard("step.faulted", credential="signing"))
    return (
        f"{len(retired)} proven dead ({retired[-1]['said'][-60:]}), {faults} faults on the way, no pause of the target"
    )


def not_yet_known(stage: Stage, daemon: Daemon) -> str:
    """The server reads the set later than `jwks_cache` says: the key has the time of `settle`, too."""

    def heard(event: str) -> list[dict[str, Any]]:
        return daemon.heard(event, credential="signing")

    burned, made, before = (
        len(heard("attempt.burned")),
        len(heard("candidate.installed")),
        stage.journey.published("signing"),
    )
    stage.resource.stale.set()
    try:
        daemon.begin("signing")
        until("the new key to join the set", lambda: len(heard("candidate.installed")) > made, PATIENCE, 0.1)
        time.sleep(JWKS_CACHE + LATER)
    finally:
        stage.resource.stale.clear()
    until("it to be published", lambda: stage.journey.published("signing") > before, PATIENCE, 0.2)
    assert (len(heard("attempt.burned")), len(heard("candidate.installed"))) == (burned, made + 1)
    return f"published {JWKS_CACHE + LATER:g} s and more after it joined, nothing burned"


def killed(stage: Stage, server: Running, daemon: Daemon) -> str:
    """kill -9 when the server has spent the refresh token and the answer is lost: which way it goes on is told."""
    journey, resource = stage.journey, stage.resource
    resource.swallow.set()
    with suppress(OSError, ValueError):
        daemon.begin("renewed")
    assert resource.swallowed.wait(PATIENCE), "no refresh came by"
    before = journey.published("renewed")
    journey.kill(daemon)
    began = time.monotonic()
    heir = journey.daemon()
    until(
        "the next access token, or a person to be asked",
        lambda: journey.published("renewed") > before or heir.heard("person.awaited", credential="renewed"),
        PATIENCE,
        0.2,
    )
    took = time.monotonic() - began
    if not heir.heard("person.awaited", credential="renewed"):
        assert bearer(f"{resource.url}/me", journey.read("renewed")["access_token"]) == 200
        journey.kill(heir)
        return f"another token {took:.0f} s after the kill"
    said = heir.heard("person.awaited", credential="renewed")[-1]["said"]
    if server.consent is None:
        journey.kill(heir)
        return f"a person is asked {took:.0f} s after the kill: {said[-120:]}"
    journey.hand_over("renewed", server.consent())
    heir.begin("renewed")
    until("the next access token", lambda: journey.published("renewed") > before, PATIENCE, 0.2)
    journey.kill(heir)
    return f"a person was asked {took:.0f} s after the kill, and their consent was enough"


Change = Callable[[Stage], None]
MISTAKES: dict[str, tuple[Change, str]] = {
    "another kid": (lambda it: it.journey.credentials["asserting"].update(kid="nonsense"), 'kid = "thumbprint"'),
    "another algorithm": (
        lambda it: it.journey.credentials["asserting"].update(algorithm="RS256"),
        'algorithm = "PS256"',
    ),
    "another audience": (
        lambda it: it.journey.targets["site"].update(audience="https://x.example"),
        'audience = "token_url"',
    ),
    "leeway": (lambda it: it.journey.targets["site"].update(leeway="5s"), "after its end"),
    "no refresh token": (
        lambda it: it.journey.bao.call("DELETE", "secret/data/renewals/renewed") and None,
        "there is no refresh token",
    ),
}


def mistaken(stage: Stage, change: Change, words: str) -> str:
    """What `rotate check` says of one mistake; the settings are mended afterwards."""
    journey = stage.journey
    targets, credentials = deepcopy(journey.targets), deepcopy(journey.credentials)
    change(stage)
    journey.save()
    told = journey.rotate("check")
    journey.targets, journey.credentials = targets, credentials
    journey.save()
    said = [line for line in told.splitlines() if words in line]
    assert said, "\n".join(line for line in told.splitlines() if not line.startswith("ok"))
    return said[0]


def try_asserting(run: Run, minutes: float) -> int:
    """The exit code."""
    with Journey() as journey, Resource() as resource:
        stage = Stage(journey, resource)
        with run(journey.folder, stage.clients()) as server:
            stage.settle(server)
            daemon = journey.daemon()
            end = time.monotonic() + 60 * minutes - PERIOD
            try_consumers(journey, daemon, stage.uses(server), minutes, lambda: rotating(daemon, end))
            journey.chapter("keys that left their set", lambda: left(daemon))
            journey.chapter("a key that is not known yet", lambda: not_yet_known(stage, daemon))
            journey.chapter("killed between a refresh and its answer", lambda: killed(stage, server, daemon))
            for name, (change, words) in MISTAKES.items():
                if name == "leeway" and name not in server.target:
                    continue  # it takes none that has expired
                journey.chapter(f"check: {name}", lambda change=change, words=words: mistaken(stage, change, words))
            return journey.verdict()
