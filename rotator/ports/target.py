"""The port to a target: what a provider can do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from rotator.rotation.answers import Capabilities, Inspection, Minted, Outcome, Verdict
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret


@dataclass(frozen=True, slots=True)
class InventoryItem:
    """What lives on a target, ours or not. `mark`: the mint name it bears. `last_used` None: unknown, never unused."""

    id: str
    mark: str = ""
    title: str = ""
    roles: tuple[str, ...] = ()
    created_at: datetime | None = None
    last_used: datetime | None = None
    expires_at: datetime | None = None


class Provider(Protocol):
    """One credential's view of its target. Every verb may raise Transient, Refused or MinterRefused."""

    @property
    def capabilities(self) -> Capabilities:
        """What this target can do."""
        ...

    async def mint(self, name: str, expires_at: datetime | None, keep: tuple[Token, ...] = ()) -> Minted:
        """Mint a token under `name`; the tokens in `keep` must live on. With `needs_install`, only make the value.

        Raises Duplicate when the target says the name is taken, NeedsPerson when a person has to bring the value.
        """
        ...

    async def install(self, minted: Minted) -> Token:
        """Put a value that was made here on the target; doing it twice is doing it once. The token as it is there now.

        Raises NeedsPerson when a person has to do it.
        """
        ...

    async def find(self, prefix: str) -> tuple[Token, ...]:
        """Our tokens, alive or not, whose mint name starts with `prefix`, revoked ones excluded."""
        ...

    async def verify(self, token: Token, secret: Secret) -> Verdict:
        """Prove the secret with a call that fails for anybody else: identity and scope, not just a 2xx.

        Raises CannotPresent when it cannot be shown from here, as that is no verdict.
        """
        ...

    async def inspect(self, token: Token) -> Inspection:
        """What the target knows of this token."""
        ...

    async def revoke(self, token: Token) -> Outcome:
        """End the token. Ending it twice is ALREADY, and so is ending one that is gone."""
        ...

    async def restore(self, token: Token) -> Outcome:
        """Take a revocation back, where the target can."""
        ...

    async def is_dead(self, token: Token, secret: Secret | None) -> bool | None:
        """Whether the target positively refuses the token; None when it does not say. The secret may be unknown.

        Raises CannotPresent when it is known and of no use here, as that was not the question.
        """
        ...


@runtime_checkable
class SupportsSupply(Protocol):
    """The further verb of a kind whose value a person may bring."""

    async def receive(
        self, name: str, value: Secret, expires_at: datetime | None, keep: tuple[Token, ...] = ()
    ) -> Minted:
        """What `mint` would have made, of a value that a person brings. Raises Refused when it cannot be used."""
        ...


@runtime_checkable
class SupportsIdentify(Protocol):
    """What a provider can do beside, where a value says whose it is: needed to adopt one that somebody else made."""

    async def identify(self, secret: Secret) -> Token:
        """The living token that this is the value of. Raises Refused when that cannot be told, or it is no concern of
        ours; Transient. It proves nothing about the value: verify does.
        """
        ...


@runtime_checkable
class SupportsDiagnose(Protocol):
    """What a provider can do beside, where a refusal has causes that show when something else is tried."""

    async def diagnose(self, secret: Secret | None, before: Secret | None = None) -> list[str]:
        """What is wrong and what to do, found by a few requests more, only on an operator's word. Empty: nothing shows.

        `secret`: what is published, if anything; `before`: the value before it, which has not expired yet. Raises
        NeedsPerson where the next rotation will wait for a person, Refused, Transient.
        """
        ...
