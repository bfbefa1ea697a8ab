"""The stored records of personal access tokens and their collection after deletion.

Who may touch a record is left to `model`, the token text to `tokens`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.sandbox.cms.refusals import duplicate_name, server_error

EXPIRY_SKEW = timedelta(seconds=60)
LAST_USED_STEP = timedelta(minutes=1)
# The row's key is a VARCHAR(255); the rest of it is the name.
LONGEST_NAME = 255 - len("/registry/security.halo.run/personalaccesstokens/")


@dataclass(slots=True)
class Record:
    """One token's record. None means that the client never sent the field."""

    name: str
    generate_name: str
    owner: str
    label: str
    token_id: str
    created: datetime
    # Only this, copied into the token, is checked at use; `expires_at` is for show.
    token_expires: int | None = None
    expires_at: datetime | None = None
    description: str | None = None
    roles: list[str] | None = None
    scopes: list[str] | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    finalizers: list[str] | None = None
    revoked: bool = False
    revoked_at: datetime | None = None
    last_used: datetime | None = None
    deleted_at: datetime | None = None
    version: int = 0

    def expired(self, now: datetime) -> bool:
        """Whether the token is refused for its age: 60 s after the moment it carries."""
        return self.token_expires is not None and now - EXPIRY_SKEW > datetime.fromtimestamp(
            self.token_expires, now.tzinfo
        )

    def accepted(self, now: datetime) -> bool:
        """Whether its token authenticates now."""
        return not (self.revoked or self.deleted_at or self.expired(now))

    def note_use(self, now: datetime) -> None:
        """Remember the use, at most once a minute."""
        if self.last_used is None or now - self.last_used >= LAST_USED_STEP:
            self.last_used = now
            self.version += 1


class Records:
    """All records of the site, by name."""

    def __init__(self, clock: Callable[[], datetime], collect_after: timedelta) -> None:
        """Deleted records vanish `collect_after` their first deletion."""
        self._clock = clock
        self._collect_after = collect_after
        self._by_name: dict[str, Record] = {}
        self._doomed: deque[tuple[datetime, Record]] = deque()

    def get(self, name: str) -> Record | None:
        """A record, the deleting ones included."""
        self._collect()
        return self._by_name.get(name)

    def all(self) -> list[Record]:
        """Newest first, then by name."""
        self._collect()
        return sorted(sorted(self._by_name.values(), key=lambda r: r.name), key=lambda r: r.created, reverse=True)

    def add(self, record: Record) -> None:
        """Store a new record. Raises Refused: 400 for a taken name, 500 for one that does not fit."""
        if self.get(record.name):
            raise duplicate_name()
        if len(record.name) > LONGEST_NAME:
            raise server_error()
        self._by_name[record.name] = record

    def delete(self, record: Record) -> None:
        """Stamp it deleted; it stays, with its name taken, until collected."""
        now = self._clock()
        if record.deleted_at is None:
            self._doomed.append((now + self._collect_after, record))
        record.deleted_at = now
        record.version += 1

    def _collect(self) -> None:
        now = self._clock()
        while self._doomed and self._doomed[0][0] <= now:
            _, record = self._doomed.popleft()
            # Nobody ever removes a foreign finalizer: such a record hangs in deletion for good.
            if not record.finalizers:
                del self._by_name[record.name]
