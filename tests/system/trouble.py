"""What goes wrong on the wire between rotators and servers, drawn from a seed; proxies carry it out."""

from __future__ import annotations

import random
import threading
from collections import Counter

from tests.system.proxy import Call, Loss, Side

# One call in seven to Halo or to the desk goes wrong, one in thirty to Vault.
LONGEST_DELAY = 3.0  # seconds until a late request lands
_HALO = (Side.BEFORE, Side.BEFORE, Side.AFTER, Side.AFTER, Side.LATE, 429, 503)
_VAULT = (Side.BEFORE, Side.AFTER, Side.LATE)
_ODDS = {"halo": (1 / 7, _HALO), "desk": (1 / 7, _HALO), "vault": (1 / 30, _VAULT)}


class Trouble:
    """What goes wrong on the wire. Quiet: nothing any more."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(f"{seed}/wire")
        self._lock = threading.Lock()
        self.quiet = False
        self.done: Counter[str] = Counter()

    def judge(self, call: Call) -> Loss | None:
        """See `proxy.Judge`."""
        odds, kinds = _ODDS[call.edge]
        with self._lock:
            if self.quiet or self._random.random() > odds:
                return None
            kind = self._random.choice(kinds)
            self.done[f"{call.edge} {kind}"] += 1
            delay = self._random.uniform(0.3, LONGEST_DELAY)
        return Loss(status=kind) if isinstance(kind, int) else Loss(kind, delay=delay)
