"""The story that is told on every OAuth server: rotations under consumers, lost answers, leaks, kills, mistakes."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from tests.kit.http_server import Heard
from tests.system.daemon import Daemon, until
from tests.system.nursery import shared
from tests.tools.oauth.consumers import Uses, judged, watched
from tests.tools.oauth.journey import PATIENCE, Journey, form, say
from tests.tools.oauth.relay import Gate, Relay
from tests.tools.oauth.server import Offer, basic
from tests.tools.oauth.stage import GRANTS, KINDS, Stage

ROTATIONS = 10
LATER = 2.0  # seconds; a set is read so much later than its cache says, which is less than `settle`
KILLED = ("basic", "password", "renewed", "asserted", "key-url", "key-put")
ASKING = ("renewed", "key-put")  # what a lost answer may cost a consent, or a registration access token
LEAKED = ("basic", "password", "renewed", "ps256", "tls", "key-url", "key-put")


# --- rotations under consumers --------------------------------------------------------------------------------------


def rotations(stage: Stage, daemon: Daemon) -> None:
    """A line of the table for each credential: ten rotations, and all that came before the last proven dead."""

    def turn(name: str) -> None:
        for _ in range(ROTATIONS):
            again(stage, daemon, name)

    seen = watched(stage.journey, {name: stage.use(name) for name in stage.clients}, turn)
    assert daemon.process.poll() is None, daemon.last_words()
    for name, uses in seen.items():
        stage.journey.chapter(name, partial(judgement, stage, daemon, name, uses))


def again(stage: Stage, daemon: Daemon, name: str) -> None:
    """One more rotation; one in flight is waited for."""
    before, end, over = stage.journey.published(name), time.monotonic() + PATIENCE, stage.journey.over
    while stage.journey.published(name) == before and not over.is_set():
        daemon.begin(name)
        with suppress(TimeoutError):
            until("another", lambda: stage.journey.published(name) != before, 5.0, 0.1)
        assert time.monotonic() < end, (
            f"{name}: {[each['said'] for each in daemon.heard('step.faulted', credential=name)][-2:]}"
        )


def judgement(stage: Stage, daemon: Daemon, name: str, uses: Uses) -> str:
    said = judged(daemon, name, uses, cuts=name in GRANTS and stage.offer.ends)
    if KINDS.get(name) == "client-assertion":
        return f"{said}; they end by their date"
    until(f"all {len(uses.old)} to end", lambda: all(stage.dead(name, each) for each in uses.old), 60.0, 0.5)
    return f"{said}; {len(uses.old)} shown dead"


# --- a leak ---------------------------------------------------------------------------------------------------------


def leak(stage: Stage, name: str) -> str:
    """The value of now is in foreign hands."""
    leaked, began = stage.journey.read(name), time.monotonic()
    ended: list[float] = []

    def watch() -> None:
        until(f"{name} to end", lambda: stage.dead(name, leaked), PATIENCE, 0.1)
        ended.append(time.monotonic() - began)

    thread = threading.Thread(target=watch)
    thread.start()
    told = stage.journey.ended("revoke", name)
    took = time.monotonic() - began
    thread.join()
    stage.works(name)
    assert told.returncode == 0, f"{told.returncode}: {told.stdout[-600:]}"
    return f"dead {ended[0]:.1f} s after the command began, which ended after {took:.1f} s"


# --- answers that are lost ------------------------------------------------------------------------------------------


def asks(grant: str) -> Callable[[Heard], bool]:
    return lambda heard: parse_qs(heard.raw.decode(errors="replace")).get("grant_type") == [grant]


def revokes(heard: Heard) -> bool:
    return "revo" in heard.target and heard.method == "POST"


def registers(heard: Heard) -> bool:
    return heard.method == "PUT"


LOST: dict[str, tuple[str, Callable[[Heard], bool]]] = {
    "of a token request": ("basic", asks("client_credentials")),
    "of a revocation": ("basic", revokes),
    "of a registration PUT": ("key-put", registers),
    "of a refresh": ("renewed", asks("refresh_token")),
}


def lost(stage: Stage, daemon: Daemon, name: str, which: Callable[[Heard], bool]) -> str:
    """The server acted, and nobody heard of it."""
    old = stage.journey.read(name)
    asked = len(daemon.heard("person.awaited", credential=name))
    began = time.monotonic()
    stage.relay.lose(which)
    for _ in range(20):  # one may be declined, while a grace is on
        daemon.begin(name)
        if stage.relay.lost.wait(3):
            break
    else:
        stage.relay.lose(lambda _: False)
        raise AssertionError("no such call came by")
    said = recovered(stage, daemon, name, old, asked)
    until("the old one to end", lambda: stage.dead(name, old), PATIENCE, 0.5)
    stage.works(name)
    return f"{said}; the old one dead {time.monotonic() - began:.0f} s after it began"


def recovered(stage: Stage, daemon: Daemon, name: str, old: dict[str, str], asked: int) -> str:
    """By itself, or by the person whom it asks."""

    def waits() -> list[dict[str, Any]]:
        return daemon.heard("person.awaited", credential=name)[asked:]

    def rotated() -> bool:
        return stage.journey.read(name)["rotation"] != old["rotation"]

    until("the next one, or a person to be asked", lambda: rotated() or waits(), PATIENCE, 0.2)
    if not waits():
        return "recovered by itself"
    said = f"{waits()[-1]['said']}{' (and the new one is published)' if rotated() else ''}"
    stage.help(name)
    daemon.begin(name)
    until("the next one", rotated, PATIENCE, 0.2)
    return f"a person was asked: {said[-230:]}"


# --- kill -9 at every call ------------------------------------------------------------------------------------------


class Lane:
    """One credential in processes of its own, whose calls are counted on their way to Vault and to the server."""

    def __init__(self, stage: Stage, name: str) -> None:
        self.stage, self.name, self.gate = stage, name, Gate()
        self.vault = Relay(stage.journey.bao.address, self.gate)
        self.server = Relay(stage.running.upstream, self.gate, stage.running.own)
        self.path = stage.journey.folder / f"lane-{name}.toml"
        self.asked = 0
        journey = stage.journey
        text = json.dumps({"target": journey.targets["site"], "credential": journey.credentials[name]})
        here = json.loads(text.replace(stage.relay.url, self.server.url))
        here["target"] |= {"token_url": f"{self.server.url}{stage.offer.token}"}
        here["target"] |= {"revocation_url": f"{self.server.url}{stage.offer.revocation}"}
        here["target"]["settle"] = "1s"  # dozens of rotations: each wait is short
        if KINDS.get(name) == "assertion-key":
            here["credential"] |= {"assertion_life": "1s", "retire": {"after": "2s"}}
            here["credential"] |= {"jwks_cache": "2s"} if "jwks" in here["credential"] else {}
        at = journey.targets["site"]
        here["target"] |= {"issuer": at["issuer"]} if "issuer" in at else {}  # each lane has its own address of it
        here["target"] |= {"audience": at.get("audience", f"{stage.relay.url}{stage.offer.token}")}
        journey.write(self.path, self.vault.url, {"site": here["target"]}, {name: here["credential"]}, {})

    def now(self, at: int = 0) -> tuple[int, str]:
        """`rotate now --wait`, killed at a call; its exit code and its words."""
        self.gate.arm(at)
        with tempfile.TemporaryFile() as out:
            words = ("rotator", "-c", str(self.path), "now", self.name, "--wait", "--within", "40s")
            child = shared().child(*words, output=out, errors=out)
            self.gate.names(child)
            code = child.wait(150.0)
            out.seek(0)
            said = out.read().decode()
        self.stage.journey.keeps_still(said)
        return code, said

    def recover(self) -> float:
        """Until a run ends well; a person helps where one is asked. Seconds."""
        began = time.monotonic()
        for _ in range(5):
            code, said = self.now()
            if code == 0:
                self.stage.works(self.name)
                return time.monotonic() - began
            if "rotate now" in said and self.name in ASKING:
                self.asked += 1
                self.stage.help(self.name)
        raise AssertionError(f"{self.name} does not recover from {self.gate.last}: {code} {said[-600:]}")

    def run(self) -> str:
        """Every call of an undisturbed rotation, and of those that a kill brings."""
        self.recover()
        at, kills, longest, over = 0, 0, 0.0, self.stage.journey.over
        while not over.is_set():
            at += 1
            code, said = self.now(at)
            if not self.gate.last:
                assert code == 0, f"{code}: {said[-600:]}"
                break
            kills += 1
            if kills % 10 == 0:
                say(f"         {self.name}: {kills} kills, the last at {self.gate.last}")
            longest = max(longest, self.recover())
        self.vault.close()
        self.server.close()
        said = f"{kills} kills, {kills - self.asked} recovered by itself, {self.asked} by a person"
        return f"{said}, at most {longest:.1f} s"


def kills(stage: Stage) -> None:
    """Each kind in a lane of its own, under its consumer."""
    lanes = {name: Lane(stage, name) for name in stage.named(*KILLED)}
    if stage.offer.jwks_cache > 5:  # each kill would take half a minute
        lanes.pop("key-url", None)
    told: dict[str, str | Exception] = {}

    def go(name: str) -> None:
        try:
            told[name] = lanes[name].run()
        except Exception as fault:  # noqa: BLE001 (told in the table)
            told[name] = fault

    seen = watched(stage.journey, {name: stage.use(name) for name in lanes}, go)
    for name, uses in seen.items():
        stage.journey.chapter(f"killed: {name}", partial(survived, stage, name, told[name], uses))


def survived(stage: Stage, name: str, told: str | Exception, uses: Uses) -> str:
    assert isinstance(told, str), f"{told}; {uses}"
    renews = stage.clients[name].grant == "refresh_token"  # a lost refresh may end the consent, and what it brought
    assert renews or uses.refused == 0, f"{told}; {uses}"
    if KINDS.get(name) != "client-assertion":
        until("all old ones to end", lambda: all(stage.dead(name, each) for each in uses.old), 60.0, 0.5)
    return f"{told}; {uses}"


# --- mistakes -------------------------------------------------------------------------------------------------------


def not_yet_known(stage: Stage, daemon: Daemon) -> str:
    """The server reads the set later than `jwks_cache` says: the key has the time of `settle`, too."""

    def heard(event: str) -> int:
        return len(daemon.heard(event, credential="key-url"))

    burned, made, before = heard("attempt.burned"), heard("candidate.installed"), stage.journey.published("key-url")
    stage.stale.set()
    try:
        daemon.begin("key-url")
        until("the new key to join the set", lambda: heard("candidate.installed") > made, PATIENCE, 0.1)
        time.sleep(stage.offer.jwks_cache + LATER)
    finally:
        stage.stale.clear()
    until("it to be published", lambda: stage.journey.published("key-url") > before, PATIENCE, 0.2)
    assert (heard("attempt.burned"), heard("candidate.installed")) == (burned, made + 1)
    return f"published {stage.offer.jwks_cache + LATER:g} s and more after it joined, nothing burned"


def theft(stage: Stage, daemon: Daemon) -> str:
    """A spent refresh token is shown: a server that sees a theft ends the consent."""
    spent, old = stage.journey.renewal("renewed"), stage.journey.read("renewed")
    again(stage, daemon, "renewed")
    asked = len(daemon.heard("person.awaited", credential="renewed"))
    client = stage.clients["renewed"]
    wish = {"grant_type": "refresh_token", "refresh_token": spent}
    status, _ = form(f"{stage.running.upstream}{stage.offer.token}", wish, basic(client))
    old = stage.journey.read("renewed")
    daemon.begin("renewed")
    return f"it gets {status}; {recovered(stage, daemon, 'renewed', old, asked)}"


Change = Callable[[dict[str, Any], dict[str, Any]], object]  # of the target and of the credentials
MISTAKES: dict[str, tuple[str, Change, str]] = {
    "another kid": ("asserted", lambda _, its: its.update(kid="nonsense"), 'kid = "thumbprint"'),
    "another algorithm": ("asserted", lambda _, its: its.update(algorithm="RS256"), 'algorithm = "PS256"'),
    "another audience": ("asserted", lambda at, _: at.update(audience="https://x.example"), "audience = "),
    "a leeway that is too short": ("asserted", lambda at, _: at.update(leeway="5s"), "after its end"),
    "another scope": ("basic", lambda _, its: its.update(scopes=["nonsense"]), "scope"),
    "another client": ("basic", lambda _, its: its.update(client_id="nobody"), "invalid_client"),
}


def mistaken(stage: Stage, name: str, change: Change, words: str) -> str:
    """What `rotate check`, or else `rotate now`, says of one mistake; what is published stays; then it is mended."""
    journey = stage.journey
    before = journey.read(name)
    targets, credentials = deepcopy(journey.targets), deepcopy(journey.credentials)
    change(journey.targets["site"], journey.credentials[name])
    journey.credentials = {name: journey.credentials[name]}
    journey.save()
    try:
        said = journey.rotate("check") + (journey.rotate("now", name, "--within", "20s") if name == "basic" else "")
    finally:
        journey.targets, journey.credentials = targets, credentials
        journey.save()
    found = [line for line in said.splitlines() if words in line and not line.startswith("ok")]
    assert found, "\n".join(line for line in said.splitlines() if not line.startswith("ok"))
    assert journey.read(name) == before, "what is published has changed"
    return found[0][:200]


# --- all of it ------------------------------------------------------------------------------------------------------


def tell(offer: Offer, only: str = "") -> int:
    """The exit code. `only`: a part of the titles of the chapters that are told."""
    with Journey() as journey, Relay() as relay:
        stage = Stage(journey, relay, offer)
        running = offer.run(journey.folder, relay.url, list(stage.clients.values()), stage.password, stage.tls)
        with running as server:
            relay.upstream = server.upstream
            relay.own |= server.own
            stage.settle(server)
            say(journey.rotate("check"))
            daemon = journey.daemon()
            journey.await_everything()

            def chapter(title: str, story: Callable[[], str]) -> None:
                if only in title:
                    journey.chapter(title, story)

            if only in "rotations":
                rotations(stage, daemon)
            for name in stage.named(*LEAKED):
                chapter(f"leaked: {name}", partial(leak, stage, name))
            for title, (name, which) in LOST.items():
                if name in stage.clients:
                    chapter(f"lost: the answer {title}", partial(lost, stage, daemon, name, which))
            if "key-url" in stage.clients and offer.jwks_cache <= 5:  # of Keycloak's own waits none is left for it
                chapter("a key that is not known yet", partial(not_yet_known, stage, daemon))
            chapter("a refresh token shown twice", partial(theft, stage, daemon))
            journey.kill(daemon)
            for title, (name, change, words) in MISTAKES.items():
                if name in stage.clients and ("leeway" not in title or "leeway" in server.target):
                    chapter(f"check: {title}", partial(mistaken, stage, name, change, words))
            if only in "kills":
                kills(stage)
            return journey.verdict()
