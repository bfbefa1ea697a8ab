"""When so much fails at a target that nothing new may begin there until a person has looked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from rotator.rotation.record import Record
from rotator.rotation.wording import counted

LATEST = 10  # attempts of different credentials that are looked at
FEWEST = 3  # failed ones: a single bad credential stops nobody else
REFUSED = 2  # credentials whose value the target refused soon after its publication
_SOON = timedelta(hours=1)  # after a publication
_FORGOTTEN = timedelta(hours=24)  # attempts older than that tell nothing of today


@dataclass(frozen=True, slots=True)
class Attempt:
    """The outcome of the latest rotation of one credential, and when."""

    at: datetime
    failed: bool
    refused: bool = False  # the target refused the value after it was published


def latest_attempt(record: Record) -> Attempt | None:
    """The outcome of its latest rotation; None: there was none. A rotation under way has none yet."""
    current, failure = record.current, record.failure
    if record.given_up and failure:
        return Attempt(failure.at, failed=True)
    if current is None or current.reused:
        return None
    if record.refused_at and record.refused_at - current.at <= _SOON:
        return Attempt(record.refused_at, failed=True, refused=True)
    return Attempt(current.at, failed=False)


def why_stop(records: Iterable[Record], now: datetime, since: datetime | None, share: float) -> str:
    """Why nothing new may begin at the target of these records, in words; empty: it may.

    `share`: more than this share of the latest attempts failed. `since`: what was before that (a person let it go on)
    does not count. A target that does not answer fails no attempt: those are tried again until it does.
    """
    begun = max(since, now - _FORGOTTEN) if since else now - _FORGOTTEN
    found = (each for each in map(latest_attempt, records) if each and each.at > begun)
    latest = sorted(found, key=lambda each: each.at)[-LATEST:]
    failed, refused = sum(each.failed for each in latest), sum(each.refused for each in latest)
    if refused >= REFUSED:
        return f"it refused {counted(refused, 'value')} soon after their publication"
    if failed >= FEWEST and failed > share * len(latest):
        return f"{failed} of the latest {counted(len(latest), 'rotation')} there failed"
    return ""


Place = tuple[str, str]  # a target, and a kind of credentials there


def stops_to_make(
    records: Mapping[Place, Iterable[Record]],
    now: datetime,
    since: Mapping[Place, datetime],
    share: Mapping[str, float],
) -> dict[Place, str]:
    """Where nothing new may begin, and why. `share`: by target; `since`: see `why_stop`."""
    found = {place: why_stop(some, now, since.get(place), share.get(place[0], 1.0)) for place, some in records.items()}
    return {place: said for place, said in found.items() if said}
