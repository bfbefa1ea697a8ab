"""Who may work on a record: claim, renew, release, observe. Safety is check-and-set's, not the lease's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from rotator.ports import Entry, Lease

TAKE_OVER = 1.25  # times the ttl without a new version, on our own monotonic clock
RENEW = 0.6  # times the ttl since we sent our last acknowledged write
LEAVE = 0.75  # the same: a request that leaves later might have its effect after others have taken over


def standing(entry: Entry, now: datetime, has_ended: Callable[[str], bool]) -> str:
    """Who has the record, and what is waited for, in words for people who only look; "" when nobody has it."""
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
    """One actor's view of all leases. `ttl` in seconds; `monotonic` is the actor's own clock.

    How long a record is known as it is counts from the first look at it.
    """

    holder: str
    ttl: float
    monotonic: Callable[[], float]
    lock: str = ""  # what our leases carry
    has_ended: Callable[[str], bool] = lambda lock: False  # whether the holder of a lock is proven to have ended
    _seen: dict[str, tuple[tuple[str, int], float]] = field(default_factory=dict)
    _acked: dict[str, float] = field(default_factory=dict)

    def blocked(self, entry: Entry) -> float | None:
        """Seconds until the record may be taken over from its holder; None when it may be worked on now.

        A holder that is proven to have ended has nothing to lose. What its last request may still do is no matter of
        the lease: the record waits for that, see `Reconciler.taken_up`.
        """
        known = self.known(entry)
        if entry.lease.holder in ("", self.holder) or self.has_ended(entry.lease.lock):
            return None
        left = entry.lease.ttl * TAKE_OVER - known
        return left if left > 0 else None

    def known(self, entry: Entry) -> float:
        """For how many seconds we have known the record as it is, by our own monotonic clock."""
        lineage = entry.record.lineage if entry.record else ""  # after a lost journal versions begin anew
        state, now = (lineage, entry.version), self.monotonic()
        seen, since = self._seen.get(entry.name, (None, now))
        if seen != state:
            since = now
            self._seen[entry.name] = (state, since)
        return now - since

    def needs_write(self, entry: Entry) -> bool:
        """Whether the lease must be claimed or renewed before an effect."""
        acked = self._acked.get(entry.name)
        return entry.lease.holder != self.holder or acked is None or self.monotonic() - acked > self.ttl * RENEW

    def lapses(self, entry: Entry) -> float:
        """Our monotonic time after which a request that nothing at the target fences may no longer leave."""
        return self._acked.get(entry.name, self.monotonic()) + self.ttl * LEAVE

    def stamp(self, entry: Entry, *, release: bool = False) -> Lease:
        """The lease to write next."""
        holder, lock = ("", "") if release else (self.holder, self.lock)
        return replace(entry.lease, holder=holder, seq=entry.lease.seq + 1, ttl=self.ttl, lock=lock)

    def acknowledged(self, entry: Entry, sent: float | None = None) -> None:
        """A write of ours was answered. Others may have seen it since it was `sent` (None: just now)."""
        self._acked[entry.name] = self.monotonic() if sent is None else sent

    def forget(self, name: str) -> None:
        """Drop what we know of a credential that left the settings."""
        self._seen.pop(name, None)
        self._acked.pop(name, None)
