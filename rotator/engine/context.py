"""What one reconcile works with: the edges, the credential, the values in hand. What to do is decided elsewhere."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rotator.ports import (
    Capabilities,
    Clock,
    Installation,
    Provider,
    Refused,
    SecretStore,
    SupportsSupply,
    TargetNotConfigured,
    Transient,
)
from rotator.rotation.credential import Credential, VaultPath
from rotator.rotation.observation import Observation
from rotator.rotation.ownership import TokenOwners
from rotator.rotation.secret import Secret

_AGREE = timedelta(seconds=2)  # clocks this close are the same: the Date header counts whole seconds


def decided_by(ours: datetime, shared: datetime) -> datetime:
    """The earlier of our clock and Vault's: nothing is over before both say so."""
    return min(ours, shared)


async def _nobody() -> TokenOwners:
    return TokenOwners({}, {}, (), "")


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The world, as far as one credential is concerned."""

    store: SecretStore
    provider: Provider  # of the target that settings name now
    clock: Clock
    installation: Installation
    slot: VaultPath  # the credential's staged slot
    nonce: Callable[[], str]  # fresh randomness, for documents that must be told apart
    elsewhere: Callable[[str], Provider | None] = lambda target: None  # of another target, if settings still have it
    owners: Callable[[], Awaitable[TokenOwners]] = _nobody  # by all records and configured paths, read at that moment


@dataclass(slots=True)
class SuppliedValue:
    """A value that a person has brought, and when they say that it ends; it is used once."""

    value: Secret
    expires_at: datetime | None = None
    taken: bool = False

    def take(self) -> Secret:
        """The value, for the one use."""
        self.taken = True
        return self.value


@dataclass(slots=True)
class RotationContext:
    """One reconcile's working memory. Dropped with it; a crash loses nothing that matters."""

    dependencies: Dependencies
    credential: Credential
    told: datetime | None = None  # Vault's clock when the reconcile began, when it told
    begun: float = 0.0  # our monotonic clock at that moment: a wall clock may jump meanwhile
    lapses: float = math.inf  # our monotonic time until which the lease covers what leaves
    supplied: SuppliedValue | None = None  # for the next mint
    seen: Observation = field(init=False)

    def __post_init__(self) -> None:
        installation, told = self.dependencies.installation, self.told is not None
        self.seen = Observation(self.credential, installation, self.capabilities, *self._clocks(), told)

    def observed(self) -> Observation:
        """What was seen so far, by the clocks as they are now."""
        self.seen.at, self.seen.now, self.seen.shared = self._clocks()
        self.seen.brings = self.brings
        self.seen.brought_until = self.supplied.expires_at if self.supplied else None
        return self.seen

    @property
    def brings(self) -> bool:
        """Whether a person has brought a value that was not used yet."""
        return self.supplied is not None and not self.supplied.taken

    @property
    def at(self) -> datetime:
        """The later of our clock and Vault's: what events are stamped with."""
        return self._clocks()[0]

    @property
    def now(self) -> datetime:
        """The earlier of the two. Decisions use it: nothing is over before both clocks say so."""
        return self._clocks()[1]

    @property
    def shared(self) -> datetime:
        """Vault's clock, which all hosts have in common; ours where it does not tell, or agrees."""
        return self._clocks()[2]

    def _clocks(self) -> tuple[datetime, datetime, datetime]:
        """The later one, the earlier one and Vault's, by one look at our own."""
        clock = self.dependencies.clock
        ours = shared = clock.now()
        if self.told is not None:
            theirs = self.told + timedelta(seconds=clock.monotonic() - self.begun)
            shared = theirs if abs(theirs - ours) > _AGREE else ours
        return max(ours, shared), decided_by(ours, shared), shared

    def on_our_clock(self, when: datetime) -> datetime:
        """A time that was decided by `now`, as our own wall clock will show it."""
        return when + (self.dependencies.clock.now() - self.now)

    def still_ours(self) -> None:
        """Raises Transient when the lease may have passed to others: what they did since must not be undone."""
        if self.dependencies.clock.monotonic() > self.lapses:
            raise Transient("what came before took longer than the lease allows: the target or Vault is slow")

    def provider(self, target: str) -> Provider:
        """The provider of the target where a token lives: settings may name another one by now. Raises
        TargetNotConfigured.
        """
        found = self.dependencies.provider if target == self.credential.target else self.dependencies.elsewhere(target)
        if found is None:
            raise TargetNotConfigured(f"a token lives on target {target!r}, which the settings no longer have")
        return found

    def capabilities(self, target: str) -> Capabilities:
        """What the target can do where a token lives. Raises TargetNotConfigured."""
        return self.provider(target).capabilities

    def receiver(self, target: str) -> SupportsSupply:
        """Its provider, where a person may bring a value. Raises Refused."""
        provider = self.provider(target)
        if not isinstance(provider, SupportsSupply):
            raise Refused("this kind takes no value from a person")
        return provider

    def brought(self) -> Secret:
        """The value that a person has brought, for its one use."""
        if self.supplied is None:
            raise ValueError("nothing was brought")
        return self.supplied.take()
