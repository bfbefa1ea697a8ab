"""The consumers' view of a soak: whether each value came in time, and whether the old one still held then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rotator.rotation.credential import Credential, VaultPath
from tests.kit.clock import StillClock
from tests.kit.store import FakeVault

LATEST = timedelta(seconds=30 + 60)  # after the due time: a lease and a minute


@dataclass
class Consumers:
    """Told of every write to a consumer path, whoever made it and whatever the records say."""

    clock: StillClock
    credentials: Mapping[VaultPath, Credential]
    published: int = 0
    worst: timedelta = timedelta(0)
    shortest: timedelta = timedelta.max  # that a value had left to live when its successor came
    missed: list[str] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)
    _present: dict[VaultPath, tuple[datetime, datetime | None]] = field(default_factory=dict)

    def wrote(self, place: VaultPath, values: Mapping[str, object]) -> None:
        """A new value is there."""
        self._judge(place, "came")
        end = values.get("expires_at")
        self._present[place] = self.clock.now(), datetime.fromisoformat(str(end)) if end else None
        self.published += 1

    def close(self) -> None:
        """The run is over: what is due by now and did not come was missed."""
        for place in self.credentials:
            if place in self._present:
                self._judge(place, "was still to come")
            else:
                self.missed.append(f"{place}: nothing was ever published")

    def _judge(self, place: VaultPath, verb: str) -> None:
        if place not in self._present:
            return
        since, end = self._present[place]
        credential, now = self.credentials[place], self.clock.now()
        due = credential.schedule.due(credential.name, since, end)
        if due is not None:
            self.worst = max(self.worst, now - due)
            if now > due + LATEST:
                self.missed.append(f"{place}: a value due {due:%FT%TZ} {verb} at {now:%FT%TZ}")
        if end is not None:
            self.shortest = min(self.shortest, end - now)
            if end <= now:
                self.expired.append(f"{place}: expired {end:%FT%TZ}, its successor {verb} at {now:%FT%TZ}")


class WatchedVault(FakeVault):
    """The fake server; it tells consumers, and forgets its own history, which would be a leak of the test's."""

    consumers: Consumers

    def put(self, place: VaultPath, values: Mapping[str, object], cas: int | None) -> int:
        """See `FakeVault.put`."""
        version = super().put(place, values, cas)
        self.history.clear()
        if place in self.consumers.credentials:
            self.consumers.wrote(place, values)
        return version
