"""The soak.

`python -m tests.model.soak --hours 24`, `--days 365 --scenario yearly`, `--hours 24 --scenario assertions`.
"""

from __future__ import annotations

import argparse
import sys
from datetime import timedelta
from functools import partial

import anyio

from tests.model.soak.run import PLANTS, soak
from tests.model.soak.scenarios import SCENARIOS

RECONCILE = {"mixed": 45.0, "assertions": 45.0, "yearly": 3600.0}  # seconds; a year of looks each 45 s shows no more
# Hours until what is kept for a bounded time or in a bounded number is full: mints are remembered for a day, and the
# status page tells the last forty transitions of each credential, which for a monthly one is half a year.
WARM_UP = {"mixed": 24.0, "assertions": 0.5, "yearly": 180 * 24.0}
COUNT = {"mixed": 50, "assertions": 200, "yearly": 60}


def main() -> int:
    """Run, print, and tell by the exit code whether every promise held."""
    parser = argparse.ArgumentParser(prog="python -m tests.model.soak", description=__doc__)
    parser.add_argument("--scenario", choices=SCENARIOS, default="mixed")
    parser.add_argument("--hours", type=float, default=0.0, help="of virtual time")
    parser.add_argument("--days", type=float, default=0.0)
    parser.add_argument("--warm-up", type=float, help="hours before them in which nothing is weighed")
    parser.add_argument("--credentials", type=int)
    parser.add_argument("--reconcile", type=float, help="seconds between two looks at a name at which nothing is due")
    parser.add_argument("--plant", choices=PLANTS, help="with this mistake in it: the soak must fail")
    wishes = parser.parse_args()
    name = wishes.scenario
    reconcile = timedelta(seconds=wishes.reconcile or RECONCILE[name])
    hours = wishes.hours + 24 * wishes.days or 24.0
    plant = PLANTS[wishes.plant] if wishes.plant else None
    warm_up = WARM_UP[name] if wishes.warm_up is None else wishes.warm_up
    outcome = anyio.run(partial(soak, name, wishes.credentials or COUNT[name], warm_up, hours, reconcile, plant))
    sys.stdout.write(f"{name}: {outcome}\n" + "".join(f"  {text}\n" for text in outcome.violations[:50]))
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    sys.exit(main())
