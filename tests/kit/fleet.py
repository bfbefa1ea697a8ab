"""A fleet to look at without a daemon: what the crew would show, set by hand; and one of every sort of trouble."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from rotator.engine.reconciler import ReconcileResult, Transition
from rotator.observe.health import Fleet
from rotator.rotation.credential import Credential, Retirement, VaultPath
from rotator.rotation.events import Event
from rotator.rotation.record import Failure, HoldReason, Phase, Record
from rotator.rotation.steps import Wait
from rotator.rotation.transitions import advance
from tests.kit.clock import HandClock
from tests.kit.records import OnHold
from tests.unit.rotation.builders import DAY, HOUR, MINUTE, NOW, SECOND, credential, published, record, token


@dataclass
class FakeNeighbour:
    """Vault, a target or a minter."""

    trips: int = 0
    reason: str = ""
    until: float = 0.0

    def left(self, now: float) -> float:
        return max(0.0, self.until - now)


@dataclass
class FakeNeighbours:
    """All of them."""

    vault: FakeNeighbour = field(default_factory=FakeNeighbour)
    targets: dict[str, FakeNeighbour] = field(default_factory=dict)
    minters: dict[str, FakeNeighbour] = field(default_factory=dict)


@dataclass
class FakeView:
    """What a crew shows. `put` a credential with what its last visit found."""

    credentials: dict[str, Credential] = field(default_factory=dict)
    seen: dict[str, ReconcileResult] = field(default_factory=dict)
    read_at: Mapping[str, datetime] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)
    accepted: Mapping[str, datetime] = field(default_factory=dict)
    doubted: Mapping[str, datetime] = field(default_factory=dict)
    unproven: Mapping[str, datetime] = field(default_factory=dict)
    left: Mapping[str, Record] = field(default_factory=dict)
    health: FakeNeighbours = field(default_factory=FakeNeighbours)
    moved: float = 1000.0

    @property
    def unread(self) -> set[str]:
        return {name for name in self.credentials if name not in self.seen or self.seen[name].record is None}

    def put(self, wanted: Credential, found: Record | None, reason: str = "") -> None:
        self.credentials[wanted.name] = wanted
        self.seen[wanted.name] = ReconcileResult(found, Wait(NOW, reason))

    def pause(self, credential: Credential) -> tuple[float, str]:
        neighbour = self.health.targets.get(credential.target, FakeNeighbour())
        return neighbour.left(1000.0), neighbour.reason


def fleet(*pairs: tuple[Credential, Record | None]) -> tuple[Fleet, FakeView, HandClock]:
    """A fleet over a view over a stopped clock."""
    view, clock = FakeView(), HandClock(NOW)
    for wanted, found in pairs:
        view.put(wanted, found and at_home(wanted, found))
    looked = Fleet(clock, silence=10 * MINUTE)
    looked.show(view)
    return looked, view, clock


def at_home(wanted: Credential, found: Record) -> Record:
    """The same record, published where the credential wants it."""
    there = {"place": wanted.place, "target": wanted.target, "policy": wanted.policy}
    tokens = {role: replace(each, **there) for role in ("current", "predecessor") if (each := getattr(found, role))}
    return replace(found, target=wanted.target, place=wanted.place, **tokens)


def settled(at: datetime = NOW - 3 * DAY, life: timedelta | None = 90 * DAY, **changes) -> Record:
    """A record at rest, its value published at `at`."""
    there = published(1, at)
    end = at + life if life else None
    current = published(1, at, token=token(1, expires_at=end), policy=there.policy)
    return record(Phase.SETTLED, **{"current": current, "requested_at": at - MINUTE, **changes})


def transition(wanted: Credential, before: Record, event: Event, seconds: float = 0.25) -> Transition:
    """A transition, as observers are told."""
    return Transition(wanted, before, event, advance(before, event), seconds, "host-a/1/abc")


def named(name: str, **changes) -> Credential:
    """A credential of this name."""
    return credential(name=name, place=VaultPath("secret", f"apps/{name}"), **changes)


def troubled() -> tuple[Fleet, FakeView, HandClock]:
    """One credential in every state that the page knows, some of their texts hostile."""
    slow = named("search/indexer", target="search", retire=Retirement(HOUR, 15 * MINUTE, DAY))
    grace = record(Phase.PUBLISHED, current=published(2, NOW - 20 * MINUTE), grace_ends=NOW + 40 * MINUTE)
    late = record(Phase.CONDEMNED, current=published(2, NOW - 2 * DAY), condemned_at=NOW - DAY)
    late_because = Failure("revoke", "HTTP 503 from the target", NOW - MINUTE)
    hold = OnHold(
        HoldReason.FOREIGN_WRITE, "somebody wrote secret/apps/payments over version 7", Phase.VERIFIED, NOW - HOUR
    )
    fault = Failure("mint", "the target refused to mint: <script>alert(1)</script> & quota of 10 reached", NOW - MINUTE)
    looked, view, clock = fleet(
        (named("blog/newsletter"), settled()),
        (named("blog/preview"), settled(NOW - 20 * DAY)),
        (named("blog/comments-moderation-service"), grace),
        (slow, record(Phase.PUBLISHED, current=published(2, NOW - 3 * HOUR), grace_ends=NOW - 2 * HOUR)),
        (named("billing", target="desk"), settled(NOW - 31 * DAY, None)),
        (named("payments", target="desk"), record(Phase.HELD, held=hold)),
        (named("exports"), settled(failure=fault, failures=3, retry_at=NOW + 4 * MINUTE)),
        (named("archive"), replace(late, failure=late_because, failures=5)),
        (named("reports"), settled(refused_at=NOW - 90 * SECOND)),
        (named("brand-new"), None),
        (named("ci"), record(Phase.STAGED, requested_at=NOW - 20 * SECOND)),
        (named("edge", target="cdn"), settled()),
    )
    view.health.targets["cdn"] = FakeNeighbour(3, "timed out after 10 s", 1017.0)
    view.health.minters["desk"] = FakeNeighbour(2, "HTTP 401: the minter's token is not accepted", 1060.0)
    return looked, view, clock
