"""Owns what a kind is: a sort of credential with the family of targets it lives on; the list is the package's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import msgspec

from rotator.ports import Clock, Holding, Provider
from rotator.providers.config import TargetKeys
from rotator.providers.http.auth import Keyring, Minter
from rotator.rotation.credential import Credential
from rotator.rotation.record import Token


class Site(Protocol):
    """One target, shared by all its credentials: one client, one request budget, one listing."""

    def minted_by(self, minter: Minter) -> Site:
        """The same target and budget, seen through another minter."""
        ...

    async def list_tokens(self) -> tuple[Token, ...]:
        """Every living token that bears a mark of ours, from one listing; a sweep shares it among credentials."""
        ...

    async def inventory(self) -> tuple[Holding, ...] | None:
        """Everything that lives there, other people's included; None when the target does not tell."""
        ...

    async def prune(self, owns: Callable[[str], bool], older_than: timedelta) -> int:
        """Delete long-revoked tokens whose mint name `owns` claims; returns how many went."""
        ...

    async def control(self, credential: Credential) -> None:
        """The negative control: what proves this credential must fail for a broken secret. Raises Refused."""
        ...

    async def audit(self, credentials: tuple[Credential, ...]) -> list[str]:
        """Live warnings for `rotate check`: what the minter may do beyond what these credentials need."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


def _fits(credential: Credential, keys: TargetKeys, longest: timedelta) -> str:
    """`longest`: the time between two publications, at most."""
    return ""


def _overlaps(options: object) -> bool:
    return False


def _unclaimed(credential: Credential) -> frozenset[str]:
    return frozenset()


def _none(options: object) -> timedelta:
    return timedelta(0)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of credential, and the family of targets it lives on."""

    name: str  # `kind` of a credential
    family: str  # `kind` of a target
    target: type[TargetKeys]  # the target section's own keys
    options: type[msgspec.Struct]  # the credential section's own keys
    open: Callable[[str, TargetKeys, Minter, Keyring, Clock], Site]  # the target's name and keys, who mints, where
    bind: Callable[[Site, Credential], Provider]  # one credential on an opened target
    unbaked: frozenset[str]  # options that do not change the token itself
    warnings: Callable[[Credential, TargetKeys], list[str]]  # for `rotate check`, without a call
    misfits: Callable[[Credential, TargetKeys, timedelta], str] = _fits  # why its lifetime cannot hold on that target
    minter: bool = True  # whether one identity mints for all credentials of a target
    expires: bool = False  # its tokens end by their date alone, so there is no grace to grant
    key: str = "token"  # under which its value is published, unless settings say otherwise
    key_in_transit: str = ""  # the same, where its options have a `transit_key` that each rotation makes a version of
    lifetime: timedelta | None = timedelta(days=90)  # unless settings say otherwise
    grace: Callable[[Any], timedelta] = _none  # by its options: how long consumers need a predecessor at least
    spread: Callable[[Any], timedelta] = _none  # by its options: how long the target may go on with what it read
    cuts: Callable[[Any], bool] = _overlaps  # by its options: the new value ends the old one, so there is no grace
    claims: Callable[[Credential], frozenset[str]] = _unclaimed  # what no other credential may write
    last_use_step: timedelta | None = None  # see Capabilities; None: its target tells nobody when a value was last used
    by_hand: str = (
        "where {url} lists what may log in"  # how a person ends a token without us: {id}, {url} of the target
    )
    managed: bool = False  # whether the target's management client acts for it
