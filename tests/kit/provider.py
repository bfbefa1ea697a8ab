"""A target in memory and a provider of it, for the engine's tests; it is held to the contract suite.

There is no waiting in it but the `pause` hook, so a simulation can step its coroutines by hand. Truth for checkers:
`Target.living()` and `Target.accepts(secret)`.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from rotator.ports import (
    Accepted,
    Capabilities,
    Duplicate,
    Fault,
    Inspection,
    Minted,
    Outcome,
    Refused,
    Rejected,
    Transient,
    Unknown,
    Verdict,
)
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret
from rotator.rotation.token_names import begins
from tests.kit.every_verb import EveryVerb

T = TypeVar("T")
Pause = Callable[[str], Awaitable[None]]


async def no_pause(label: str) -> None:
    """Go on at once."""


class When(StrEnum):
    """On which side of the effect a call fails; LATE: the effect is put off until `Target.land()`."""

    BEFORE = "before"
    AFTER = "after"
    LATE = "late"


@dataclass(slots=True)
class Issued:
    """What the target knows of one token."""

    token: Token
    secret: Secret
    accepted_from: datetime
    revoked_at: datetime | None = None
    deleted: bool = False
    last_used: datetime | None = None

    @property
    def living(self) -> bool:
        """Whether it is neither revoked nor deleted; it may have expired."""
        return self.revoked_at is None and not self.deleted


class Target:
    """A target system's truth. `named`: it takes the names we choose; `settle`: how long a new token is refused."""

    def __init__(
        self, now: Callable[[], datetime], *, named: bool = True, settle: timedelta = timedelta(0), seed: str = "t"
    ) -> None:
        """`seed` begins every value and id, so that two targets never share one."""
        self.now = now
        self.named = named
        self.settle = settle
        self.issued: list[Issued] = []
        self.made = 0
        self.calls: list[str] = []
        self.deaf = False  # it says yes to who shows a value to end it, and ends nothing
        self.together = False  # it ends all tokens of one stem at once
        self._seed = seed
        self._faults: defaultdict[str, deque[tuple[Fault, When]]] = defaultdict(deque)
        self._late: list[Callable[[], object]] = []

    # truth

    def living(self) -> tuple[Token, ...]:
        """Every token that authenticates now, or will when it has settled."""
        return tuple(x.token for x in self.issued if x.living and not self._expired(x))

    def accepts(self, secret: Secret) -> bool:
        """Whether exactly this value authenticates now."""
        return any(x.secret.matches(secret) and self._authenticates(x) for x in self.issued)

    def use(self, secret: Secret) -> None:
        """A consumer calls the target."""
        for each in self.issued:
            if each.secret.matches(secret) and self._authenticates(each):
                each.last_used = self.now()

    def shown(self, secret: Secret) -> Issued | None:
        """What the target knows of this value."""
        return next((each for each in self.issued if each.secret.matches(secret)), None)

    # trouble

    def fail(self, verb: str, fault: Fault | None = None, when: When = When.BEFORE) -> None:
        """Let the next unspoilt call of this verb fail."""
        self._faults[verb].append((fault or Transient("the target did not answer"), when))

    def recover(self) -> None:
        """Let nothing fail any more."""
        self._faults.clear()

    def land(self) -> None:
        """Let every late effect happen now."""
        late, self._late = self._late, []
        for effect in late:
            effect()

    def remove(self, token: Token) -> None:
        """Somebody deletes a token's record."""
        self.row(token).deleted = True

    def prune(self, before: datetime) -> None:
        """Forget what was revoked before then, and which calls there were."""
        self.issued = [each for each in self.issued if each.revoked_at is None or each.revoked_at > before]
        self.calls.clear()

    def row(self, token: Token) -> Issued:
        """What the target knows of this token. Raises KeyError."""
        found = self._find(token)
        if found is None:
            raise KeyError(token.id)
        return found

    # effects: each happens whole, or raises and did not happen

    def mint(self, name: str, expires_at: datetime | None, keep: tuple[Token, ...] = ()) -> Minted:
        if self.named and any(x.token.id == name and not x.deleted for x in self.issued):
            raise Duplicate("the name is taken")
        self.made = number = self.made + 1
        serial = f"{self._seed}-serial-{number}"
        token = Token(name if self.named else f"{self._seed}-{number}", name, serial, self.now(), expires_at)
        secret = Secret(f"{self._seed}-secret-{number}")
        self.issued.append(Issued(token, secret, self.now() + self.settle))
        return Minted(token, secret)

    def revoke(self, token: Token, secret: Secret | None = None) -> Outcome:
        found = self.shown(secret) if secret else self._find(token)
        if found is None or not found.living or (secret and self._expired(found)):
            return Outcome.ALREADY
        for each in () if self.deaf else (found, *self._kin(found)):
            each.revoked_at = each.revoked_at or self.now()
        return Outcome.DONE

    def restore(self, token: Token) -> Outcome:
        found = self._find(token)
        if found is None:
            raise Refused("the record is gone")
        if found.living:
            return Outcome.ALREADY
        found.revoked_at = None
        return Outcome.DONE

    def find(self, prefix: str) -> tuple[Token, ...]:
        return tuple(x.token for x in self.issued if x.living and begins(x.token.name, prefix))

    def inspect(self, token: Token) -> Inspection:
        found = self._find(token)
        if found is None:
            return Inspection(exists=False)
        revoked = found.revoked_at is not None
        return Inspection(True, revoked, found.last_used, found.token.expires_at, found.revoked_at)

    def identify(self, secret: Secret) -> Token:
        found = next((x.token for x in self.issued if x.secret.matches(secret) and x.living), None)
        if found is None:
            raise Refused("nobody knows it")
        return found

    def judge(self, token: Token, secret: Secret) -> Verdict:
        self.use(secret)
        found = next((x for x in self.issued if x.secret.matches(secret) and self._authenticates(x)), None)
        if found is None:
            return Rejected("the token is refused")
        if found.token.id != token.id or found.token.serial != token.serial:
            return Rejected("the secret belongs to another token", final=True)
        return Accepted()

    def is_dead(self, token: Token, secret: Secret | None) -> bool:
        if secret is not None:
            return not self.accepts(secret)
        found = self._find(token)
        return found is None or not found.living

    async def perform(self, verb: str, effect: Callable[[], T], pause: Pause) -> T:
        """One call: a pause and a chance to fail on either side of the effect."""
        self.calls.append(verb)
        await pause(f"{verb}: sent")
        fault, when = self._faults[verb].popleft() if self._faults[verb] else (None, When.BEFORE)
        if fault and when is When.BEFORE:
            raise fault
        if fault and when is When.LATE:
            self._late.append(lambda: _quietly(effect))
            raise fault
        result = effect()
        await pause(f"{verb}: done")
        if fault:
            raise fault
        return result

    def _kin(self, row: Issued) -> list[Issued]:
        """What ends along with it."""
        stem = row.token.name.rpartition("-r")[0]
        return [each for each in self.issued if begins(each.token.name, f"{stem}-r")] if self.together else []

    def _find(self, token: Token) -> Issued | None:
        """The record of this name that is not deleted, when it is this very token's."""
        row = next((x for x in self.issued if x.token.id == token.id and not x.deleted), None)
        return row if row and token.serial in ("", row.token.serial) else None

    def _authenticates(self, row: Issued) -> bool:
        return row.living and not self._expired(row) and self.now() >= row.accepted_from

    def _expired(self, row: Issued) -> bool:
        return row.token.expires_at is not None and self.now() >= row.token.expires_at


