"""What was granted: the scopes there are, and the access tokens, opaque and kept as digests.

Who gets one is left to `token_endpoint`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.sandbox.itsm.applications import digest

_AREAS = (
    *("tickets", "calendar", "customers", "crm", "timesheets", "contracts", "suppliers", "items", "projects", "sales"),
    *("quotes", "sos", "pos", "invoices", "reporting", "software", "softwarelicensing", "kb", "assets"),
)
SCOPES = frozenset(
    {"all", "all:standard", "admin", "offline_access", "editMine:timesheets", "access:chat", "access:adpasswordreset"}
    | {f"{verb}:{area}" for area in _AREAS for verb in ("read", "edit")}
)


@dataclass(frozen=True, slots=True)
class Grant:
    """One access token. Its scopes are frozen into it; none at all means that no call will take it."""

    client_id: str
    scopes: frozenset[str]
    expires_at: datetime
    resources: frozenset[str] = frozenset()  # for whom it is good, where it says so
    bound: str = ""  # x5t#S256 of the certificate without which nobody may present it

    def covers(self, scope: str) -> bool:
        """Whether it may do what needs this scope."""
        return bool(self.scopes & {"all", scope}) or (scope.startswith("read:") and "all:standard" in self.scopes)


class Grants:
    """The access tokens that were issued."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        """Expiry is judged by `clock`."""
        self._clock = clock
        self._issued: dict[str, Grant] = {}

    def issue(
        self,
        client_id: str,
        scopes: frozenset[str],
        life: timedelta,
        resources: frozenset[str] = frozenset(),
        bound: str = "",
    ) -> str:
        """A new token's value: the only time it is seen."""
        value = secrets.token_urlsafe(32)
        self._issued[digest(value)] = Grant(client_id, scopes, self._clock() + life, resources, bound)
        return value

    def find(self, value: str) -> Grant | None:
        """The living grant behind a value."""
        grant = self._issued.get(digest(value))
        return grant if grant and self._clock() < grant.expires_at else None

    def end(self, value: str) -> None:
        """End one token."""
        self._issued.pop(digest(value), None)

    def living(self, client_id: str) -> int:
        """How many tokens of a client live."""
        now = self._clock()
        return sum(grant.client_id == client_id and now < grant.expires_at for grant in self._issued.values())

    def revoke(self, client_id: str) -> None:
        """End every token of a client."""
        self._issued = {key: grant for key, grant in self._issued.items() if grant.client_id != client_id}
