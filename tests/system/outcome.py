"""What a campaign of kills came to: each kill, the times of all of them, and the words for it.

Where to strike and how to judge is kill_anywhere.py's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tests.system.kinds import KINDS
from tests.system.proxy import Call, Side


@dataclass(frozen=True)
class Crash:
    """One kill: where, how long until all was well again, and what was wrong then.

    `seconds` count from the moment the new daemon was ready: how fast a busy machine starts Python is not ours.
    `cut` and `fair` are how long consumers were cut off, through the kill and in the next rotation. `missed`: this
    rotation needed fewer calls than the one that was learned from.
    """

    kind: str
    call: Call
    side: Side
    seconds: float
    faults: tuple[str, ...] = ()
    cut: tuple[float, ...] = ()
    fair: tuple[float, ...] = ()
    missed: bool = False


@dataclass(frozen=True)
class Outcome:
    """A whole campaign. `calls` are those of one rotation, by kind."""

    calls: dict[str, tuple[Call, ...]]
    crashes: tuple[Crash, ...]
    probes: int
    violations: tuple[str, ...]

    def of(self, *kinds: str) -> Outcome:
        """The kills of these kinds; probes and violations are those of the whole campaign."""
        crashes = tuple(crash for crash in self.crashes if crash.kind in kinds)
        return replace(self, calls={name: self.calls[name] for name in kinds}, crashes=crashes)

    def percentile(self, share: float) -> float:
        """Recovery in seconds."""
        return quantile([crash.seconds for crash in self.crashes], share)

    @property
    def missed(self) -> int:
        """Kills that were not made, since the rotation was over before."""
        return sum(crash.missed for crash in self.crashes)

    def __str__(self) -> str:
        told = [self._told(name, [crash for crash in self.crashes if crash.kind == name]) for name in self.calls]
        many = [f"{self.probes} probes, {len(self.violations)} violations"]
        return "\n".join(told + many)

    def _told(self, name: str, crashes: list[Crash]) -> str:
        calls, struck = self.calls[name], [crash for crash in crashes if not crash.missed]
        dependencies = ", ".join(
            f"{sum(call.edge == edge for call in calls)} {edge}" for edge in ("vault", KINDS[name].edge)
        )
        text = f"{name}: {len(struck)} kills at {len(calls)} calls ({dependencies}), recovery s"
        text += f" {percentiles([crash.seconds for crash in struck])}"
        if len(struck) < len(crashes):
            text += f", {len(crashes) - len(struck)} came too late"
        if KINDS[name].overlap:
            return text
        cut, fair = [x for crash in crashes for x in crash.cut], [x for crash in crashes for x in crash.fair]
        return text + f"; consumers cut off, ms: {percentiles(fair, 1000)}; through a kill: {percentiles(cut, 1000)}"


def percentiles(times: Sequence[float], unit: float = 1.0) -> str:
    """p50, p99 and the longest, or nothing."""
    if not times:
        return "none seen"
    shown = [quantile(times, share) * unit for share in (0.5, 0.99, 1.0)]
    return "p50 {:.1f}, p99 {:.1f}, longest {:.1f}".format(*shown) + f" of {len(times)}"


def quantile(times: Sequence[float], share: float) -> float:
    """One of the times, 0 for none."""
    return sorted(times)[min(len(times) - 1, int(len(times) * share))] if times else 0.0
