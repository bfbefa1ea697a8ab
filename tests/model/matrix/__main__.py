"""The command: all cells; `--write` renews MATRIX.md; `--pairs --seed N` pairs of faults; `--only TEXT` some cells."""

from __future__ import annotations

import argparse
import sys

from tests.model.matrix.pairs import campaign
from tests.model.matrix.run import cells, outcome, perform
from tests.model.matrix.stories import STORIES
from tests.model.matrix.table import FILE, run


def main() -> int:
    """Run, print, and tell by the exit code whether every cell came to what it must, or every promise held."""
    parser = argparse.ArgumentParser(prog="python -m tests.model.matrix")
    parser.add_argument("--write", action="store_true", help="renew MATRIX.md")
    parser.add_argument("--pairs", action="store_true", help="pairs of faults")
    parser.add_argument("--seed", type=int, default=0, help="decides which pairs")
    parser.add_argument("--limit", type=int, default=100_000, help="how many pairs at most")
    parser.add_argument("--minutes", type=float, default=60.0, help="how long at most")
    parser.add_argument("--only", default="", help="show the cells whose name has this in it")
    options = parser.parse_args()
    if options.pairs:
        summary = campaign(options.seed, options.limit, options.minutes)
        print(summary.text())  # noqa: T201 (a command)
        return 1 if summary.broken else 0
    if options.only:
        return show(options.only)
    table = run()
    if options.write:
        FILE.write_text(table.text(), "utf-8")
    print(f"{len(table.found)} cells, {len(table.wrong)} not as the rules say", *table.wrong, sep="\n")  # noqa: T201 (a command)
    return 1 if table.wrong else 0


def show(only: str) -> int:
    """What happened in each of some cells."""
    for story in STORIES:
        for cell in cells(story):
            if only in f"{story.kind.value}, {story.name}: {cell}":
                done = perform(story, cell)
                print(f"{story.kind.value}, {story.name}: {cell}: {outcome(done)}", *done.events, *done.ends)  # noqa: T201 (a command)
    return 0


if __name__ == "__main__":
    sys.exit(main())
