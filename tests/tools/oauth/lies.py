"""What is said falsely in a real server's name, by a relay before it: told in words, and never believed."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.kit.http_server import Heard, Reply
from tests.tools.oauth.journey import form
from tests.tools.oauth.kills import Lane, commanded
from tests.tools.oauth.relay import Relay
from tests.tools.oauth.server import JSON
from tests.tools.oauth.stage import Stage, sharing

NAME, *OTHERS = sharing("post")  # the credentials of these chapters, which every server has
UNDECIDED, TRIES = 75, 5  # an exit code
FALSE = {"access_token": "from nobody", "token_type": "Bearer", "expires_in": 600}


# --- the discovery document -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lie:
    """`tell`: what becomes of a sound document, given its place and a foreign one; `words`: what is said of it."""

    tell: Callable[[dict[str, Any], str, str], object]
    words: str
    mints: bool = False  # the token endpoint is none of it


def _moved(document: dict[str, Any], endpoint: str, place: str) -> None:
    document[endpoint] = place + urlsplit(document[endpoint]).path


LIES = {
    "another issuer": Lie(lambda told, _, foreign: told.update(issuer=foreign), "it is that of"),
    "http": Lie(
        lambda told, own, _: _moved(told, "token_endpoint", own.replace("https:", "http:")),
        "neither the issuer's place",
    ),
    "a foreign host": Lie(
        lambda told, _, foreign: _moved(told, "token_endpoint", foreign), "neither the issuer's place"
    ),
    "no such endpoint": Lie(lambda told, own, _: told.update(token_endpoint=f"{own}/nowhere"), "404"),
    "no endpoint": Lie(lambda told, *_: told.pop("token_endpoint"), "names no token_endpoint"),
    "a foreign revocation": Lie(
        lambda told, _, foreign: _moved(told, "revocation_endpoint", foreign), "neither the issuer's place", mints=True
    ),
}


class Liar:
    """A relay by TLS that speaks for the issuer, a foreign server, and settings that know the issuer alone."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.relay = Relay(stage.running.upstream, None, dict(stage.running.own), stage.tls.context())
        self.foreign = Relay("", None, {"/": lambda _: (200, FALSE, JSON)}, stage.tls.context())
        self.lie: Lie | None = None
        self.relay.twist = self.answer
        at = stage.journey.targets["site"]
        self.issuer = str(at.get("issuer", stage.relay.url)).replace(stage.relay.url, self.relay.url)
        text = json.dumps({name: each for name, each in at.items() if not name.endswith("_url")})
        target = json.loads(text.replace(stage.relay.url, self.relay.url))
        target |= {"issuer": self.issuer, "ca_file": stage.tls.ca_file, "settle": "1s"}
        self.path = stage.journey.folder / "liar.toml"
        known = {NAME: stage.journey.credentials[NAME]}
        stage.journey.write(self.path, stage.journey.bao.address, {"site": target}, known, {})

    def answer(self, heard: Heard, told: Reply) -> Reply:
        """Where the server has a discovery document, that one, with the relay's place instead of its own."""
        offer, own = self.stage.offer, self.relay.url
        if "/.well-known/" not in heard.target:
            return told
        if "issuer" not in self.stage.journey.targets["site"]:  # it has none
            document = {"token_endpoint": own + offer.token, "revocation_endpoint": own + offer.revocation}
            document["issuer"] = self.issuer
        elif told[0] != 200:
            return told
        else:
            text = told[1].decode().replace(self.stage.relay.url, own)
            document = json.loads(text.replace(f"http{own[5:]}", own))  # oidc-provider: by http, where it was asked
        if self.lie:
            self.lie.tell(document, own, self.foreign.url)
        return 200, document, JSON

    def told(self, lie: Lie | None) -> tuple[int, str]:
        """The exit code of `rotate now`, and what it and `rotate check` say."""
        self.lie = lie
        said = commanded(self.stage.journey, self.path, "check")[1]
        for _ in range(TRIES):  # a busy server leaves it undecided, and then the command is to be typed again
            patience = "5s" if lie else "60s"
            code, more = commanded(self.stage.journey, self.path, "now", NAME, "--wait", "--within", patience)
            if lie or code != UNDECIDED:
                break
        return code, said + more

    def close(self) -> None:
        self.relay.close()
        self.foreign.close()


