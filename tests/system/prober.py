"""Owns the consumers' view: it reads each consumer path and uses the value, twenty times a second, past every proxy.

A value that was replaced between the reading and the use may be dead: so a refusal counts only when the path still
holds the same version afterwards.
"""

from __future__ import annotations

import json
import threading
import time
from http.client import HTTPConnection, HTTPException
from typing import Self
from urllib.parse import urlsplit

from rotator.rotation.secret import Secret
from rotator.sandbox.world import World
from tests.system.truth import PATS

RATE = 20.0  # per second and name


class Prober:
    """A consumer of every name it is told of. `violations` says what no consumer should have met."""

    def __init__(self, world: World) -> None:
        world.bao.call("PUT", "sys/policies/acl/consumer", {"policy": _policy(world.mount)})
        made = world.bao.call("POST", "auth/token/create", {"policies": ["consumer"], "no_default_policy": True})
        self._token = Secret(made["auth"]["client_token"])
        self._vault = _Wire(world.bao.address)
        self._halo = _Wire(world.halo.url)
        self._world = world
        self._due: dict[str, float] = {}
        self._published: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self.probes = self.superseded = 0
        self.violations: list[str] = []
        self.values: set[str] = set()  # every value that was ever seen: canaries for the search through the logs

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)
        self._vault.close()
        self._halo.close()

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
                    self._due[name] = max(due + 1 / RATE, now)
                    self._guarded(name)
            self._stop.wait(max(0.0, 0.2 / RATE - (time.monotonic() - now)))

    def _guarded(self, name: str) -> None:
        try:
            self._probe(name)
        except (OSError, HTTPException) as fault:
            self.violations.append(f"{name}: a server was out of reach of consumers: {type(fault).__name__}")

    def _probe(self, name: str) -> None:
        status, version, document = self._read(name)
        if status == 404 and name not in self._published:
            return
        self._published.add(name)
        self.probes += 1
        if status != 200:
            self.violations.append(f"{name}: the consumer path was answered {status}")
            return
        self.values.add(document["token"])
        bearer = {"Authorization": f"Bearer {document['token']}", "Accept": "application/json"}
        answered, _ = self._halo.get(f"{PATS}/{document['provider_id']}", bearer)
        if answered == 200:
            return
        if self._read(name)[1] != version:
            self.superseded += 1
        else:
            self.violations.append(f"{name}: version {version}, {document['provider_id']}, was answered {answered}")

    def _read(self, name: str) -> tuple[int, int, dict[str, str]]:
        place = f"/v1/{self._world.mount}/data/{self._world.credentials[name]['path']}"
        status, body = self._vault.get(place, {"X-Vault-Token": self._token.reveal()})
        if status != 200:
            return status, 0, {}
        content = json.loads(body)["data"]
        return status, content["metadata"]["version"], content["data"]


class _Wire:
    """A connection that is kept, and opened anew after a fault."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = HTTPConnection(parts.hostname or "", parts.port, timeout=10)

    def get(self, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        try:
            self._connection.request("GET", path, headers=headers)
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (OSError, HTTPException):
            self.close()
            raise

    def close(self) -> None:
        self._connection.close()


def _policy(mount: str) -> str:
    return f'path "{mount}/data/apps/*" {{ capabilities = ["read"] }}'