class FakeProvider(EveryVerb):
    """A provider of one credential on a `Target`. `pause(label)` is awaited before and after each effect."""

    def __init__(self, target: Target, pause: Pause = no_pause, capabilities: Capabilities | None = None) -> None:
        self._target = target
        self._pause = pause
        self._capabilities = capabilities or Capabilities(
            takes_token_name=target.named, can_list=True, can_restore=True, reports_last_use=True
        )

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def install(self, minted: Minted) -> Token:
        """Refused: the target makes the value."""
        raise Refused("the target makes the value")

    async def verify(self, token: Token, secret: Secret) -> Verdict:
        try:
            return await self._target.perform("verify", lambda: self._target.judge(token, secret), self._pause)
        except Fault as fault:
            return Unknown(fault.reason, fault.retry_after)

    async def call(self, verb: str, *args: Any) -> Any:
        return await self._target.perform(verb, lambda: getattr(self._target, verb)(*args), self._pause)


LEEWAY = timedelta(seconds=30)  # for which a value that has expired is still believed


class ExpiringProvider(FakeProvider):
    """A target that keeps no record of what it accepts until its date: nobody can list or revoke."""

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(can_revoke=False, old_is_safe_to_present=False)

    async def find(self, prefix: str) -> tuple[Token, ...]:
        return ()

    async def inspect(self, token: Token) -> Inspection:
        end = (token.expires_at or self._target.now()) + LEEWAY
        return Inspection(exists=self._target.now() < end, expires_at=end)

    async def revoke(self, token: Token, secret: Secret | None = None) -> Outcome:
        if (await self.inspect(token)).exists:
            raise Refused("it ends by expiry")
        return Outcome.ALREADY

    async def is_dead(self, token: Token, secret: Secret | None) -> bool | None:
        return not (await self.inspect(token)).exists


class ByValueProvider(ExpiringProvider):
    """A target that lists nothing, and ends a token before its date when it is shown the value (RFC 7009)."""

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(revokes_by_value=True, shared_grant=self._target.together)

    async def revoke(self, token: Token, secret: Secret | None = None) -> Outcome:
        if secret is None:
            return await super().revoke(token)
        return await self.call("revoke", token, secret)

    async def restore(self, token: Token) -> Outcome:
        raise Refused("a revocation is for good")

    async def is_dead(self, token: Token, secret: Secret | None) -> bool | None:
        if secret is None:
            return await super().is_dead(token, secret) or None
        return await self.call("is_dead", token, secret)


def _quietly(effect: Callable[[], object]) -> None:
    """A late effect whose refusal nobody hears."""
    try:
        effect()
    except Fault:
        return
