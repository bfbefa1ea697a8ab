"""The tools of the rules: verdicts, a provider whose calls are recorded, mint names, values known to the target."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import count
from secrets import token_hex
from typing import TypeVar

from rotator.ports import (
    Accepted,
    Capabilities,
    Clock,
    Fault,
    Inspection,
    Installation,
    Minted,
    NeedsPerson,
    Outcome,
    Provider,
    Rejected,
    Unknown,
    Verdict,
)
from rotator.providers import Kind, Server
from rotator.rotation.credential import Credential
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret
from rotator.rotation.token_names import mint_name, stem

T = TypeVar("T")
LIFE = timedelta(seconds=60)  # of values that the kit mints, where the target accepts a lifetime
TICK = 1.0  # second: so that targets that date by whole seconds see two different times
_LEEWAY = 120.0  # seconds for which a target may accept a token after its date
_LOOKS = 40  # tries for a value that has not settled yet


class RuleVerdict(StrEnum):
    """The outcome of a rule."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"


class BrokenRule(Exception):  # noqa: N818 (what was seen; the rule is broken, not the kit)
    """The provider broke the rule. The text says how, without secrets."""


class NotApplicable(Exception):  # noqa: N818 (no error: there is nothing to try)
    """The rule does not apply to this kind. The text says why."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the verdict table."""

    rule: str
    promise: str
    verdict: RuleVerdict
    text: str
    seconds: float


def must(holds: bool, otherwise: str) -> None:
    """Raise BrokenRule unless the condition holds."""
    if not holds:
        raise BrokenRule(otherwise)


@dataclass
class Memory:
    """Everything that was minted and said in all rules."""

    minted: list[Minted] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)  # used for a mint

    def token_of(self, secret: Secret) -> Token | None:
        """The latest handle of this value."""
        return next((each.token for each in reversed(self.minted) if each.secret.matches(secret)), None)

    def quoted(self, texts: Iterable[str]) -> int:
        """How many of these texts contain a minted value, or what is staged beside it."""
        values = [each for made in self.minted for each in (made.secret, *made.private.values(), *_secrets(made))]
        return sum(any(value.reveal() in text for value in values) for text in texts)

    def installed(self, value: Minted, token: Token) -> None:
        """Record the handle after an installation."""
        self.minted.append(replace(value, token=token))


def _secrets(made: Minted) -> list[Secret]:
    return [value for value in made.fields.values() if isinstance(value, Secret)]


def _pass(verb: str) -> None:
    """Let every call pass."""


@dataclass
class Heard:
    """A provider that records the calls to another. `passed` gets each verb after its answer, and may raise."""

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

    async def revoke(self, token: Token, secret: Secret | None = None) -> Outcome:
        """See `Provider.revoke`."""
        return await self._call("revoke", self.provider.revoke(token, secret))

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


