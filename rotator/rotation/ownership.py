"""What a value found on the consumer path is to us; reading it is the engine's."""

from __future__ import annotations

from enum import StrEnum

from rotator.rotation.record import PublishedValue, Record


class ConsumerContent(StrEnum):
    """What the newest version of the consumer path holds."""

    EMPTY = "empty"  # nothing yet, and nothing expected
    CURRENT = "current"  # the value we published last
    CANDIDATE = "candidate"  # the value this rotation wants to publish
    DELETED = "deleted"  # a person deleted what we had published
    FOREIGN = "foreign"  # somebody else's value


def classify_content(record: Record, fingerprint: str | None, *, exists: bool, deleted: bool) -> ConsumerContent:
    """Name the content by the fingerprint of its value (None: no value under our key)."""
    current = published_here(record)
    if fingerprint is not None:
        if record.candidate and fingerprint == record.candidate.fingerprint:
            return ConsumerContent.CANDIDATE
        return ConsumerContent.CURRENT if current and fingerprint == current.fingerprint else ConsumerContent.FOREIGN
    if deleted or (current and not exists):
        return ConsumerContent.DELETED
    return ConsumerContent.FOREIGN if current else ConsumerContent.EMPTY


def published_here(record: Record) -> PublishedValue | None:
    """What we published last, if it was at the place this rotation publishes to."""
    current = record.current
    return current if current and (record.place is None or current.place == record.place) else None
