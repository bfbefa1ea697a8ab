"""The half of the Provider port that is the same for all that ends by expiry alone: nothing to find or revoke."""

from __future__ import annotations

from datetime import datetime, timedelta

from rotator.ports import Capabilities, Clock, Inspection, Minted, Outcome, Refused
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret


class Expiring:
    """A kind whose tokens nobody keeps a record of. They die by their own date, and by nothing else."""

    def __init__(self, clock: Clock, leeway: timedelta) -> None:
        """`leeway`: for so long after its expiry a server may still take one."""
        self._clock = clock
        self._leeway = leeway

    @property
    def capabilities(self) -> Capabilities:
        """An expired one is not shown to the server: failed logins may lock the client out."""
        return Capabilities(can_revoke=False, old_is_safe_to_present=False)

    async def install(self, minted: Minted) -> Token:
        """Refused: nothing is kept on the server."""
        raise Refused("nothing is kept on the server")

    async def find(self, prefix: str) -> tuple[Token, ...]:
        """Nothing: no server lists them."""
        return ()

    async def inspect(self, token: Token) -> Inspection:
        """What its own dates say; `expires_at` is when nobody takes it any more."""
        return Inspection(exists=not self._dead(token), expires_at=self._end(token))

    async def revoke(self, token: Token) -> Outcome:
        """ALREADY once it has expired. Raises Refused before that."""
        if self._dead(token):
            return Outcome.ALREADY
        raise Refused("it cannot be revoked, it ends by expiry")

    async def restore(self, token: Token) -> Outcome:
        """Refused, or ALREADY while it lives."""
        if self._dead(token):
            raise Refused("it has expired")
        return Outcome.ALREADY

    async def is_dead(self, token: Token, secret: Secret | None) -> bool | None:
        """By its date and the server's tolerance; None when it has no date."""
        return None if token.expires_at is None else self._dead(token)

    def _dead(self, token: Token) -> bool:
        end = self._end(token)
        return end is not None and end <= self._clock.now()

    def _end(self, token: Token) -> datetime | None:
        return token.expires_at + self._leeway if token.expires_at else None
