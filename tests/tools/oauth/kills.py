"""Each kind of credential, killed once at every call of a rotation, in processes of its own."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

from tests.system.daemon import until
from tests.system.nursery import shared
from tests.tools.oauth.consumers import Uses, watched
from tests.tools.oauth.journey import PATIENCE, Journey, say
from tests.tools.oauth.relay import Gate, Killed, Relay
from tests.tools.oauth.stage import KINDS, Stage, sort

KILLED = ("basic", "password", "renewed", "asserted", "key-url", "key-put")
ASKING = ("renewed", "key-put")  # what a lost answer may cost a consent, or a registration access token


@dataclass
class Kills:
    """What came of them in one lane."""

    kills: int = 0
    asked: int = 0  # of a person
    longest: float = 0.0  # seconds until it was well again

    def __str__(self) -> str:
        said = f"{self.kills} kills, {self.kills - self.asked} recovered by itself, {self.asked} by a person"
        return f"{said}, at most {self.longest:.1f} s"


class Lane:
    """One credential in processes of its own, whose calls are counted on their way to Vault and to the server."""

    def __init__(self, stage: Stage, name: str) -> None:
        self.stage, self.name, self.gate = stage, name, Gate()
        self.vault = Relay(stage.journey.bao.address, self.gate)
        self.server = Relay(stage.running.upstream, self.gate, dict(stage.running.own))
        self.path = stage.journey.folder / f"lane-{name}.toml"
        self.asked = 0
        journey = stage.journey
        text = json.dumps({"target": journey.targets["site"], "credential": journey.credentials[name]})
        here = json.loads(text.replace(stage.relay.url, self.server.url))
        here["target"] |= {"token_url": f"{self.server.url}{stage.offer.token}"}
        here["target"] |= {"revocation_url": f"{self.server.url}{stage.offer.revocation}"}
        here["target"]["settle"] = "1s"  # dozens of rotations: each wait is short
        if KINDS.get(sort(name)) == "assertion-key":
            here["credential"] |= {"assertion_life": "1s", "retire": {"after": "2s"}}
            here["credential"] |= {"jwks_cache": "2s"} if "jwks" in here["credential"] else {}
        at = journey.targets["site"]
        here["target"] |= {"issuer": at["issuer"]} if "issuer" in at else {}  # each lane has its own address of it
        here["target"] |= {"audience": at.get("audience", f"{stage.relay.url}{stage.offer.token}")}
        journey.write(self.path, self.vault.url, {"site": here["target"]}, {name: here["credential"]}, {})

    def now(self, at: int = 0) -> tuple[int, str]:
        """`rotate now --wait`, killed at a call; its exit code and its words."""
        self.gate.arm(at)
        return self.rotate("now", self.name, "--wait", "--within", "40s")

    def rotate(self, *words: str) -> tuple[int, str]:
        """A command with the settings of this lane; its exit code and its words."""
        return commanded(self.stage.journey, self.path, *words, known=self.gate.names)

    def recover(self) -> float:
        """Until a run ends well; a person helps where one is asked. Seconds."""
        began = time.monotonic()
        for _ in range(5):
            code, said = self.now()
            if code == 0:
                self.stage.works(self.name)
                return time.monotonic() - began
            if "rotate now" in said and sort(self.name) in ASKING:
                self.asked += 1
                self.stage.help(self.name)
        raise AssertionError(f"{self.name} does not recover from {self.gate.last}: {code} {said[-600:]}")

    def kill_at_every_call(self) -> Kills:
        """Of an undisturbed rotation, and of those that a kill brings; the others of its sort take their share."""
        crowd = self.stage.sharing(sort(self.name))
        made, over = Kills(), self.stage.journey.over
        for at in count(1 + crowd.index(self.name), len(crowd)):
            code, said = self.now(at)
            if over.is_set():
                break
            if not self.gate.last:
                assert code == 0, f"{code}: {said[-600:]}"
                break
            made.kills += 1
            if made.kills % 10 == 0:
                say(f"         {self.name}: {made.kills} kills, the last at {self.gate.last}")
            made.longest = max(made.longest, self.recover())
        made.asked = self.asked
        return made

    def close(self) -> None:
        """The addresses that it has."""
        self.vault.close()
        self.server.close()


def commanded(
    journey: Journey, settings: Path, *words: str, known: Callable[[Killed], None] = lambda _: None
) -> tuple[int, str]:
    """A command with these settings; its exit code and its words. `known`: is told who runs it."""
    with tempfile.TemporaryFile() as out:
        child = shared().child("rotator", "-c", str(settings), *words, output=out, errors=out)
        known(child)
        code = child.wait(PATIENCE)
        out.seek(0)
        said = out.read().decode()
    journey.keeps_still(said)
    return code, said


def kills(stage: Stage) -> None:
    """Each kind in a lane of its own, under its consumer."""
    killed = [name for name in KILLED if name != "key-url" or stage.offer.jwks_cache <= 5]  # else half a minute each
    lanes = {each: Lane(stage, each) for name in stage.named(*killed) for each in stage.sharing(name)}
    with ThreadPoolExecutor(len(lanes)) as pool:  # what the daemon published may have ended by its date since
        list(pool.map(Lane.recover, lanes.values()))
    told: dict[str, Kills | Exception] = {}

    def go(name: str) -> None:
        try:
            told[name] = lanes[name].kill_at_every_call()
        except Exception as fault:  # noqa: BLE001 (told in the table)
            told[name] = fault
        finally:
            lanes[name].close()

    seen = watched(stage.journey, {name: stage.use(name) for name in lanes}, go)
    for name, uses in seen.items():
        stage.journey.chapter(f"killed: {name}", partial(survived, stage, name, told[name], uses))


def survived(stage: Stage, name: str, told: Kills | Exception, uses: Uses) -> str:
    assert isinstance(told, Kills), f"{told}; {uses}"
    outside = [each for each in uses.refusals if not _helped(stage.helped.get(name, []), each)]
    if stage.clients[name].grant == "refresh_token":  # what a refresh ends; or a lost one, with the consent
        outside = [] if stage.offer.ends or told.asked else outside
    stage.journey.figures.killed(told.kills, told.asked, uses.count, uses.refused, len(outside), uses.gap)
    assert not outside, f"{told}; {uses}; {len(outside)} of them while nobody helped"
    if KINDS.get(sort(name)) != "client-assertion":
        until("all old ones to end", lambda: all(stage.dead(name, each) for each in uses.old), 60.0, 0.5)
    during = ", refused until a person had helped" if uses.refused and told.asked else ""
    return f"{told}; {uses}{during}"


def _helped(spans: list[tuple[float, float]], use: tuple[float, float]) -> bool:
    """Whether a person was at work on the client while it was used."""
    return any(began <= use[1] and use[0] <= ended for began, ended in spans)
