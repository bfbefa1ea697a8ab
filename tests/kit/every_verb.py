"""The Provider port with one way through: every verb is a call by its name."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rotator.ports import Inspection, Minted, Outcome, Verdict
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret


class EveryVerb:
    """What a call does is the heir's."""

    async def call(self, verb: str, *args: Any) -> Any:
        raise NotImplementedError

    async def mint(self, name: str, expires_at: datetime | None, keep: tuple[Token, ...] = ()) -> Minted:
        return await self.call("mint", name, expires_at, keep)

    async def install(self, minted: Minted) -> Token:
        return await self.call("install", minted)

    async def find(self, prefix: str) -> tuple[Token, ...]:
        return await self.call("find", prefix)

    async def verify(self, token: Token, secret: Secret) -> Verdict:
        return await self.call("verify", token, secret)

    async def identify(self, secret: Secret) -> Token:
        return await self.call("identify", secret)

    async def inspect(self, token: Token) -> Inspection:
        return await self.call("inspect", token)

    async def revoke(self, token: Token, secret: Secret | None = None) -> Outcome:
        return await self.call("revoke", token, secret)

    async def restore(self, token: Token) -> Outcome:
        return await self.call("restore", token)

    async def is_dead(self, token: Token, secret: Secret | None) -> bool | None:
        return await self.call("is_dead", token, secret)
