"""Owns an independent consumer: it reads its secrets from Vault with a read-only login and uses them on Halo.

It knows nothing of rotations. What it saw is counted here; the judgement is proof.py's.
"""

from __future__ import annotations

import itertools
import threading
import time

from rotator.rotation.secret import Secret
from rotator.sandbox.openbao import OpenBaoError
from rotator.sandbox.world import World

_POLICY = 'path "{mount}/data/apps/*" {{ capabilities = ["read"] }}'
_PAUSE = 0.1  # seconds


class Consumer:
    """Reads each consumer path in turn, some ten times a second, and calls Halo with what it finds.

    `refused` counts values that Halo refused while they were still the newest on their path; `unread` counts reads
    that Vault did not answer with a value. A refused value that was replaced meanwhile is read again, as any
    consumer would do, and does not count as a probe.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.probes = self.refused = self.unread = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._consume, daemon=True)
        login = world.bao.approle("consumer", _POLICY.format(mount=world.mount))
        answer = world.bao.call("POST", "auth/approle/login", {"role_id": login.role_id, "secret_id": login.secret_id})
        self._token = Secret(answer["auth"]["client_token"])

    def start(self) -> None:
        """Begin, once every path holds a value."""
        self._thread.start()

    def stop(self) -> None:
        """End; returns when the last probe is over."""
        self._stop.set()
        if self._thread.ident:
            self._thread.join(15)

    def _consume(self) -> None:
        for name in itertools.cycle(self._world.credentials):
            if self._stop.is_set():
                return
            self._probe(name)
            time.sleep(_PAUSE)

    def _probe(self, name: str) -> None:
        try:
            value = self._read(name)
            accepted = self._world.halo.accepts(value)
            if not accepted and not self._read(name).matches(value):
                return
        except (OpenBaoError, KeyError, OSError):
            self.unread += 1
            return
        self.probes += 1
        self.refused += not accepted

    def _read(self, name: str) -> Secret:
        place = f"{self._world.mount}/data/{self._world.credentials[name]['path']}"
        return Secret(self._world.bao.call("GET", place, token=self._token)["data"]["data"]["token"])
