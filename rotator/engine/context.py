"""The context of one reconcile: its dependencies, its credential, and what it has read so far."""

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
    SupportsIdentify,
    SupportsSupply,
    TargetNotConfigured,
    Transient,
)
from rotator.rotation.credential import Credential, VaultPath
from rotator.rotation.observation import Observation
from rotator.rotation.ownership import TokenOwners
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret

_AGREE = timedelta(seconds=2)  # clocks this close count as equal: the Date header has whole seconds


def decided_by(ours: datetime, shared: datetime) -> datetime:
    """The earlier of our clock and Vault's, so that nothing is over before both say so."""
    return min(ours, shared)


async def _nobody() -> TokenOwners:
    return TokenOwners({}, {}, (), "")


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The ports that one credential needs."""

    store: SecretStore
    provider: Provider  # of the target that settings name now
    clock: Clock
    installation: Installation
    slot: VaultPath  # the credential's staged slot
    nonce: Callable[[], str]  # fresh randomness, for documents that must be told apart
    elsewhere: Callable[[str], Provider | None] = lambda target: None  # of another configured target
    owners: Callable[[], Awaitable[TokenOwners]] = _nobody  # reads all records and all configured paths


@dataclass(slots=True)
class SuppliedValue:
    """A value that a person supplied, and when it expires by their word. It is used once."""

    value: Secret
    expires_at: datetime | None = None
    taken: bool = False

    def take(self) -> Secret:
        """Take the value for its only use."""
        self.taken = True
        return self.value


@dataclass(slots=True)
class RotationContext:
    """The working memory of one reconcile. It holds nothing that a crash may not lose."""

    dependencies: Dependencies
    credential: Credential
    told: datetime | None = None  # Vault's clock when the reconcile began, if it told the time
    begun: float = 0.0  # our monotonic clock at that moment, as the wall clock may jump
    lapses: float = math.inf  # monotonic time after which a request may no longer be sent under the lease
    supplied: SuppliedValue | None = None  # for the next mint
    seen: Observation = field(init=False)

    def __post_init__(self) -> None:
        installation, told = self.dependencies.installation, self.told is not None
        self.seen = Observation(self.credential, installation, self.capabilities, *self._clocks(), told)

    def observed(self) -> Observation:
        """The observation for procedures, with the times of now."""
        self.seen.at, self.seen.now, self.seen.shared = self._clocks()
        self.seen.brings = self.brings
        self.seen.brought_until = self.supplied.expires_at if self.supplied else None
        return self.seen

    @property
    def brings(self) -> bool:
        """Whether a person supplied a value that is not used yet."""
        return self.supplied is not None and not self.supplied.taken

    @property
    def at(self) -> datetime:
        """The later of our clock and Vault's. Events are stamped with it."""
        return self._clocks()[0]

    @property
    def now(self) -> datetime:
        """The earlier of the two. Decisions use it, so that nothing is over before both clocks say so."""
        return self._clocks()[1]

    @property
    def shared(self) -> datetime:
        """Vault's clock, which is the same for all hosts; ours if Vault told no time, or if both agree."""
        return self._clocks()[2]

    def _clocks(self) -> tuple[datetime, datetime, datetime]:
        """The later clock, the earlier clock and Vault's, from one reading of our own."""
        clock = self.dependencies.clock
        ours = shared = clock.now()
        if self.told is not None:
            theirs = self.told + timedelta(seconds=clock.monotonic() - self.begun)
            shared = theirs if abs(theirs - ours) > _AGREE else ours
        return max(ours, shared), decided_by(ours, shared), shared

    def on_our_clock(self, when: datetime) -> datetime:
        """Convert a time by `now` to our own wall clock."""
        return when + (self.dependencies.clock.now() - self.now)

    def still_ours(self) -> None:
        """Raises Transient if our lease may have lapsed, because another process may have acted since."""
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
        """The capabilities of a token's target. Raises TargetNotConfigured."""
        return self.provider(target).capabilities

    def receiver(self, target: str) -> SupportsSupply:
        """The provider, if a person may supply a value to it. Raises Refused."""
        provider = self.provider(target)
        if not isinstance(provider, SupportsSupply):
            raise Refused("this kind takes no value from a person")
        return provider

    async def identified(self, target: str, secret: Secret) -> Token | None:
        """The token with this value; None if values of this kind do not name their token."""
        provider = self.provider(target)
        return await provider.identify(secret) if isinstance(provider, SupportsIdentify) else None

    def brought(self) -> Secret:
        """The value that a person supplied, for its only use."""
        if self.supplied is None:
            raise ValueError("nothing was brought")
        return self.supplied.take()
