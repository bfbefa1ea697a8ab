"""The fleets of a soak: settings as a person would write them, their edges, and the crew that works on them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from rotator.engine.circuit_breakers import Guard
from rotator.engine.context import Dependencies
from rotator.engine.lease import Leases
from rotator.engine.reconciler import Reconciler, Transition
from rotator.engine.worker_pool import WorkerPool
from rotator.observe.health import Fleet
from rotator.observe.metrics import Metrics
from rotator.observe.status import Timeline
from rotator.ports import Capabilities, Installation, Provider
from rotator.providers import KINDS
from rotator.rotation.credential import Credential, VaultPath
from rotator.rotation.secret import Secret, SecretRef, SecretSource
from rotator.settings import Settings, load
from rotator.testing.memory_vault import MemoryJournal
from tests.kit.clock import StillClock
from tests.kit.provider import FakeProvider, Target
from tests.kit.store import FakeStore
from tests.model.soak.consumers import Consumers, WatchedVault
from tests.model.soak.targets import JudgingSite
from tests.unit.providers.desk import Keys
from tests.unit.providers.keys import ec_key, private_pem

HEAD = """
[vault]
address = "http://127.0.0.1:8200"
auth = {method = "token", token = {file = "FOLDER/token"}}

[targets.blog]
kind = "halo-cms"
url = "http://127.0.0.1:8090"
minter = {pat = {file = "FOLDER/token"}}
in_flight = 8

[targets.desk]
kind = "oauth"
url = "http://127.0.0.1:8091"
in_flight = 8
"""
PAT = """
[credentials.pat-{number:04}]
target = "blog"
path = "apps/pat-{number:04}"
roles = ["role-template-post-viewer"]
every = "{every}"
lifetime = "{lifetime}"
retire = {{after = "{grace}"}}
limits = {{mints_per_day = 1000}}
"""
ASSERTION = """
[credentials.assertion-{number:04}]
target = "desk"
kind = "client-assertion"
path = "apps/assertion-{number:04}"
client_id = "client-{number:04}"
algorithm = "ES256"
signing_key = {{file = "FOLDER/key.pem"}}
scopes = ["all"]
lifetime = "60s"
fraction = 0.6
rest = "15s"
"""


def mixed(count: int) -> str:
    """Every other credential a Halo token by the hour, every tenth a one-minute assertion, the rest by the day."""
    return "".join(
        ASSERTION.format(number=number)
        if number % 10 == 0
        else PAT.format(number=number, every="1h", lifetime="6h", grace="10m")
        if number % 2
        else PAT.format(number=number, every="1d", lifetime="7d", grace="1h")
        for number in range(count)
    )


def assertions(count: int) -> str:
    """Nothing but one-minute assertions."""
    return "".join(ASSERTION.format(number=number) for number in range(count))


def yearly(count: int) -> str:
    """Halo tokens as most people rotate them: by the day, by the week, by the month."""
    spans = itertools.cycle((("1d", "7d", "1h"), ("7d", "30d", "1d"), ("30d", "90d", "1d")))
    return "".join(
        PAT.format(number=number, every=every, lifetime=lifetime, grace=grace)
        for number, (every, lifetime, grace) in zip(range(count), spans, strict=False)
    )


SCENARIOS: dict[str, Callable[[int], str]] = {"mixed": mixed, "assertions": assertions, "yearly": yearly}


@dataclass
class House:
    """One actor with all that a daemon keeps in memory, over fakes. `bugs`: what ended visits."""

    settings: Settings
    reconcile: timedelta
    key: str  # where the settings say that the signing key is
    clock: StillClock = field(default_factory=StillClock)
    bugs: list[str] = field(default_factory=list)
    observers: list[Callable[[Transition], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        wanted = self.settings.credentials
        self.consumers = Consumers(self.clock, {each.place: each for each in wanted.values()})
        vault = WatchedVault(max_versions=3)  # what it keeps is the test's weight, not the rotator's
        vault.consumers = self.consumers
        self.vault = vault
        self.store = FakeStore(vault)
        self.journal = MemoryJournal(self.store)
        self.halo = Target(self.clock.now, seed="canary-soak")
        keys = {SecretRef(SecretSource.FILE, self.key): PEM}
        desk: Any = self.settings.targets["desk"].config
        self.desk = JudgingSite(desk, Keys(keys), self.clock)  # type: ignore[arg-type]  # a keyring in memory
        self.worker_pool = self._crew(wanted)
        self.fleet = Fleet(self.clock, silence=2 * self.reconcile + timedelta(minutes=1))
        self.fleet.show(self.worker_pool)
        self.metrics, self.timeline = Metrics(self.fleet, "soak"), Timeline()
        self.observers += [self.metrics, self.timeline]

    def dependencies(self, credential: Credential) -> Dependencies:
        """The world as one credential sees it."""
        provider: Provider = FakeProvider(self.halo, capabilities=HALO)
        if credential.kind == "client-assertion":
            provider = KINDS[credential.kind].bind(self.desk, credential)  # type: ignore[arg-type]  # the kind's own site
        slot = VaultPath("secret", f"rotator/staged/{credential.name}")
        return Dependencies(self.store, provider, self.clock, INSTALLATION, slot, self._nonce)

    def _nonce(self) -> str:
        self._count = getattr(self, "_count", 0) + 1
        return f"nonce-{self._count}"

    def _tell(self, transition: Transition) -> None:
        for observer in (lambda it: self.worker_pool.guard.observe(it.credential, it.event), *self.observers):
            observer(transition)

    def _crew(self, wanted: Mapping[str, Credential]) -> WorkerPool:
        async def control(credential: Credential) -> None:
            return

        leases = Leases("soak", self.settings.daemon.lease.total_seconds(), self.clock.monotonic)
        guard = Guard(
            reconciler=Reconciler(self.journal, leases, lambda: "abcdef", self._tell),
            dependencies=self.dependencies,
            clock=self.clock,
            unforeseen=lambda name, bug: self.bugs.append(f"{name}: {type(bug).__name__}: {bug}"),
            troubled=lambda credential, reason: self.bugs.append(f"{credential.name}: {reason}"),
            control=control,
            minter=lambda credential: credential.target,
        )
        limits = {name: target.in_flight for name, target in self.settings.targets.items()}
        return WorkerPool(guard, self.clock, wanted, limits, self.settings.daemon.in_flight, self.reconcile)


HALO = Capabilities(takes_token_name=True, can_list=True)
INSTALLATION = Installation("abcdef", b"the key of the soak's fingerprints")
PEM: Secret = private_pem(ec_key())


def house(scenario: str, count: int, folder: Path, reconcile: timedelta) -> House:
    """A house for this scenario; settings go through the real reader."""
    for name, text in {"token": "canary-soak-token", "key.pem": PEM.reveal()}.items():
        (folder / name).touch(0o600)
        (folder / name).write_text(text)
    path = folder / "rotator.toml"
    path.write_text((HEAD + SCENARIOS[scenario](count)).replace("FOLDER", str(folder)))
    return House(load(str(path)), reconcile, str(folder / "key.pem"))
