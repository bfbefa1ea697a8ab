"""What a rule works with: the provider under test, names that are its own, values that the target knows of.

What is to be true of them is the rules'; opening a target by settings is open_target.py's.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from secrets import token_hex

from rotator.ports import Accepted, Capabilities, Clock, Fault, Installation, Minted, NeedsPerson, Rejected, Verdict
from rotator.providers import Kind, Server
from rotator.rotation.credential import Credential
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret
from rotator.rotation.token_names import mint_name, stem
from rotator.testing.recording_provider import Heard, Memory, words
from rotator.testing.verdict import BrokenRule, NotApplicable

LIFE = timedelta(seconds=60)  # asked for what the kit mints by itself, where the target lets us choose
TICK = 1.0  # second: targets that date what they take by whole seconds tell two of ours apart
_LEEWAY = 120.0  # seconds after its date until which a target may go on with a token
_LOOKS = 40  # at a value that the target does not know everywhere yet


@dataclass(eq=False)
class Kit:
    """One kind on one target. `reopen` opens the target anew; `patience`: seconds that a rule may wait for a date;
    `rest`: that the target wants between two rotations."""

    kind: Kind
    credential: Credential
    reopen: Callable[[], Server]
    clock: Clock
    patience: float = math.inf
    rest: float = TICK
    memory: Memory = field(default_factory=Memory)
    installation: Installation = field(default_factory=lambda: Installation(token_hex(4), b"a key of the kit's own"))
    _numbers: count[int] = field(default_factory=lambda: count(1))
    _made: list[Token] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server = self.reopen()
        self.plain = self.kind.bind(self.server, self.credential)
        self.provider = Heard(self.plain, self.memory)
        self.begins = stem(self.installation.prefix, self.installation.lineage, self.credential.name, "")

    @property
    def can(self) -> Capabilities:
        """What the provider declares."""
        return self.provider.capabilities

    @property
    def settle(self) -> float:
        """Seconds that the target may take to know of a change everywhere."""
        return max(self.credential.limits.settle, self.credential.limits.spread).total_seconds()

    def stem(self) -> str:
        """What the mint names of one more credential would begin with."""
        return f"{self.begins}{next(self._numbers):06x}"

    def name(self) -> str:
        """A mint name that was never used."""
        return mint_name(self.stem(), 1, 1)

    async def made(self, name: str = "", *keep: Token) -> Minted:
        """A minted value that the target has not been told of yet, where the kind installs."""
        life = min(LIFE, self.credential.lifetime) if self.kind.only_expires and self.credential.lifetime else LIFE
        wants = self.kind.only_expires or self.credential.lifetime is not None
        try:
            made = await self.provider.mint(name or self.name(), self.clock.now() + life if wants else None, keep)
        except NeedsPerson:
            raise NotApplicable("only a person can make its values") from None
        self._made.append(made.token)
        return made

    async def fresh(self, name: str = "", *keep: Token) -> Minted:
        """A value that the target accepts by now. Raises BrokenRule, NotApplicable."""
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
        self._made.append(token)
        if self.can.overlap:
            await self.clock.sleep(self.settle)
        return Minted(token, made.secret, made.fields, made.private)

    async def verdict(self, made: Minted) -> Verdict:
        """The proof of a value, once the target has had its time to know of it."""
        return await self.until(lambda: self.provider.verify(made.token, made.secret), Accepted)

    async def refusal(self, token: Token, secret: Secret) -> Verdict:
        """The proof of a value that is to be refused, once the target has had its time."""
        return await self.until(lambda: self.provider.verify(token, secret), Rejected)

    async def dead(self, token: Token, secret: Secret | None) -> bool | None:
        """What the provider says of a death, once the target has had its time to notice it."""
        seen = await self.provider.is_dead(token, secret)
        if seen is not True and self.settle:
            await self.clock.sleep(self.settle)
            seen = await self.provider.is_dead(token, secret)
        return seen

    def shown(self, made: Minted) -> Secret | None:
        """The value, where showing an old one to the target does no harm."""
        return made.secret if self.can.old_is_safe_to_present else None

    async def until(self, ask: Callable[[], Awaitable[Verdict]], wanted: type[Verdict]) -> Verdict:
        """Ask until the answer is as wanted, at most for the time the target may take to settle."""
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
        """What is said of its death after its date and the target's leeway."""
        for _ in range(int(_LEEWAY / 5)):
            if await self.provider.is_dead(token, secret):
                return True
            await self.clock.sleep(5)
        return await self.provider.is_dead(token, secret)

    def discreet(self, text: str) -> str:
        """A text for the table: a provider that quotes secrets is found out, and not repeated."""
        return "what it said quotes a secret" if self.memory.quoted([text]) else text

    async def clear(self) -> None:
        """End what the last rule made, as far as that can be ended."""
        doomed, self._made = self._made, []
        if not self.can.can_revoke or not self.can.overlap:
            return
        for token in doomed:
            with suppress(Fault):
                await self.plain.revoke(token)

    async def aclose(self) -> None:
        """Leave the target as tidy as we can, and close its connections."""
        with suppress(Fault):
            for token in await self.plain.find(self.begins) if self.can.can_list and self.can.can_revoke else ():
                await self.plain.revoke(token)
            # The target dates a revocation by its own clock, which may be ahead of ours.
            await self.server.prune(lambda name: name.startswith(self.begins), -timedelta(minutes=10))
        await self.server.aclose()
