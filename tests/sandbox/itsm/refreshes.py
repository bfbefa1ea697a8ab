"""Refresh tokens: each belongs to a family, which begins with an authorisation and may end with a theft.

Who gets an access token for one is left to `token_endpoint`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from tests.sandbox.itsm.applications import digest
from tests.sandbox.itsm.refusals import oauth
from tests.sandbox.itsm.rules import Rules


@dataclass(slots=True)
class _Refresh:
    """One refresh token. `spent`: when it was first used, of the kind that is used once."""

    client_id: str
    family: int
    scopes: frozenset[str]
    spent: datetime | None = None


class Refreshes:
    """The refresh tokens that were issued, kept as digests."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        """The leeway is judged by `clock`."""
        self._clock = clock
        self._issued: dict[str, _Refresh] = {}
        self._families = 0
        self.ended: set[int] = set()  # families in which a spent one turned up

    def issue(self, client_id: str, scopes: frozenset[str], family: int | None = None, value: str = "") -> str:
        """A new refresh token's value; without a family it begins one, as a person's authorisation does. Given a value,
        it is that."""
        if family is None:
            self._families += 1
            family = self._families
        value = value or secrets.token_urlsafe(32)
        self._issued[digest(value)] = _Refresh(client_id, family, scopes)
        return value

    def redeem(self, value: str, client_id: str, rules: Rules) -> tuple[frozenset[str], str]:
        """Its scopes, and the next refresh token or nothing. Raises Refusal (invalid_grant)."""
        known = self._issued.get(digest(value))
        if known is None or known.client_id != client_id or known.family in self.ended:
            raise oauth("invalid_grant", "The refresh token is invalid")
        if not rules.rotates_refresh:
            return known.scopes, ""
        now = self._clock()
        if known.spent and (now - known.spent).total_seconds() >= rules.refresh_leeway:
            if rules.ends_family:
                self.ended.add(known.family)
            raise oauth("invalid_grant", "The refresh token was used before")
        known.spent = known.spent or now
        return known.scopes, self.issue(client_id, known.scopes, known.family)

    def takes(self, value: str) -> bool:
        """Whether this one would still be taken by a server without a leeway."""
        known = self._issued.get(digest(value))
        return bool(known and not known.spent and known.family not in self.ended)
