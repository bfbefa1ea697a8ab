"""`make bench-fleet REPLICAS=4`: what each further daemon adds to the requests to Vault, in a wave and at rest.

    python -m tests.tools.bench.replicas [--credentials 120] [--replicas 4]

For 1, 2, … daemons over the same credentials: Vault requests and CPU for a wave of first rotations, then Vault requests
while nothing is due. Every daemon reaches the real OpenBao through a proxy that counts.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from tests.sandbox.environment import World
from tests.system.daemon import Daemon, until
from tests.system.proxy import Call, Proxy
from tests.tools.bench.figures import cpu_of

ROUND = "20s"  # `[daemon] reconcile`
MEET = 35.0  # seconds until each has seen the heartbeats of all
SETTLE = 45.0  # seconds until the looks that a wave left behind are over
REST = 200.0  # seconds of the look at daemons without work: ten rounds
WAVE = 300.0  # seconds that a wave may take


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.tools.bench.replicas", description=__doc__.splitlines()[0])
    parser.add_argument("--credentials", type=int, default=120)
    parser.add_argument("--replicas", type=int, default=4)
    chosen = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a text stream unless replaced
    say(f"{chosen.credentials} credentials, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    say("| daemons | wave: requests a credential | ms of CPU a credential | rest: requests a credential and minute |")
    first = 0.0
    counts = [1]
    while counts[-1] * 2 <= chosen.replicas:
        counts.append(counts[-1] * 2)
    for count in counts:
        wave, cpu, rest = measured(count, chosen.credentials)
        first = first or rest
        say(f"| {count} | {wave:.1f} | {cpu:.0f} | {rest:.2f}, {rest / first:.2f} times that of one |")


def measured(replicas: int, credentials: int) -> tuple[float, float, float]:
    """Requests and milliseconds of CPU for each credential of a wave; requests for each and minute at rest.

    The wave comes by a reload of daemons that know each other, as a change of settings does.
    """
    calls: list[Call] = []
    with World() as world, ExitStack() as stack:
        proxy = stack.enter_context(Proxy("vault", world.bao.address, calls.append))
        world.vault_address = proxy.url
        world.add("svc-first", roles=["role-template-view-posts"])
        names = [f"replica-{number}" for number in range(replicas)]
        daemons = [stack.enter_context(Daemon(_settings(world, name), executed=True)).ready() for name in names]
        time.sleep(MEET)
        for number in range(credentials):
            world.add(f"svc-{number:04}", roles=["role-template-view-posts"])
        for name in names:
            _settings(world, name)
        began, used = len(calls), [cpu_of(each.process.pid) for each in daemons]
        for each in daemons:
            each.send(signal.SIGHUP)
        until("the wave is over", lambda: _settled(calls) > credentials and _quiet(calls), WAVE, pause=0.0)
        wave = len(calls) - began
        cpu = sum(cpu_of(each.process.pid) for each in daemons) - sum(used)
        time.sleep(SETTLE)
        began = len(calls)
        time.sleep(REST)
        rest = len(calls) - began
    return wave / credentials, cpu / credentials * 1000, rest / credentials / REST * 60


def _settings(world: World, instance: str) -> Path:
    return world.write_settings(
        daemon={
            "instance": instance,
            "socket": str(world.folder / f"{instance}.sock"),
            "probe": "off",
            "reconcile": ROUND,
        },
        target={"calls": 1_000_000, "settle": "1s", "version": "2.26.0"},
        defaults={"limits": {"mints_per_day": 10000}, "every": "10d"},
        file={"name": f"{instance}.toml"},
    )


def _settled(calls: list[Call]) -> int:
    """How many credentials had their slot emptied, which ends a rotation."""
    return len({call.path for call in calls if "/destroy/" in call.path and call.method in ("POST", "PUT")})


def _quiet(calls: list[Call]) -> bool:
    """Whether nothing but heartbeats was written for two seconds."""
    before = len(calls)
    time.sleep(2.0)
    return not any(call.method != "GET" and "/journal/" in call.path for call in calls[before:])


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
