"""Which credentials this daemon looks at first, judged by the heartbeats of all."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rotator.rotation.replica_share import Heartbeat, first_replica, living, names_digest


@dataclass(slots=True)
class Replicas:
    """The daemons that live, as this one knows them. `own`: its instance; `every`: between two heartbeats."""

    own: str = ""
    every: timedelta = timedelta(seconds=30)
    others: Mapping[str, Heartbeat] = field(default_factory=dict)  # by instance
    _first: dict[str, bool] = field(default_factory=dict)  # answers, until the others change

    def looks_first(self, name: str) -> bool:
        """Whether this daemon looks at the credential before the others do."""
        if not self.others:
            return True
        known = self._first.get(name)
        if known is None:
            known = self._first[name] = first_replica(name, (self.own, *self.others)) == self.own
        return known

    def works(self, holder: str) -> bool:
        """Whether the holder of a lease is another daemon that lives."""
        return any(each.holder == holder for each in self.others.values()) and bool(holder)

    def heard(self, beats: Iterable[Heartbeat], now: datetime, names: Collection[str]) -> tuple[set[str], set[str]]:
        """Take the heartbeats of all daemons; those of other credentials count for none. `now`: Vault's clock; `names`:
        of all credentials.

        Returns the names that an ended daemon worked on, and all names that became this daemon's to look at first.
        """
        ours = names_digest(names)
        told = {each.instance: each for each in beats if each.instance != self.own and each.credentials == ours}
        before, found = self.others, living(told.values(), now, self.every)
        self.others = {each: told[each] for each in found}
        restarted = {each for each in found & before.keys() if told[each].holder != before[each].holder}
        left = {name for each in (before.keys() - found) | restarted for name in before[each].in_flight}
        if found == before.keys():
            return left, set()
        had = {name for name in names if not before or self._first.get(name, False)}
        self._first.clear()
        return left, {name for name in names if self.looks_first(name)} - had
