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
    """A living token on a target, ours or not. `mark`: its mint name. `last_used` None: unknown, never unused."""

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

        Raises Duplicate when the target says the name is taken, NeedsPerson when a person has to supply the value.
        """
        ...

    async def install(self, minted: Minted) -> Token:
        """Put a value that was made here on the target; idempotent. Returns the token as it is there now.

        Raises NeedsPerson when a person has to do it.
        """
        ...

    async def find(self, prefix: str) -> tuple[Token, ...]:
        """Our tokens, alive or not, whose mint name starts with `prefix`, revoked ones excluded."""
        ...

    async def verify(self, token: Token, secret: Secret) -> Verdict:
        """Prove the secret with a call that fails for any other identity: identity and scope, not only a 2xx.

        Raises CannotPresent when it cannot be shown from here, which is no verdict.
        """
        ...

    async def inspect(self, token: Token) -> Inspection:
        """What the target knows about this token."""
        ...

    async def revoke(self, token: Token) -> Outcome:
        """End the token. ALREADY when it has ended before or does not exist."""
        ...

    async def restore(self, token: Token) -> Outcome:
        """Take a revocation back, if the target can."""
        ...

    async def is_dead(self, token: Token, secret: Secret | None) -> bool | None:
        """Whether the target positively refuses the token; None when it does not say. The secret may be unknown.

        Raises CannotPresent when the secret is known and cannot be shown from here.
        """
        ...


@runtime_checkable
class SupportsSupply(Protocol):
    """The additional verb of a kind whose value a person may supply."""

    async def receive(
        self, name: str, value: Secret, expires_at: datetime | None, keep: tuple[Token, ...] = ()
    ) -> Minted:
        """Make a `Minted` of a value that a person supplies. Raises Refused when it cannot be used."""
        ...


@runtime_checkable
class SupportsIdentify(Protocol):
    """The additional verb of a provider that can find the token of a value: needed to adopt one made elsewhere."""

    async def identify(self, secret: Secret) -> Token:
        """The living token with this value. Raises Transient; Refused when it cannot be found or is not ours to manage.
        It proves nothing about the value: verify does.
        """
        ...


@runtime_checkable
class SupportsDiagnose(Protocol):
    """The additional verb of a provider that can find the cause of a refusal by further requests."""

    async def diagnose(self, secret: Secret | None, before: Secret | None = None) -> list[str]:
        """What is wrong and what to do, found by more requests, only on an operator's command. Empty: nothing found.

        `secret`: the published value, if any; `before`: the value before it, if not expired. Raises NeedsPerson where
        the next rotation will wait for a person, Refused, Transient.
        """
        ...
