"""What a kind is: a sort of credential with the family of targets it lives on; the list is the package's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import msgspec

from rotator.ports import Clock, InventoryItem, Provider
from rotator.providers.config import TargetConfig
from rotator.providers.http.auth import Minter, SecretResolver
from rotator.rotation.credential import Credential
from rotator.rotation.record import Token


class Server(Protocol):
    """One target, shared by all its credentials: one client, one request budget, one listing."""

    def minted_by(self, minter: Minter) -> Server:
        """The same target and budget, seen through another minter."""
        ...

    async def list_tokens(self) -> tuple[Token, ...]:
        """Every living token that bears a mark of ours, from one listing; a sweep shares it among credentials."""
        ...

    async def inventory(self) -> tuple[InventoryItem, ...] | None:
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


def _fits(credential: Credential, keys: TargetConfig, longest: timedelta) -> str:
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
    """A kind of credential, and the family of targets it lives on. Offered by an entry point of its name."""

    # What settings write as `kind` of a credential: "acme-token".
    name: str
    # What settings write as `kind` of a target: "acme". Kinds of one family share target_config, open_target and
    # needs_minter.
    family: str
    # The options of a [targets.NAME] section: a TargetConfig with further fields, one for each option.
    target_config: type[TargetConfig]
    # The options of a [credentials.NAME] section that are this kind's own: a frozen msgspec.Struct.
    options: type[msgspec.Struct]
    # Opens the connection to a target, once per process: its name and config, who mints, where secrets are, the clock.
    # Called by no rule and under no lock; import what is heavy inside.
    open_target: Callable[[str, TargetConfig, Minter, SecretResolver, Clock], Server]
    # The provider for one credential on an opened target. Called often: it makes no call.
    bind: Callable[[Server, Credential], Provider]
    # Options whose change leaves the token as it is (a probe, a description). Any other one starts a rotation.
    non_rotating_options: frozenset[str]
    # Sentences about this credential for `rotate check`, found without a call; empty: nothing to say.
    warnings: Callable[[Credential, TargetConfig], list[str]]
    # Why these options and this lifetime cannot work on that target, shown with file and line at load; empty: they can.
    # The last argument is the longest time between two publications.
    validate: Callable[[Credential, TargetConfig, timedelta], str] = _fits
    # Whether one identity mints for all credentials of a target: settings then demand `minter` of the target.
    needs_minter: bool = True
    # Whether a token ends by its date and by nothing else: then there is no revocation, and no grace to grant.
    only_expires: bool = False
    # The key of the published document under which the value stands, unless settings say otherwise.
    document_field: str = "token"
    # The same for options with a `transit_key`, of which each rotation makes a version; empty: never.
    document_field_in_transit: str = ""
    # How long a token lives, unless settings say otherwise; None: it never expires.
    default_lifetime: timedelta | None = timedelta(days=90)
    # By its options: how long consumers need a predecessor after a publication, at least.
    minimum_grace: Callable[[Any], timedelta] = _none
    # By its options: how long the target may go on with what it read before, caches included.
    propagation_delay: Callable[[Any], timedelta] = _none
    # By its options: whether the new value ends the old one at once, so that there is no grace.
    has_cutover: Callable[[Any], bool] = _overlaps
    # What on the target no other credential may write: settings in which two name the same are refused.
    exclusive_resources: Callable[[Credential], frozenset[str]] = _unclaimed
    # How late the target notes a use, see Capabilities; None: it tells nobody when a value was last used.
    last_use_resolution: timedelta | None = None
    # How a person ends a token without us, as the end of a sentence; {id} and {url} of the target are filled in.
    end_by_hand: str = "where {url} lists what may log in"
    # Whether the target's management client, not the minter, makes and ends its tokens.
    needs_management_client: bool = False
