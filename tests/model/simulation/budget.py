"""I6 over one day: what the schedule minted, and what emergencies did; what was asked for and published is neither."""

from __future__ import annotations

from dataclasses import dataclass, field

from rotator.rotation.record import Phase, Record, Trigger

Mints = list[tuple[float, int]]  # when, and for which rotation


@dataclass
class Budget:
    """Of one credential. `ended_well`: rotations that a person asked for, and that were published."""

    scheduled: Mints = field(default_factory=list)
    emergencies: Mints = field(default_factory=list)
    ended_well: set[int] = field(default_factory=set)

    def minted(self, at: float, since: float, rotation: int, record: Record | None, most: int) -> int:
        """Count one mint that landed; returns its number when it is one too many, else 0.

        In an emergency it may have been authorised before somebody said that it is one.
        """
        if rotation in self.ended_well:
            return 0
        emergency = bool(record and record.emergency)
        for mints in [self.emergencies, self.scheduled] if emergency else [self.scheduled]:
            mints[:] = [each for each in mints if each[0] > since]
            if len(mints) < most:
                mints.append((at, rotation))
                return 0
        return len(mints) + 1

    def journalled(self, record: Record) -> None:
        """Forget what was asked for and is published."""
        asked = record.why is Trigger.ASKED or record.emergency
        if asked and record.phase is Phase.PUBLISHED:
            self.ended_well.add(record.rotation)
            for mints in (self.scheduled, self.emergencies):
                mints[:] = [each for each in mints if each[1] != record.rotation]
