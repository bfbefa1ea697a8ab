"""The campaign command: `python -m tests.hostile.fuzz --minutes N --seed S`."""

from __future__ import annotations

import argparse
import sys

from tests.hostile.fuzz.campaign import campaign


def main() -> int:
    """Run, print, and tell by the exit code whether everything held."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.fuzz")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0, help="the first of the numbers that decide the examples")
    options = parser.parse_args()
    summary = campaign(options.seed, options.minutes)
    print(summary.text())  # noqa: T201 (a command)
    return 1 if summary.failed else 0


if __name__ == "__main__":
    sys.exit(main())
