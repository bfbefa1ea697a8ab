"""Providers that break one promise each, on a target in memory: what the kit has to find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from rotator.ports import Accepted, Capabilities, Inspection, Minted, Outcome, Rejected, Transient, Verdict
from rotator.providers.base import Kind, TargetConfig
from rotator.rotation.credential import Credential, Limits, VaultPath
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret
from rotator.testing.kit import Kit
from tests.kit.clock import HandClock
from tests.kit.provider import FakeProvider, Target
from tests.kit.slots import SlotProvider, Slots


@dataclass(frozen=True, kw_only=True)
class Options:
    """No keys at all."""


class Site:
    """A target in memory. `holds`: how much lives there."""

    def __init__(self, holds: Callable[[], int]) -> None:
        self.holds = holds

    def minted_by(self, minter: Any) -> Site:
        return self

    async def list_tokens(self) -> tuple[Token, ...]:
        return ()

    async def inventory(self) -> tuple[Any, ...]:
        return (None,) * self.holds()

    async def prune(self, owns: Any, older_than: timedelta) -> int:
        return 0

    async def control(self, credential: Credential) -> None:
        return

    async def audit(self, credentials: Any) -> list[str]:
        return []

    async def aclose(self) -> None:
        return


class Honest(FakeProvider):
    """Breaks nothing."""


class AcceptsAnything(FakeProvider):
    async def verify(self, token: Token, secret: Secret) -> Verdict:
        return Accepted()


class AcceptsAnyOfOurs(FakeProvider):
    async def verify(self, token: Token, secret: Secret) -> Verdict:
        verdict = await super().verify(token, secret)
        return Accepted() if isinstance(verdict, Rejected) and verdict.final else verdict


class RevokesInWordsOnly(FakeProvider):
    async def revoke(self, token: Token, secret: Secret | None = None) -> Outcome:
        return Outcome.DONE


class RevokesEverything(FakeProvider):
    async def revoke(self, token: Token, secret: Secret | None = None) -> Outcome:
        outcome = self._target.revoke(token)
        for each in self._target.living():
            self._target.revoke(each)
        return outcome


class RevokesOnceOnly(FakeProvider):
    async def revoke(self, token: Token, secret: Secret | None = None) -> Outcome:
        outcome = self._target.revoke(token)
        if outcome is Outcome.ALREADY:
            raise Transient("the target says 400")
        return outcome


class MissesOne(FakeProvider):
    async def find(self, prefix: str) -> tuple[Token, ...]:
        return (await super().find(prefix))[:2]


class FindsByPlainPrefix(FakeProvider):
    async def find(self, prefix: str) -> tuple[Token, ...]:
        return tuple(token for token in self._target.living() if token.name.startswith(prefix))


class IgnoresTheName(FakeProvider):
    numbers = count(1)

    async def mint(self, name: str, expires_at: datetime | None, keep: tuple[Token, ...] = ()) -> Minted:
        made = self._target.mint(f"of-its-own-{next(self.numbers)}", expires_at)
        return replace(made, token=replace(made.token, name=name))


class SaysDead(FakeProvider):
    async def is_dead(self, token: Token, secret: Secret | None) -> bool | None:
        return True


class NeverSaysDead(FakeProvider):
    async def is_dead(self, token: Token, secret: Secret | None) -> bool | None:
        return None if secret is None else await super().is_dead(token, secret)


class QuotesTheValue(FakeProvider):
    async def verify(self, token: Token, secret: Secret) -> Verdict:
        verdict = await super().verify(token, secret)
        return replace(verdict, reason=f"401 for {secret.reveal()}") if isinstance(verdict, Rejected) else verdict


class RestoresInWordsOnly(FakeProvider):
    async def restore(self, token: Token) -> Outcome:
        return Outcome.DONE if self._target.inspect(token).revoked else Outcome.ALREADY


class InspectsNothing(FakeProvider):
    async def inspect(self, token: Token) -> Inspection:
        return Inspection(exists=True)


class Contradicts(FakeProvider):
    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, can_list=False)


class InstallsAnew(SlotProvider):
    """Each installation makes another handle."""

    async def install(self, minted: Minted) -> Token:
        return replace(await super().install(minted), serial=f"{self.target.installs}")


class InstallsWhenMinting(SlotProvider):
    async def mint(self, name: str, expires_at: datetime | None, keep: tuple[Token, ...] = ()) -> Minted:
        made = await super().mint(name, expires_at, keep)
        await self.install(made)
        return made


class OverlapsInWordsOnly(SlotProvider):
    """It declares an overlap that one slot cannot have."""

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(needs_install=True, overlap=True)


class WritesOverWithoutALook(SlotProvider):
    """Whatever is in the slot by now."""

    async def revoke(self, token: Token, secret: Secret | None = None) -> Outcome:
        self.target.kept[token.serial] = Secret("canary-discarded")
        return Outcome.DONE

    async def is_dead(self, token: Token, secret: Secret | None) -> bool | None:
        return None if secret is None else not self.target.accepts(secret)


class RemembersInProcess(FakeProvider):
    """What it has not minted itself, it does not find: a crash loses what is needed to clear up."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.own: set[str] = set()

    async def mint(self, name: str, expires_at: datetime | None, keep: tuple[Token, ...] = ()) -> Minted:
        made = await super().mint(name, expires_at, keep)
        self.own.add(made.token.id)
        return made

    async def find(self, prefix: str) -> tuple[Token, ...]:
        return tuple(token for token in await super().find(prefix) if token.id in self.own)


def kind_of(bind: Callable[[], Any], holds: Callable[[], int], **changes: Any) -> Kind:
    """A kind from outside on a target in memory."""
    site = Site(holds)
    return Kind(
        **{
            "name": "acme-token",
            "family": "acme-vault",
            "target_config": TargetConfig,
            "options": Options,
            "open_target": lambda *given: site,
            "bind": lambda opened, credential: bind(),
            "non_rotating_options": frozenset(),
            "warnings": lambda credential, keys: [],
            **changes,
        }
    )


@dataclass(frozen=True)
class Bad:
    """A provider, and the rules that it breaks."""

    provider: type[Any]
    breaks: frozenset[str]
    slots: int = 0

    def kit(self) -> Kit:
        clock = HandClock()
        target: Any = Slots(clock.now, number=self.slots) if self.slots else Target(clock.now, seed="canary")
        holds: Callable[[], int] = (lambda: 0) if self.slots else (lambda: len(target.living()))
        kind = kind_of(lambda: self.provider(target), holds, has_cutover=lambda options: self.slots == 1)
        site: Any = kind.open_target("acme", None, None, None, clock)  # type: ignore[arg-type]  # nobody is called
        credential = Credential(
            "tool", kind.name, "acme", VaultPath("secret", "tool"), limits=Limits(settle=timedelta(0))
        )
        return Kit(kind, credential, lambda: site, clock)
