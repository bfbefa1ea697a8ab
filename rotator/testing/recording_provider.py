"""A provider that is listened to: every call is counted, what is said is kept, what is minted is remembered.

Whether a secret is among what was said is fault_rules.py's to judge; what a call may be struck by is
kill_campaign.py's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from rotator.ports import Accepted, Capabilities, Inspection, Minted, Outcome, Provider, Rejected, Unknown, Verdict
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret

T = TypeVar("T")


@dataclass
class Memory:
    """What was minted and said, in all suites together."""

    minted: list[Minted] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)  # under which something was to be minted

    def token_of(self, secret: Secret) -> Token | None:
        """The handle of this value, as it was told last."""
        return next((each.token for each in reversed(self.minted) if each.secret.matches(secret)), None)

    def quoted(self, texts: Iterable[str]) -> int:
        """How many of these texts hold a value that was minted, or what is staged beside it."""
        values = [each for made in self.minted for each in (made.secret, *made.private.values(), *_secrets(made))]
        return sum(any(value.reveal() in text for value in values) for text in texts)

    def installed(self, value: Minted, token: Token) -> None:
        """An installation told the handle anew."""
        self.minted.append(replace(value, token=token))


def _secrets(made: Minted) -> list[Secret]:
    return [value for value in made.fields.values() if isinstance(value, Secret)]


def _pass(verb: str) -> None:
    """Nobody strikes."""


@dataclass
class Heard:
    """The Provider port around another. `passed` is told each verb whose answer has come, and may raise."""

    provider: Provider
    memory: Memory
    passed: Callable[[str], None] = _pass

    @property
    def capabilities(self) -> Capabilities:
        """The provider's own."""
        return self.provider.capabilities

    async def mint(self, name: str, expires_at: datetime | None, keep: tuple[Token, ...] = ()) -> Minted:
        """See `Provider.mint`."""

        async def call() -> Minted:
            self.memory.names.append(name)
            made = await self.provider.mint(name, expires_at, keep)
            self.memory.minted.append(made)
            return made

        return await self._call("mint", call())

    async def install(self, minted: Minted) -> Token:
        """See `Provider.install`."""

        async def call() -> Token:
            token = await self.provider.install(minted)
            self.memory.installed(minted, token)
            return token

        return await self._call("install", call())

    async def find(self, prefix: str) -> tuple[Token, ...]:
        """See `Provider.find`."""
        return await self._call("find", self.provider.find(prefix))

    async def verify(self, token: Token, secret: Secret) -> Verdict:
        """See `Provider.verify`."""
        verdict = await self._call("verify", self.provider.verify(token, secret))
        if isinstance(verdict, Rejected | Unknown):
            self.memory.said.append(verdict.reason)
        return verdict

    async def inspect(self, token: Token) -> Inspection:
        """See `Provider.inspect`."""
        return await self._call("inspect", self.provider.inspect(token))

    async def revoke(self, token: Token) -> Outcome:
        """See `Provider.revoke`."""
        return await self._call("revoke", self.provider.revoke(token))

    async def restore(self, token: Token) -> Outcome:
        """See `Provider.restore`."""
        return await self._call("restore", self.provider.restore(token))

    async def is_dead(self, token: Token, secret: Secret | None) -> bool | None:
        """See `Provider.is_dead`."""
        return await self._call("is_dead", self.provider.is_dead(token, secret))

    async def _call(self, verb: str, call: Awaitable[T]) -> T:
        try:
            answer = await call
        except Exception as fault:
            self.memory.said += [str(fault), repr(fault), getattr(fault, "reason", "")]
            self.passed(verb)
            raise
        self.passed(verb)
        return answer


def words(verdict: Verdict) -> str:
    """A verdict in the words of the table."""
    return "accepted" if isinstance(verdict, Accepted) else f"{type(verdict).__name__.lower()}: {verdict.reason}"
