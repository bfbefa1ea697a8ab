"""An independent consumer: it reads its secrets from Vault with a read-only login and uses them on their targets.

It knows nothing of rotations. What it saw is counted here; the judgement is proof.py's.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rotator.rotation.secret import Secret
from tests.sandbox.demo.cast import ONE_SLOT
from tests.sandbox.environment import World
from tests.sandbox.openbao import OpenBaoError

_POLICY = 'path "{mount}/data/apps/*" {{ capabilities = ["read"] }}'
_PAUSE, _SHORT_PAUSE = 0.1, 0.01  # seconds


class Consumer:
    """Reads each consumer path in turn, some ten times a second, and uses what it finds on the target.

    `refused` counts values that were refused while they were still the newest on their path; `unread` counts reads
    that Vault did not answer with a value. A refused value that was replaced meanwhile is read again, as any
    consumer would do, and does not count as a probe. `cut_off` holds the times at which the value with one slot was
    refused: those cannot be avoided, and count by themselves.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.probes = self.refused = self.unread = 0
        self.cut_off: list[float] = []
        self._only = ""
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

    @contextmanager
    def closely(self, name: str) -> Iterator[None]:
        """Use this one only, a hundred times a second at best."""
        self._only = name
        try:
            yield
        finally:
            self._only = ""

    @property
    def apart(self) -> float:
        """Seconds from the first to the last refusal of the value with one slot."""
        return self.cut_off[-1] - self.cut_off[0] if self.cut_off else 0.0

    def _consume(self) -> None:
        for name in itertools.cycle(self._world.credentials):
            if self._stop.is_set():
                return
            self._probe(self._only or name)
            time.sleep(_SHORT_PAUSE if self._only else _PAUSE)

    def _probe(self, name: str) -> None:
        try:
            version, published = self._read(name)
            accepted, at = self._world.answers(published) == 200, time.monotonic()
            if not accepted and self._read(name)[0] != version:
                return
        except (OpenBaoError, KeyError, OSError):
            self.unread += 1
            return
        self.probes += 1
        if not accepted and name == ONE_SLOT:
            self.cut_off.append(at)
        elif not accepted:
            self.refused += 1

    def _read(self, name: str) -> tuple[int, dict[str, Any]]:
        place = f"{self._world.mount}/data/{self._world.credentials[name]['path']}"
        document = self._world.bao.call("GET", place, token=self._token)["data"]
        return document["metadata"]["version"], document["data"]
