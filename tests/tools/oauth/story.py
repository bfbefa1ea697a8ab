"""The story that is told on every OAuth server: rotations, leaks, lost answers, mistakes, kills and lies."""

from __future__ import annotations

import threading
import time
import urllib.request
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from copy import deepcopy
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from tests.kit.http_server import Heard
from tests.system.daemon import Daemon, until
from tests.tools.oauth.consumers import Uses, judged, watched
from tests.tools.oauth.journey import PATIENCE, Journey, fetch, form, say
from tests.tools.oauth.kills import kills
from tests.tools.oauth.lies import lies
from tests.tools.oauth.proof import judged as sentences
from tests.tools.oauth.relay import Relay
from tests.tools.oauth.server import Offer, basic
from tests.tools.oauth.stage import GRANTS, KINDS, Stage

ROTATIONS = 10
METHODS = "token_endpoint_auth_methods_supported"
LATER = 2.0  # seconds; a set is read so much later than its cache says, which is less than `settle`
LEAKED = ("basic", "password", "renewed", "ps256", "tls", "key-url", "key-put")


# --- what there is to try -------------------------------------------------------------------------------------------

OURS = {"client_credentials", "password", "refresh_token"}


def offered(stage: Stage) -> str:
    """Every grant that a service can use, and every method, that the server tells of; all that was tried, otherwise."""
    clients = stage.clients.values()
    grants, methods = {each.grant for each in clients}, {each.method for each in clients}
    told: dict[str, Any] = {}
    if issuer := str(stage.running.target.get("issuer", "")):
        url = issuer.replace(stage.relay.url, stage.running.upstream)
        told = fetch(urllib.request.Request(f"{url}/.well-known/openid-configuration"))[1]
        assert told, f"{url} tells nothing"
    theirs = set(told.get("grant_types_supported", ()))
    left = sorted((theirs & OURS) - grants) + sorted(set(told.get(METHODS, ())) - methods)
    assert not left, f"not tried: {', '.join(left)}"
    not_ours = f"; grants for persons: {', '.join(sorted(theirs - OURS))}" if theirs else "; the server tells none"
    return f"{', '.join(sorted(grants))}; {', '.join(sorted(methods))}{not_ours}"


# --- rotations under consumers --------------------------------------------------------------------------------------


def rotations(stage: Stage, daemon: Daemon) -> None:
    """A line of the table for each credential: ten rotations, and all that came before the last proven dead."""

    def turn(name: str) -> None:
        for _ in range(ROTATIONS):
            again(stage, daemon, name)

    seen = watched(stage.journey, {name: stage.use(name) for name in stage.offer.names if name != "family"}, turn)
    assert daemon.process.poll() is None, daemon.last_words()
    for name, uses in seen.items():
        stage.journey.chapter(f"rotated: {name}", partial(judgement, stage, daemon, name, uses))


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
    cuts, found = name in GRANTS and stage.offer.ends, stage.journey.figures
    found.rotated(len(uses.seen) - 1, uses.count, uses.refused, uses.gap, told=cuts and uses.beyond <= 0.0)
    said = judged(daemon, name, uses, cuts=cuts)
    if KINDS.get(name) == "client-assertion":
        return f"{said}; they end by their date"
    left = list(uses.old)

    def ended() -> bool:
        left[:] = [each for each in left if not stage.dead(name, each)]
        return not left

    with suppress(TimeoutError):
        until(f"all {len(uses.old)} to end", ended, 60.0, 0.5)
    dead = len(uses.old) - len(left)
    found.shown(len(uses.old), dead)
    assert not left, f"{said}; {dead} of {len(uses.old)} dead"
    return f"{said}; {dead} shown dead"


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
    stage.journey.figures.leaks[name] = ended[0]
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


def family(stage: Stage, daemon: Daemon) -> str:
    """A server that ends a consent with any of its tokens: told, made good by a person, and not asked again."""

    def heard(event: str) -> list[dict[str, Any]]:
        return daemon.heard(event, credential="family")

    asked = len(heard("person.awaited"))
    daemon.begin("family")
    until("a person to be asked", lambda: heard("person.awaited")[asked:], PATIENCE, 0.2)
    said = heard("predecessor.retired")[-1]["said"]
    assert "ended the published value" in said, said
    before = stage.journey.published("family")
    stage.help("family")
    daemon.begin("family")
    until("the next one", lambda: stage.journey.published("family") > before, PATIENCE, 0.2)
    again(stage, daemon, "family")
    until("its predecessor to be left", lambda: heard("predecessor.left"), PATIENCE, 0.2)
    stage.works("family")
    return f"{said[-150:]}; a person; then {heard('predecessor.left')[-1]['said'][-120:]}"


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

            chapter("offered", partial(offered, stage))
            if only in "rotations":
                rotations(stage, daemon)
            with_the_daemon(stage, daemon, chapter)
            journey.kill(daemon)
            for title, (name, change, words) in MISTAKES.items():
                if name in stage.clients and ("leeway" not in title or "leeway" in server.target):
                    chapter(f"check: {title}", partial(mistaken, stage, name, change, words))
            with ThreadPoolExecutor(1) as beside:
                lying = beside.submit(lies, stage, chapter)
                if only in "kills":
                    kills(stage)
                lying.result()
            return verdict(stage, whole=not only)


Chapter = Callable[[str, Callable[[], str]], None]


def with_the_daemon(stage: Stage, daemon: Daemon, chapter: Chapter) -> None:
    """A daemon is told of leaks; then it loses answers, and is misled."""
    keys = [name for name in stage.named(*LEAKED) if KINDS.get(name) == "assertion-key"]  # they wait for caches

    def leaks(names: Iterable[str]) -> None:
        for name in names:
            chapter(f"leaked: {name}", partial(leak, stage, name))

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(leaks, keys)
        leaks(name for name in stage.named(*LEAKED) if name not in keys)
        waiting.result()
    for title, (name, which) in LOST.items():
        if name in stage.clients:
            chapter(f"lost: the answer {title}", partial(lost, stage, daemon, name, which))
    if "key-url" in stage.clients and stage.offer.jwks_cache <= 5:  # of Keycloak's own waits none is left for it
        chapter("a key that is not known yet", partial(not_yet_known, stage, daemon))
    if "renewed" in stage.clients:
        chapter("a refresh token shown twice", partial(theft, stage, daemon))
    if "family" in stage.clients:
        chapter("one revoked, all ended: by the server itself", partial(family, stage, daemon))


def verdict(stage: Stage, *, whole: bool) -> int:
    """The exit code. `whole`: no sentence may be left out, but what this server does not have."""
    journey = stage.journey
    code = journey.verdict()
    left = {} if "key-put" in stage.clients else {"lost: the answer of a registration PUT": "no client can, here"}
    left |= {} if "renewed" in stage.clients else {"lost: the answer of a refresh": "a refresh is not tried alone here"}
    sound, lines = sentences(journey.told, journey.figures, left)
    say("\n".join(lines))
    return code or int(whole and not sound)
