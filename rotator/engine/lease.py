"""Leases: which process works on a record. Safety comes from check-and-set; a lease only avoids conflicts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from rotator.ports import Entry, Lease

TAKE_OVER = 1.25  # of the ttl: a record without a new version for so long, by our monotonic clock, is taken over
RENEW = 0.6  # of the ttl since we sent our last acknowledged write: the lease is renewed
LEAVE = 0.75  # of the ttl since then: no request is sent any more, as it might take effect after a take-over


def standing(entry: Entry, now: datetime, has_ended: Callable[[str], bool]) -> str:
    """The holder of the lease and what it waits for, in words for displays; empty if nobody has it."""
    lease = entry.lease
    if not lease.holder:
        return ""
    if has_ended(lease.lock):
        return f"left by {lease.holder}, which has ended; whoever looks at it next goes on at once"
    wait = timedelta(seconds=lease.ttl * TAKE_OVER)
    followed = f"should it have ended, others go on once they have seen no sign of it for {wait.total_seconds():.0f} s"
    if entry.written_at is None:
        return f"worked on by {lease.holder}; {followed}"
    age = max(0.0, (now - entry.written_at).total_seconds())
    when = f"from {entry.written_at + wait:%F %T}Z on"
    return f"worked on by {lease.holder}, last sign {age:.0f} s ago; {followed}, {when}"


@dataclass(slots=True)
class Leases:
    """The leases as one process sees them. `ttl` in seconds; `monotonic`: the process's own clock.

    The time for which a record is known unchanged counts from the first look at it.
    """

    holder: str
    ttl: float
    monotonic: Callable[[], float]
    lock: str = ""  # the name in our leases, see host/process.py
    has_ended: Callable[[str], bool] = lambda lock: False  # whether the process with that lock has provably ended
    _seen: dict[str, tuple[tuple[str, int], float]] = field(default_factory=dict)
    _acked: dict[str, float] = field(default_factory=dict)

    def blocked(self, entry: Entry) -> float | None:
        """Seconds until the record may be taken over from its holder; None: we may work on it now.

        A holder that has provably ended is followed at once. Its last request may still take effect; the record waits
        for that, see `Reconciler.taken_up`.
        """
        known = self.known(entry)
        if entry.lease.holder in ("", self.holder) or self.has_ended(entry.lease.lock):
            return None
        left = entry.lease.ttl * TAKE_OVER - known
        return left if left > 0 else None

    def known(self, entry: Entry) -> float:
        """The seconds for which we have known the record unchanged, by our monotonic clock."""
        lineage = entry.record.lineage if entry.record else ""  # after a lost journal the versions begin at 1 again
        state, now = (lineage, entry.version), self.monotonic()
        seen, since = self._seen.get(entry.name, (None, now))
        if seen != state:
            since = now
            self._seen[entry.name] = (state, since)
        return now - since

    def needs_write(self, entry: Entry) -> bool:
        """Whether the lease must be claimed or renewed before the next effect."""
        acked = self._acked.get(entry.name)
        return entry.lease.holder != self.holder or acked is None or self.monotonic() - acked > self.ttl * RENEW

    def lapses(self, entry: Entry) -> float:
        """The monotonic time after which no request may be sent to a target."""
        return self._acked.get(entry.name, self.monotonic()) + self.ttl * LEAVE

    def stamp(self, entry: Entry, *, release: bool = False) -> Lease:
        """The lease to write next."""
        holder, lock = ("", "") if release else (self.holder, self.lock)
        return replace(entry.lease, holder=holder, seq=entry.lease.seq + 1, ttl=self.ttl, lock=lock)

    def acknowledged(self, entry: Entry, sent: float | None = None) -> None:
        """Note that our write was answered. Others may have seen it since it was `sent` (None: now)."""
        self._acked[entry.name] = self.monotonic() if sent is None else sent

    def forget(self, name: str) -> None:
        """Forget a credential that left the settings."""
        self._seen.pop(name, None)
        self._acked.pop(name, None)
