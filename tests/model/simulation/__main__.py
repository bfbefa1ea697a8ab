"""The campaign command: `python -m tests.model.simulation --seeds N --from S`, or `--seed S` for one readable trace."""

from __future__ import annotations

import argparse
import signal
import sys
from functools import partial

from tests.model.simulation.campaign import campaign, run_seed


def main() -> int:
    """Run, print, and tell by the exit code whether every promise held in every seed that was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.model.simulation")
    parser.add_argument("--seeds", type=int, default=2000, help="how many")
    parser.add_argument("--from", dest="first", type=int, default=0, help="the first")
    parser.add_argument("--seed", type=int, help="replay one and print its trace")
    parser.add_argument("--lines", type=int, default=60, help="of the trace's end")
    options = parser.parse_args()
    if options.seed is not None:
        return show(options.seed, options.lines)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # either way it ends with a summary
    summary = campaign(options.first, options.seeds, say=partial(print, file=sys.stderr, flush=True))
    print(summary.text())  # noqa: T201 (a command)
    if summary.failed:
        show(min(summary.failed)[0], options.lines)
    return 1 if summary.failed or summary.seeds < options.seeds else 0


def show(seed: int, lines: int) -> int:
    """The readable trace of one seed."""
    history, text = run_seed(seed)
    head = f"--- seed {seed}: {text or 'every promise held'}"
    print(head, history.world.swarm, *history.world.lines[-lines:], sep="\n")  # noqa: T201 (a command)
    return 1 if text else 0


if __name__ == "__main__":
    sys.exit(main())
