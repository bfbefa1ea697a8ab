"""`make bench`: the rotator, a bare loop and two scripts do the same rotations by turns, on the same two servers.

    python -m tests.tools.bench [--rotations 200] [--rounds 3] [--script-rotations 24] [--profile FILE]

What the figures mean is in README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
from pathlib import Path

from tests.sandbox.environment import World
from tests.tools.bench import calls, contestants
from tests.tools.bench.contestants import Bare, Rotator, Script
from tests.tools.bench.figures import Measured, Meter, table

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.tools.bench", description=__doc__.splitlines()[0])
    parser.add_argument("--rotations", type=int, default=200, help="per round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--script-rotations", type=int, default=24, help="per round, for the scripts")
    parser.add_argument("--profile", type=Path, help="run the daemon under a profiler; the figures are then useless")
    chosen = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a text stream unless replaced
    with World() as world:
        run(world, chosen)


def run(world: World, chosen: argparse.Namespace) -> None:
    names = [f"blog-{number}" for number in range(chosen.rotations)]
    settings = contestants.settings(world, [*names, "counted"])
    kinds, journal = calls.of_one_rotation(settings, "counted")
    say(f"{platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    say(f"one rotation makes {len(kinds)} calls: {', '.join(kinds)}")
    contest = [
        Rotator(world, settings, names, chosen.profile),
        *(Bare(world, name, kinds, journal, chosen.rotations) for name in ("bare", "bare_tuned", "bare_async")),
    ]
    if missing := [tool for tool in ("bash", "curl", "xargs") if not shutil.which(tool)]:
        say(f"SKIPPED: the two scripts, because {', '.join(missing)} is missing here; install it and run again")
    else:
        contest += [
            Script(world, HERE / "script.sh", journal, chosen.script_rotations),
            Script(world, HERE / "script_safe.sh", journal, chosen.script_rotations),
        ]
    try:
        for each in contest:
            each.begin()
        measure(world, contest, chosen.rounds)
    finally:
        contest[0].end()


def measure(world: World, contest: list[Rotator | Bare | Script], rounds: int) -> None:
    seen: dict[str, list[Measured]] = {each.name: [] for each in contest}
    for number in range(rounds):
        for each in contest:
            meter = Meter(world)
            own = each.go()
            seen[each.name].append(meter.read(own, each.count))
            say(f"round {number + 1}  {json.dumps({'who': each.name, **seen[each.name][-1].rounded()})}")
    for line in table(seen):
        say(line)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