def lied_to(stage: Stage, lie: Lie) -> str:
    """Nothing is sent where the document points to, and what is published stays; without the lie it goes on."""
    liar, read = Liar(stage), partial(stage.journey.read, NAME)
    try:
        before = read()
        code, said = liar.told(lie)
        found = [line for line in said.splitlines() if lie.words in line and not line.startswith("ok")]
        assert found, f"{code}: {said[-1500:]}"
        assert not liar.foreign.passed, f"{liar.foreign.passed} were sent to the foreign host"
        if not lie.mints:
            assert code, "it ended with 0"
            assert stage.offer.token not in liar.relay.passed, "a request went to the token endpoint"
            assert read() == before, "what is published has changed"
        stage.works(NAME)
        if not lie.mints:
            code, said = liar.told(None)
            assert (code, read() == before) == (0, False), f"without the lie: {code} {said[-600:]}"
        return f"{found[0].partition(': ')[2][-160:]}"
    finally:
        liar.close()


# --- revocations ----------------------------------------------------------------------------------------------------


def unrevoked(stage: Stage, name: str, answer: Reply) -> str:
    """Every revocation is answered so, without effect; and once that is over, the next emergency ends what was left."""
    lane, read = Lane(stage, name), partial(stage.journey.read, name)
    try:
        first = read()
        lane.server.own[stage.offer.revocation] = lambda _: answer
        code, said = lane.rotate("revoke", name)
        second = read()
        asked = lane.server.passed.count(stage.offer.revocation)
        assert code == 1, f"{code}: {said[-900:]}"
        assert "proven dead" not in said.replace("not proven dead yet", ""), said[-900:]
        assert second != first, "nothing else was published"
        assert not stage.dead(name, first), "it is dead"
        lane.server.own.pop(stage.offer.revocation)
        again, more = lane.rotate("revoke", name)
        assert again == 0, f"then {again}: {more[-900:]}"
        assert stage.dead(name, first), "the first one lives on"
        assert stage.dead(name, second), "the second one lives on"
        stage.works(name)
        return f"exit 1 after {asked} revocations: {_last(said)}; then `rotate revoke` ends with 0, both dead"
    finally:
        lane.close()


def together(stage: Stage) -> str:
    """With one token of the client, its others end: noticed, told, made good, and not asked for again."""
    lane, read, granted = Lane(stage, NAME), partial(stage.journey.read, NAME), list[str]()

    def ending(heard: Heard, told: Reply) -> Reply:
        if heard.target == stage.offer.token and told[0] == 200:
            granted.append(json.loads(told[1])["access_token"])
        if heard.target == stage.offer.revocation:
            fields = {name: values[0] for name, values in parse_qs(heard.raw.decode()).items()}
            for each in granted:
                form(f"{stage.running.upstream}{stage.offer.revocation}", {**fields, "token": each})
        return told

    try:
        first = read()
        lane.server.twist = ending
        code, said = lane.now()
        said += lane.rotate("status", NAME)[1]
        assert stage.dead(NAME, first), f"the first one lives on: {code} {said[-600:]}"
        told = [line.strip() for line in said.splitlines() if "published value" in line]
        assert told, said[-900:]
        code, more = lane.now()
        assert code == 0, f"{code}: {more[-600:]}"
        stage.works(NAME)
        lane.server.passed.clear()
        code, more = lane.now()
        assert code == 0, f"{code}: {more[-600:]}"
        assert stage.offer.revocation not in lane.server.passed, "a revocation was asked for again"
        stage.works(NAME)
        left = next((line.strip() for line in more.splitlines() if "ends with it" in line), "")
        assert left, more[-600:]
        return f"{told[-1][-150:]}; a new one; then {left[-150:]}"
    finally:
        lane.close()


def _last(said: str) -> str:
    return said.strip().splitlines()[-1][:200] if said.strip() else ""


def lies(stage: Stage, chapter: Callable[[str, Callable[[], str]], None]) -> None:
    """All of these chapters. A revocation is given up after minutes only, so they do not wait for each other."""
    answers: dict[str, Reply] = {"answered 200, none made": (200, b"", {})}
    answers |= {"refused": (403, {"error": "access_denied"}, JSON)}
    with ThreadPoolExecutor(len(answers)) as pool:
        waiting = [
            pool.submit(chapter, f"every revocation {title}", partial(unrevoked, stage, name, answer))
            for name, (title, answer) in zip(OTHERS, answers.items(), strict=True)
        ]
        for title, lie in LIES.items():
            chapter(f"a lie in discovery: {title}", partial(lied_to, stage, lie))
        chapter("one revoked, all ended", partial(together, stage))
        for each in waiting:
            each.result()