@dataclass(eq=False)
class Kit:
    """One kind on one target. `reopen` opens the target again; `patience`: seconds that a rule may wait for a date;
    `rest`: seconds that the target needs between two rotations."""

    kind: Kind
    credential: Credential
    reopen: Callable[[], Server]
    clock: Clock
    patience: float = math.inf
    rest: float = TICK
    memory: Memory = field(default_factory=Memory)
    installation: Installation = field(default_factory=lambda: Installation(token_hex(4), b"a key of the kit's own"))
    _numbers: count[int] = field(default_factory=lambda: count(1))
    _made: list[Minted] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server = self.reopen()
        self.plain = self.kind.bind(self.server, self.credential)
        self.provider = Heard(self.plain, self.memory)
        self.begins = stem(self.installation.prefix, self.installation.lineage, self.credential.name, "")

    @property
    def can(self) -> Capabilities:
        """The declared capabilities."""
        return self.provider.capabilities

    @property
    def settle(self) -> float:
        """Seconds until a change takes effect everywhere on the target."""
        return max(self.credential.limits.settle, self.credential.limits.spread).total_seconds()

    def stem(self) -> str:
        """The beginning of the mint names of one more credential."""
        return f"{self.begins}{next(self._numbers):06x}"

    def name(self) -> str:
        """A mint name that was never used."""
        return mint_name(self.stem(), 1, 1)

    async def made(self, name: str = "", *keep: Token) -> Minted:
        """A minted value; not yet on the target, if the kind installs."""
        life = min(LIFE, self.credential.lifetime) if self.kind.only_expires and self.credential.lifetime else LIFE
        wants = self.kind.only_expires or self.credential.lifetime is not None
        try:
            made = await self.provider.mint(name or self.name(), self.clock.now() + life if wants else None, keep)
        except NeedsPerson:
            raise NotApplicable("only a person can make its values") from None
        self._made.append(made)
        return made

    async def fresh(self, name: str = "", *keep: Token) -> Minted:
        """A value that the target accepts now. Raises BrokenRule, NotApplicable."""
        made = await self.made(name, *keep)
        if self.can.needs_install:
            made = await self.installed(made)
        verdict = await self.verdict(made)
        if not isinstance(verdict, Accepted):
            raise BrokenRule(f"what was minted is not accepted; {words(verdict)}")
        return made

    async def installed(self, made: Minted) -> Minted:
        """The same value, put on the target."""
        await self.clock.sleep(TICK)
        try:
            token = await self.provider.install(made)
        except NeedsPerson:
            raise NotApplicable("only a person can put its values on the target") from None
        there = Minted(token, made.secret, made.fields, made.private)
        self._made.append(there)
        if self.can.overlap:
            await self.clock.sleep(self.settle)
        return there

    async def verdict(self, made: Minted) -> Verdict:
        """The proof of a value, after the target's settle time."""
        return await self.until(lambda: self.provider.verify(made.token, made.secret), Accepted)

    async def refusal(self, token: Token, secret: Secret) -> Verdict:
        """The proof of a value that must be refused, after the target's settle time."""
        return await self.until(lambda: self.provider.verify(token, secret), Rejected)

    async def dead(self, token: Token, secret: Secret | None) -> bool | None:
        """The provider's answer about a token's death, after the target's settle time."""
        seen = await self.provider.is_dead(token, secret)
        if seen is not True and self.settle:
            await self.clock.sleep(self.settle)
            seen = await self.provider.is_dead(token, secret)
        return seen

    async def revoke(self, made: Minted) -> Outcome:
        """Revoke it as the engine does."""
        return await self.provider.revoke(made.token, self._to_revoke(made))

    def _to_revoke(self, made: Minted) -> Secret | None:
        return made.secret if self.can.revokes_by_value else None

    def shown(self, made: Minted) -> Secret | None:
        """The value, if showing an old one to the target is safe."""
        return made.secret if self.can.old_is_safe_to_present else None

    async def until(self, ask: Callable[[], Awaitable[Verdict]], wanted: type[Verdict]) -> Verdict:
        """Ask until the answer is as wanted, for the settle time at most."""
        left, pause = self.settle, max(self.settle / _LOOKS, 0.2)
        verdict = await ask()
        while not isinstance(verdict, wanted) and left > 0:
            await self.clock.sleep(pause)
            left -= pause
            verdict = await ask()
        return verdict

    async def pass_by(self, token: Token) -> None:
        """Wait until after the date of a token. Raises NotApplicable when that is too far away."""
        if token.expires_at is None:
            raise BrokenRule("it ends by its date alone, and no date is told")
        wait = (token.expires_at - self.clock.now()).total_seconds() + 1
        if wait + _LEEWAY > self.patience:
            raise NotApplicable(f"its end is {wait:.0f} s away, too far to be waited for")
        await self.clock.sleep(max(wait, 0))

    async def at_last(self, token: Token, secret: Secret | None) -> bool | None:
        """The provider's answer about its death after its date and the target's leeway."""
        for _ in range(int(_LEEWAY / 5)):
            if await self.provider.is_dead(token, secret):
                return True
            await self.clock.sleep(5)
        return await self.provider.is_dead(token, secret)

    def discreet(self, text: str) -> str:
        """A text for the table; one that contains a secret is replaced."""
        return "what it said quotes a secret" if self.memory.quoted([text]) else text

    async def clear(self) -> None:
        """Revoke what the last rule minted, as far as possible."""
        doomed, self._made = self._made, []
        if not self.can.can_revoke or not self.can.overlap:
            return
        for made in doomed:
            with suppress(Fault):
                await self.plain.revoke(made.token, self._to_revoke(made))

    async def aclose(self) -> None:
        """Revoke what is left, as far as possible, and close the connections."""
        with suppress(Fault):
            for token in await self.plain.find(self.begins) if self.can.can_list and self.can.can_revoke else ():
                await self.plain.revoke(token)
            # The target dates a revocation by its clock, which may be ahead of ours.
            await self.server.prune(lambda name: name.startswith(self.begins), -timedelta(minutes=10))
        await self.server.aclose()
