"""A target in memory with one value per slot, and a provider that installs: by itself, or through a person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from rotator.ports import Accepted, Capabilities, Inspection, Minted, NeedsPerson, Outcome, Refused, Rejected, Verdict
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret
from tests.kit.provider import Pause, no_pause

PRESS, PASTE, END = "press Generate and hand the value over", "paste the value", "delete the old one"


@dataclass
class Slots:
    """What the target accepts: one value per slot. `refuses`: the next value is taken and then not accepted;
    `remembers`: no value is taken twice."""

    now: Callable[[], datetime]
    number: int = 1
    kept: dict[str, Secret] = field(default_factory=dict)
    known: dict[str, Secret] = field(default_factory=dict)  # by id, of what was made for it
    made: int = 0
    refuses: bool = False
    remembers: bool = False
    had: set[str] = field(default_factory=set)
    installs: int = 0

    def accepts(self, secret: Secret) -> bool:
        """Whether exactly this value is accepted now."""
        return any(value.matches(secret) for value in self.kept.values())

    def holds(self, token: Token) -> bool:
        """Whether its slot has its value, or what the target made of it."""
        held, value = self.kept.get(token.serial), self.known.get(token.id)
        return held is not None and value is not None and (held.matches(value) or held.matches(_mangled(token)))


class SlotProvider:
    """One credential's view of it. `person`: whose hands are needed, "value" to make one, "install" to enter ours,
    "end" to end the old one. `lazy`: it is slow to notice that a value was overwritten."""

    def __init__(self, target: Slots, pause: Pause = no_pause, person: str = "") -> None:
        self.target = target
        self.pause = pause
        self.person = person
        self.lazy = False

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(needs_install=self.person != "value", overlap=self.target.number > 1)

    async def mint(self, name: str, expires_at: datetime | None, keep: tuple[Token, ...] = ()) -> Minted:
        if self.person == "value":
            raise NeedsPerson(PRESS)
        slots = {str(n) for n in range(1, self.target.number + 1)}
        free = slots - {token.serial for token in keep if self.target.holds(token)}
        if not free and self.target.number > 1:
            raise Refused("no slot is free")
        self.target.made += 1
        secret = self.target.known[name] = Secret(f"slot-canary-{name}")
        return Minted(Token(name, name, min(free or slots), self.target.now(), expires_at), secret)

    async def receive(
        self, name: str, value: Secret, expires_at: datetime | None, keep: tuple[Token, ...] = ()
    ) -> Minted:
        if value.matches(Secret("canary-unusable")):
            raise Refused("not a key")
        self.target.known[name] = value
        return Minted(Token(name, name, "1", self.target.now(), expires_at), value)

    async def install(self, minted: Minted) -> Token:
        await self.pause("install: sent")
        if self.person == "install":
            raise NeedsPerson(PASTE)
        if self.target.remembers and minted.token.id in self.target.had:
            raise Refused("used before")
        self.target.had.add(minted.token.id)
        self.target.installs += 1
        kept = _mangled(minted.token) if self.target.refuses else minted.secret
        self.target.kept[minted.token.serial or "1"] = kept
        self.target.refuses = False
        await self.pause("install: done")
        return replace(minted.token, issued_at=self.target.now())

    async def find(self, prefix: str) -> tuple[Token, ...]:
        return ()

    async def verify(self, token: Token, secret: Secret) -> Verdict:
        await self.pause("verify: sent")
        return Accepted() if self.target.accepts(secret) else Rejected("invalid_client")

    async def inspect(self, token: Token) -> Inspection:
        return Inspection(exists=token.serial in self.target.kept)

    async def revoke(self, token: Token, secret: Secret | None = None) -> Outcome:
        await self.pause("revoke: sent")
        if self.person == "end":
            raise NeedsPerson(END)
        if self.target.number == 1 or self.lazy or not self.target.holds(token):
            return Outcome.ALREADY
        self.target.kept[token.serial] = Secret(f"discarded-{self.target.made}")
        return Outcome.DONE

    async def restore(self, token: Token) -> Outcome:
        raise Refused("what was overwritten is gone")

    async def is_dead(self, token: Token, secret: Secret | None) -> bool | None:
        return not self.target.holds(token) if secret is None else not self.target.accepts(secret)


def _mangled(token: Token) -> Secret:
    """What a target that refuses a value keeps in its place."""
    return Secret(f"mangled-{token.id}")
