"""People at a shell on an ordinary day: what they type, how they go away, and what may come of it."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.sandbox.openbao import OpenBaoError
from tests.system.truth import journal, living

if TYPE_CHECKING:
    from tests.system.day import Day

PATIENCE = 60.0  # seconds for one command
CODES = {0, 1, 2, 3, 4, 5, 75, 78}
_PROPOSED = re.compile(r"rotate ((?:strays --reap(?: --unclaimed)? [\w.-]+)|(?:(?:revoke|release|adopt) [\w.-]+))")


@dataclass(frozen=True)
class Command:
    """A command that ended: `how` its output went, what it said, and its code."""

    words: tuple[str, ...]
    how: str
    code: int
    said: str


@dataclass
class People:
    """All who type on this day. Each is a thread of their own."""

    work: Day

    def type(self, *words: str, how: str = "") -> Command:
        """Type a command. `how`: `close` after a line, `full` disk, `kill` half-way, or to its end."""
        path = self.work.path if how != "alone" else self.work.lone
        began, away = time.monotonic(), self.work.away
        name = Path("/dev/full") if how == "full" else self.work.world.folder / f"said-{threading.get_ident()}"
        if how == "close":
            reading, writing = os.pipe()
            os.close(reading)
            out = os.fdopen(writing, "wb")
        else:
            out = name.open("wb")
        with out:
            process = self.work.nursery.child("rotator", "-c", str(path), *words, output=out)
        try:
            process.wait(0.7 if how == "kill" else PATIENCE)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait(10)
            if how != "kill":
                self.work.errors.append(f"rotate {' '.join(words)} did not end within {PATIENCE:g} s")
        said = "" if how in ("close", "full") else name.read_text()
        done = Command(words, how, process.returncode or 0, said)
        self.work.counts[f"rotate {words[0]}"] += 1
        self.judge(done, self.work.broken > began, self.work.away != away)
        return done

    def judge(self, done: Command, broken: bool, away: bool) -> None:
        """Whether this end of a command is one that people may meet."""
        line = f"rotate {' '.join(done.words)} [{done.how}] ended with {done.code}"
        fine = CODES | ({-9} if done.how == "kill" else set())
        if done.code not in fine or (done.code == 78 and not broken):
            self.work.errors.append(f"{line}: {done.said[-600:]}")
        gone = "is no stray" in done.said  # it was one when that was proposed, and settings have changed since
        if done.code == 2 and not {"nobody", "x=y"} & set(done.words) and not gone:
            self.work.errors.append(f"{line}: {done.said[-600:]}")
        if "Traceback" in done.said or "bug" in done.said:
            self.work.errors.append(f"{line} with a trace: {done.said[-600:]}")
        if any(value in done.said for value in self.work.prober.values.copy()):
            self.work.errors.append(f"{line} and shows a secret")

    def person(self, seed: float) -> None:
        """Somebody at a shell all day."""
        chance = random.Random(seed)
        deeds = [self.asks, self.asks, self.ends, self.pauses, self.looks, self.looks, self.tidy, self.errs, self.leave]
        while not self.work.over.wait(chance.uniform(0.1, 0.7)):
            with suppress(OpenBaoError):  # Vault is away, and we cannot know either
                chance.choice(deeds)(chance)

    def ending(self, chance: random.Random) -> str:
        """How a command's output goes."""
        return chance.choice(("", "", "", "kill", "alone", "close", "full"))

    def name(self, chance: random.Random) -> str:
        """One that is always there."""
        return chance.choice(("day-1", "day-4", "day-key"))

    def number(self, name: str) -> int:
        """The rotation that published what is published."""
        return int(journal(self.work.world, name).get("current", {}).get("rotation", 0))

    def asks(self, chance: random.Random) -> None:
        """`rotate now`: done means a new value."""
        name, how = self.name(chance), self.ending(chance)
        more = [flag for flag in ("--wait", "--emergency", "--json") if chance.random() < 0.3]
        before = self.number(name)
        away = self.work.away
        self.forgive(name, urgent="--emergency" in more)
        done = self.type("now", name, *more, "--within", chance.choice(("4s", "20s")), how=how)
        self.forgive(name, urgent="--emergency" in more)
        after = self.number(name)
        if done.code == 0 and not how and away == self.work.away and after <= before:
            self.work.errors.append(f"rotate now {name} said done at rotation {before}, and it is {after}")

    def ends(self, chance: random.Random) -> None:
        """`rotate revoke`: done means that what lived is dead; anything else must come to that."""
        name, how = chance.choice(("day-1", "day-4")), self.ending(chance)
        record = journal(self.work.world, name)
        stem = record.get("stem", "")
        published = {record[each]["token"]["id"] for each in ("current", "predecessor") if each in record}
        lived = published & set(living(self.work.world, stem)) if stem else set()  # not what was about to be published
        self.forgive(name, urgent=True)
        done = self.type("revoke", name, "--within", chance.choice(("4s", "20s")), how=how)
        self.forgive(name, urgent=True)
        left = lived & set(living(self.work.world, stem)) if stem else set()
        if done.code == 0 and not how and left:
            self.work.errors.append(f"rotate revoke {name} said done, and {sorted(left)} live")
        if done.code == 75 and not how:
            self.work.doomed.setdefault(name, set()).update(lived)

    def pauses(self, chance: random.Random) -> None:
        """`rotate pause`, a while, `rotate resume`: nothing begins in between."""
        name = self.name(chance)
        done = self.type("pause", name, "--reason", "a change is under way", how=self.ending(chance))
        record = journal(self.work.world, name)
        if done.code == 0 and not done.how and record.get("phase") == "settled" and record.get("paused"):
            with self.work.lock:
                self.work.paused[name] = int(record["rotation"])
            self.work.over.wait(chance.uniform(1.0, 4.0))
            now = int(journal(self.work.world, name).get("rotation", 0))
            if self.work.paused.pop(name, now) != now:
                self.work.errors.append(f"{name} was rotated although its pause was acknowledged")
        self.forgive(name, urgent=True)  # another's pause, which this ends
        until_resumed = 5
        while self.type("resume", name).code == 75 and until_resumed:
            until_resumed -= 1
        self.forgive(name, urgent=True)

    def forgive(self, name: str, *, urgent: bool) -> None:
        """Somebody else asked for what a pause lets through."""
        if urgent:
            self.work.paused.pop(name, None)

    def looks(self, chance: random.Random) -> None:
        """Every verb that changes nothing; what `status` calls well is well."""
        name, how = self.name(chance), self.ending(chance)
        words = chance.choice(
            (("explain", name), ("history", name), ("plan",), ("check",), ("unused", "--older", "0h"))
        )
        self.type(*words, how=how)
        away, began = self.work.away, time.monotonic()
        before = journal(self.work.world, name)
        done = self.type("status", "--json")
        if done.code in (0, 3) and self.work.away == away and self.work.broken < began:
            self.believe(name, before, json.loads(done.said))

    def believe(self, name: str, before: dict[str, Any], rows: list[dict[str, Any]]) -> None:
        """W2: what was said of one credential, against the servers; unless something happened meanwhile."""
        said = next((row for row in rows if row["name"] == name), None)
        after = journal(self.work.world, name)
        if said is None or before.get("phase") != "settled" or before.get("rotation") != after.get("rotation"):
            return
        if after.get("phase") != "settled" or said["phase"] != "settled" or said["exit"]:
            return
        try:
            document = self.work.world.bao.call(
                "GET", f"{self.work.world.mount}/data/{self.work.world.credentials[name]['path']}"
            )
        except OpenBaoError:
            return
        held = document["data"]["data"].get("provider_id")
        current = after["current"]["token"]["id"]
        if held != current and name in self.work.prober._due:
            self.work.errors.append(f"status calls {name} settled; the path holds {held}, the journal says {current}")

    def tidy(self, chance: random.Random) -> None:
        """W3: what `strays`, `unused` and `status` propose is typed, and confirmed."""
        said = "".join(self.type(*words).said for words in (("unused", "--older", "0h"), ("strays",), ("status",)))
        for proposal in sorted(set(_PROPOSED.findall(said))):
            words = proposal.split()
            self.work.counts["typed as proposed"] += 1
            began = time.monotonic()
            done = self.type(*words, *(["--yes"] if words[0] == "strays" else []))
            if "--unclaimed" in words and done.code == 0:
                self.work.unclaimed(words[-1], began)

    def errs(self, chance: random.Random) -> None:
        """What cannot be meant ends with 2 and changes nothing."""
        wrong: tuple[tuple[str, ...], ...] = (
            *(("now", "nobody"), ("pause", "nobody"), ("status", "nobody")),
            *(("now", "day-1", "--label", "x=y"), ("revoke", "nobody")),
        )
        words = chance.choice(wrong)
        done = self.type(*words)
        if done.code not in (2, 78, 75):
            self.work.errors.append(f"rotate {' '.join(words)} ended with {done.code}: {done.said[-300:]}")

    def leave(self, chance: random.Random) -> None:
        """Ask over the socket, and go away before the answer: at once, half-closed, unread, reset."""
        verb = chance.choice(("now", "pause", "resume", "undo", "adopt", "reload", "status"))
        name = self.name(chance)
        self.forgive(name, urgent=verb in ("resume", "undo", "adopt"))
        request = {"verb": verb, "names": [name], "within": "5s", "by": "test"}
        with suppress(OSError), socket.socket(socket.AF_UNIX) as wire:
            wire.settimeout(2)
            wire.connect(str(self.work.daemon.socket))
            wire.sendall(json.dumps(request).encode() + b"\n")
            if (how := chance.choice(("close", "half", "unread"))) == "half":
                wire.shutdown(socket.SHUT_WR)
            if how != "close":
                self.work.over.wait(1.0)
        self.work.counts["callers gone"] += 1
