"""The records, credentials and tokens that the rotation tests start from; each test changes what it is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import settings

from rotator.rotation.credential import Credential, VaultPath
from rotator.rotation.events import Event
from rotator.rotation.record import Candidate, Failure, HoldReason, Phase, PublishedValue, Record, Token, Undo
from rotator.rotation.rotation_request import RotationRequest
from rotator.rotation.schedule import Every
from rotator.rotation.token_names import mint_name
from rotator.rotation.transitions import advance
from tests.kit.records import OnHold, known, record_of, replace

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PLACE = VaultPath("kv", "blog/bot")
STEM = "rotator-home-blog-bot-l1"

# the same examples every time, nothing written to disk, no deadline on a busy machine
steady = settings(derandomize=True, database=None, deadline=None)


def credential(**changes: Any) -> Credential:
    """A credential of target `blog`, due every 30 days without jitter; its predecessor has an hour of grace."""
    wanted = Credential("blog/bot", "halo-cms", "blog", PLACE, schedule=Every(30 * DAY, jitter=0))
    return replace(wanted, **changes)


def ask(at: datetime = NOW, **changes: Any) -> RotationRequest:
    """What `rotate now` leaves behind."""
    return replace(RotationRequest(at, "ada"), **changes)


def token(rotation: int, attempt: int = 1, **changes: Any) -> Token:
    """The token that one attempt of the credential's rotation minted."""
    return replace(Token(f"t{rotation}.{attempt}", mint_name(STEM, rotation, attempt)), **changes)


def candidate(rotation: int = 2, attempt: int = 1) -> Candidate:
    """That token, staged."""
    return Candidate(token(rotation, attempt), f"print-{rotation}.{attempt}", slot_version=rotation)


def published(rotation: int, at: datetime = NOW, **changes: Any) -> PublishedValue:
    """That token, on the consumer path since `at`."""
    there = PublishedValue(
        token=token(rotation),
        fingerprint=f"print-{rotation}.1",
        rotation=rotation,
        version=rotation,
        at=at,
        place=PLACE,
        target="blog",
        policy=credential().policy,
    )
    return replace(there, **changes)


def record(phase: Phase, **changes: Any) -> Record:
    """A record as the second rotation leaves it in `phase`; settled means that the first one is over."""
    hold = changes.get("held")
    shape = _SHAPES.get(hold.phase if hold else phase, {}) | ({} if hold else _HOLD if phase is Phase.HELD else {})
    return record_of({**_BASE, "phase": phase, **shape, **changes}, frozenset(shape))


_BASE: dict[str, Any] = {
    "lineage": "l1",
    "rotation": 2,
    "attempt": 1,
    "place": PLACE,
    "target": "blog",
    "policy": credential().policy,
    "stem": STEM,
    "requested_at": NOW,
    "sends": 1,
    "sent_at": NOW,
    "mints": (NOW,),
    "current": published(1),
}
_CANDIDATE: dict[str, Any] = {"candidate": candidate(), "slot_version": 2, "slot_full": True}
_OVERLAP: dict[str, Any] = {"current": published(2), "predecessor": published(1, NOW - 30 * DAY), "slot_full": True}
_VERIFIED: dict[str, Any] = _CANDIDATE | {"verified_at": NOW, "expected_version": 1}
_HOLD: dict[str, Any] = _VERIFIED | {"held": OnHold(HoldReason.FOREIGN_WRITE, "look at it", Phase.VERIFIED, NOW)}
_SHAPES: dict[Phase, dict[str, Any]] = {
    Phase.SETTLED: {"rotation": 1, "mints": (), "sends": 0, "sent_at": None},
    Phase.AWAITING: {"awaiting": "paste the key", "awaiting_since": NOW, "reminded_at": NOW},
    Phase.STAGED: _CANDIDATE,
    Phase.INSTALLED: _CANDIDATE | {"installed_at": NOW, "ready_at": NOW + SECOND},
    Phase.VERIFIED: _VERIFIED,
    Phase.PUBLISHED: _OVERLAP,
    Phase.CONDEMNED: _OVERLAP | {"condemned_at": NOW},
    Phase.REJECTED: _CANDIDATE | {"failure": Failure("verify", "refused", NOW)},
    Phase.UNDOING: _OVERLAP | {"rotation": 3, "undo": Undo("ada", NOW, Phase.PUBLISHED)},
}


def changes(before: Record, event: Event) -> dict[str, Any]:
    """What an event makes different in a record: the new values of the fields that changed."""
    was, now = known(before), known(advance(before, event))
    return {name: each for name, each in now.items() if each != was.get(name) and (each or was.get(name))}
