"""`make campaign-walk`: walks, and prints what they came to; exit code 1 where a promise is broken."""

from __future__ import annotations

import argparse
import sys
import time

from tests.model.walk.planted import BUGS
from tests.model.walk.target import FAMILIES
from tests.model.walk.walk import KINDS, ROTATIONS, Rules, Walk


def main() -> int:
    """Walk as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.model.walk", description=__doc__)
    parser.add_argument("--family", choices=[*FAMILIES, "all"], default="all", help="sort of target")
    parser.add_argument("--faults", type=int, default=1, help="in one history, at most")
    parser.add_argument("--kinds", default=",".join(KINDS), help="of faults, separated by commas")
    parser.add_argument(
        "--most", type=int, default=5_000_000, help="states, at which a walk stops; about 500 bytes each"
    )
    parser.add_argument("--planted", action="store_true", help="the planted bugs, and the shortest history to each")
    args = parser.parse_args()
    if args.planted:
        return _planted()
    kinds = tuple(args.kinds.split(","))
    if unknown := set(kinds) - set(KINDS):
        parser.error(f"no kind of fault: {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    names = FAMILIES if args.family == "all" else (args.family,)
    return max(_walked(name, kinds, args.faults, args.most) for name in names)


def _walked(name: str, kinds: tuple[str, ...], faults: int, most: int) -> int:
    began = time.process_time()
    walk = Walk(Rules(FAMILIES[name], kinds), faults, most).run()
    _say(
        f"{name}, at most {faults} faults ({', '.join(kinds)}): {len(walk.came):,} states, {walk.transitions:,} "
        f"transitions, depth {walk.depth}, {time.process_time() - began:.0f} s"
    )
    _say(f"  bounded: {walk.cut:,} transitions to a rotation after number {ROTATIONS} were not taken", end="")
    _say(f"; {walk.unwalked:,} states at the end were not walked on from" if walk.unwalked else "; nothing else")
    _violations(walk)
    return bool(walk.violations)


def _violations(walk: Walk) -> None:
    for text, history in walk.violations.items():
        _say(f"  BROKEN {text}, after {len(history)} steps:")
        for each in history:
            _say(f"    {each}")


def _planted() -> int:
    missed = 0
    for bug in BUGS:
        walk = bug.walk()
        _say(f"{bug.promise}: {bug.words}: {len(walk.came):,} states")
        _violations(walk)
        missed += not any(text.startswith(f"{bug.promise}:") for text in walk.violations)
    return bool(missed)


def _say(text: str, end: str = "\n") -> None:
    sys.stdout.write(text + end)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
