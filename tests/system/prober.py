"""The consumers' view: it reads each consumer path and uses the value, many times a second, past every proxy.

A value that was replaced between the reading and the use may be dead: so a refusal counts only when the path still
holds the same version afterwards. Where a kind has one slot, nor does it count during a cut-over: from the first
refusal until the next value is accepted is a window, which is measured.
"""

from __future__ import annotations

import json
import threading
import time
from http.client import HTTPException
from typing import Self

from rotator.rotation.secret import Secret
from tests.sandbox.environment import World
from tests.system.kinds import ask, kind_of
from tests.system.truth import journal
from tests.system.wire import Wire

CUT_OVER = {"staged", "installed", "verified", "rejected"}  # phases in which the target may hold another value
RATE = 20.0  # per second and name, unless told


class Prober:
    """A consumer of every name it is told of. `violations` says what no consumer should have met."""

    def __init__(self, world: World, rate: float = RATE) -> None:
        world.bao.call("PUT", "sys/policies/acl/consumer", {"policy": _policy(world.mount)})
        made = world.bao.call("POST", "auth/token/create", {"policies": ["consumer"], "no_default_policy": True})
        self._token = Secret(made["auth"]["client_token"])
        self._vault = Wire(world.bao.address)
        self._targets = {"halo": Wire(world.halo.url)}
        if world.desk:
            self._targets["desk"] = Wire(world.desk.url)
        self._world = world
        self._rate = rate
        self._due: dict[str, float] = {}
        self._published: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self.probes = self.superseded = 0
        self.violations: list[str] = []
        self.windows: dict[str, list[float]] = {}  # seconds in which consumers were cut off, by name
        self._cut: dict[str, float] = {}  # since when they are
        self.values: set[str] = set()  # every value that was ever seen: canaries for the search through the logs

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)
        self._vault.close()
        for wire in self._targets.values():
            wire.close()

    def watch(self, *names: str) -> None:
        """Probe these from now on."""
        self._due |= dict.fromkeys(names, 0.0)

    def leave(self, *names: str) -> None:
        """Probe these no more."""
        for name in names:
            self._due.pop(name, None)

    def _work(self) -> None:
        while not self._stop.is_set():
            now = time.monotonic()
            for name, due in tuple(self._due.items()):
                if due <= now and name in self._due:
                    self._due[name] = max(due + 1 / self._rate, now)
                    self._guarded(name)
            self._stop.wait(max(0.0, 0.2 / self._rate - (time.monotonic() - now)))

    def _guarded(self, name: str) -> None:
        try:
            self._probe(name)
        except KeyError as lack:  # somebody's own document; or of a name that is left alone since
            if name in self._due:
                self.violations.append(f"{name}: what is published lacks {lack}")
        except (OSError, HTTPException) as fault:
            self.violations.append(f"{name}: a server was out of reach of consumers: {type(fault).__name__}")

    def _probe(self, name: str) -> None:
        status, version, document = self._read(name)
        if status == 404 and name not in self._published:
            return
        self.probes += 1
        if status != 200:
            self.violations.append(f"{name}: the consumer path was answered {status}")
            return
        self._published.add(name)  # not before: a Vault that is sealed says nothing of what it holds
        kind = kind_of(self._world, name)
        self.values.add(document[kind.document_field])
        began = time.monotonic()
        answered, _ = ask(self._targets[kind.edge], kind.use(self._world.desk, name, document))
        if answered == 200:
            if name in self._cut:
                self.windows.setdefault(name, []).append(time.monotonic() - self._cut.pop(name))
        elif self._read(name)[1] != version:
            self.superseded += 1
        elif not kind.overlap and self._cuts_over(name, version):
            self._cut.setdefault(name, began)
        else:
            self.violations.append(f"{name}: version {version}, {document['provider_id']}, was answered {answered}")

    def _cuts_over(self, name: str, version: int) -> bool:
        """Whether the journal says so, or the cut-over ended while we looked."""
        return journal(self._world, name).get("phase") in CUT_OVER or self._read(name)[1] != version

    def _read(self, name: str) -> tuple[int, int, dict[str, str]]:
        place = f"/v1/{self._world.mount}/data/{self._world.credentials[name]['path']}"
        status, body = self._vault.ask("GET", place, {"X-Vault-Token": self._token.reveal()})
        if status != 200:
            return status, 0, {}
        content = json.loads(body)["data"]
        return status, content["metadata"]["version"], content["data"]


def _policy(mount: str) -> str:
    return f'path "{mount}/data/apps/*" {{ capabilities = ["read"] }}'
