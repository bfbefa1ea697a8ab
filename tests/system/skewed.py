"""A rotator whose wall clock is wrong: python -m tests.system.skewed SECONDS -c rotator.toml run

The product has no knob for that: its one clock is told another time. Monotonic time is left alone, as on any host.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

from rotator.cli import main
from rotator.host.cron import SystemClock


def skew(seconds: float) -> None:
    """From now on the product's clock is so many seconds ahead."""
    ahead = timedelta(seconds=seconds)
    SystemClock.now = lambda clock: datetime.now(UTC) + ahead  # type: ignore[method-assign] # the wrong clock is the point


if __name__ == "__main__":
    skew(float(sys.argv.pop(1)))
    main()
