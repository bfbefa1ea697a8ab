"""What credentials that left the settings have left alive, by their records. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from rotator.rotation.credential import VaultPath
from rotator.rotation.record import PublishedValue, Record, Token, TokenAdoption
from rotator.rotation.token_ownership import living, same


@dataclass(frozen=True, slots=True)
class Unmanaged:
    """A token that nobody rotates or ends any more. Times are UTC."""

    credential: str
    target: str
    token: str
    path: str  # where it was published, or was about to be
    published_at: datetime  # or made
    expires_at: datetime | None
    read: bool = False  # a credential of the settings has the path: its consumers may read it still

    @property
    def next(self) -> str:
        """What comes next, in words: a person has to do it."""
        return self.end if self.read else f"nothing by itself; to end it: {self.end}"

    @property
    def end(self) -> str:
        """The command that ends it, once a person has agreed. None is proposed for what consumers may read."""
        if self.read:
            return "it stays: settings have its path, and consumers may read it"
        return f"rotate strays --reap --unclaimed {self.token}"


def unmanaged(
    left: Mapping[str, Record], configured: Iterable[Record], now: datetime, places: Mapping[VaultPath, timedelta]
) -> list[Unmanaged]:
    """Every token that lives on. One that was taken over under another name is that credential's, dead or alive.

    `places`: those that the settings have, and how long a value that was replaced there is still good.
    """
    theirs: defaultdict[str, list[Token]] = defaultdict(list)
    adopted: defaultdict[str, list[tuple[TokenAdoption, Record]]] = defaultdict(list)
    named = tuple(configured)
    for record in named:
        for each in filter(None, (record.current, record.predecessor)):
            theirs[each.token.id].append(each.token)
    for record in (*named, *left.values()):
        for taken in record.adopted:
            adopted[taken.token.id].append((taken, record))

    def goes_on(record: Record, each: PublishedValue) -> bool:
        """Whether another record has to do with it since."""
        later = (taken.token for taken, by in adopted[each.token.id] if by is not record and taken.at > each.at)
        return any(same(each.token, other) for other in (*theirs[each.token.id], *later))

    written = {record.current.place: record.current for record in named if record.current}

    def read(each: PublishedValue) -> bool:
        """Whether consumers may read it where settings have its path, or read it there until a moment ago."""
        if each.place not in places:
            return False
        newest = written.get(each.place)
        return newest is None or now < newest.at + places[each.place]

    return [
        Unmanaged(
            *(name, each.target, each.token.id, str(each.place), each.at, each.token.expires_at),
            read=read(each),
        )
        for name, record in sorted(left.items())
        for each in (*living(record, now), *_made(record, now))
        if not goes_on(record, each)
    ]


def _made(record: Record, now: datetime) -> Iterator[PublishedValue]:
    """What a rotation had made when its credential left: perhaps it is published, though the record does not know."""
    candidate, at, place = record.candidate, record.sent_at or record.requested_at, record.place
    if candidate is None or candidate.pending or at is None or place is None:
        return
    if candidate.token.expires_at is None or now < candidate.token.expires_at:
        yield PublishedValue(
            *(candidate.token, candidate.fingerprint, record.rotation, 0, at, place, record.target, record.policy)
        )
