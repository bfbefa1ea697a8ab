"""The campaign command: `python -m tests.hostile`, all cells; `--short --seed N` for a part, `--only TEXT` for some."""

from __future__ import annotations

import argparse
import sys

from tests.hostile.behaviours import BEHAVIOURS
from tests.hostile.matrix import SITES, chosen, every, run


def main() -> int:
    """Run, print, and tell by the exit code whether every cell ended as it must."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile")
    parser.add_argument("--seed", type=int, default=0, help="decides which cells a short run takes")
    parser.add_argument("--short", action="store_true", help="a part only")
    parser.add_argument("--only", default="", help="cells whose name has this in it, as `site / behaviour`")
    options = parser.parse_args()
    cells = chosen(options.seed) if options.short else every(options.only)
    print(f"seed {options.seed}: {len(BEHAVIOURS)} behaviours, {len(SITES)} call sites, {len(cells)} cells")  # noqa: T201 (a command)
    summary = run(cells)
    print(summary.text())  # noqa: T201 (a command)
    return 1 if summary.violations else 0


if __name__ == "__main__":
    sys.exit(main())
