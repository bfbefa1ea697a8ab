"""Which of several daemons looks at a credential first. Any other may look too, later: leases alone keep order."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

_SILENT = 1.25  # of the time between two heartbeats, and the slack: a daemon that is silent for longer has ended
_SLACK = timedelta(seconds=5)  # a beat may be late, and Vault tells whole seconds


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A daemon's last heartbeat. `at`: when Vault wrote it, by Vault's clock. `in_flight`: what it worked on then."""

    instance: str
    at: datetime
    in_flight: tuple[str, ...] = ()
    only_looks: bool = False
    holder: str = ""  # of the leases that it takes
    credentials: str = ""  # `names_digest` of those that it looks after


def names_digest(names: Iterable[str]) -> str:
    """The same for daemons whose settings name the same credentials: only these can leave work to each other."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:16]


def living(beats: Iterable[Heartbeat], now: datetime, every: timedelta) -> frozenset[str]:
    """The instances that beat lately and may act. `now`: Vault's clock; `every`: between two beats of one daemon."""
    return frozenset(
        each.instance for each in beats if not each.only_looks and now - each.at <= every * _SILENT + _SLACK
    )


def first_replica(name: str, replicas: Collection[str]) -> str:
    """The replica that looks at the credential first; the same for all who ask. Empty: there is none.

    Rendezvous hashing: when a replica comes or goes, only the names change that it has or had.
    """
    return max(replicas, key=lambda each: (_weight(each, name), each), default="")


@lru_cache(maxsize=1000)
def _key(replica: str) -> bytes:
    return hashlib.sha256(replica.encode()).digest()


def _weight(replica: str, name: str) -> bytes:
    return hashlib.blake2b(name.encode(), key=_key(replica), digest_size=8).digest()
