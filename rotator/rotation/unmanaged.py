"""What credentials that left the settings have left alive, by their records. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from rotator.rotation.credential import Place
from rotator.rotation.record import Published, Record
from rotator.rotation.token_owners import living, same


@dataclass(frozen=True, slots=True)
class Unmanaged:
    """A token that nobody rotates or ends any more. Times are UTC."""

    credential: str
    target: str
    token: str
    path: str  # where it was published
    published_at: datetime
    expires_at: datetime | None
    read: bool = False  # a credential of the settings has the path: its consumers may read it still

    @property
    def end(self) -> str:
        """The command that ends it, once a person has agreed. None is proposed for what consumers may read."""
        if self.read:
            return "nothing while settings have the path: consumers read it"
        return f"rotate strays --reap --unclaimed {self.token}"


def unmanaged(
    left: Mapping[str, Record], configured: Iterable[Record], now: datetime, places: Collection[Place]
) -> list[Unmanaged]:
    """Every token that lives on. One that was taken over under another name is that credential's. `places`: of those
    that the settings have."""
    theirs = [each for record in configured for each in _tokens(record)]
    return [
        Unmanaged(
            *(name, each.target, each.token.id, str(each.place), each.at, each.token.expires_at),
            read=each.place in places,
        )
        for name, record in sorted(left.items())
        for each in living(record, now)
        if not any(same(each.token, other.token) for other in theirs)
    ]


def _tokens(record: Record) -> Iterator[Published]:
    return filter(None, (record.current, record.predecessor))
