"""Who takes part: the rotator as a daemon, the bare loop, the scripts; each begins, then goes once per round."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio

from rotator.app import control
from rotator.rotation.secret import Secret
from tests.sandbox.environment import World
from tests.sandbox.openbao import binary
from tests.tools.bench.bare import AT_ONCE, PATS
from tests.tools.bench.figures import Own, cpu_of


def settings(world: World, names: list[str]) -> Path:
    """Settings that let the daemon do eight rotations at once, without a pause that a sandbox does not need."""
    for name in names:
        world.add(name, roles=["role-template-view-posts"])
    return world.write_settings(
        daemon={"in_flight": AT_ONCE},
        target={"in_flight": AT_ONCE, "calls": 1_000_000, "settle": "1s", "version": "2.26.0"},
        defaults={"limits": {"mints_per_day": 10000}, "every": "10d"},
    )


class Rotator:
    """A daemon, asked over its socket. Only its own CPU counts, not that of whoever asks."""

    name = "rotator"

    def __init__(self, world: World, path: Path, names: list[str], profile: Path | None) -> None:
        self.count = len(names)
        self._names = names
        self._socket = str(world.folder / "control.sock")
        self._log = world.folder / "daemon.log"
        run = ["-m", "tests.tools.bench.profiled", str(profile)] if profile else ["-m", "rotator"]
        self._command = [sys.executable, *run, "--config", str(path), "run", "--log", "json"]
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + 120
        while b"daemon.readied" not in self._log.read_bytes():
            if time.monotonic() > end or self._process.poll() is not None:
                raise RuntimeError(f"the daemon did not become ready: {self._log.read_text()[-2000:]}")
            time.sleep(0.1)
        self.go()  # so that everybody has a predecessor

    def go(self) -> Own:
        assert self._process
        began, before = time.perf_counter(), cpu_of(self._process.pid)
        verdicts = anyio.run(self._ask)
        wall = time.perf_counter() - began
        bad = [each for each in verdicts if each["exit"]]
        if bad or len(verdicts) != self.count:
            raise RuntimeError(f"{len(bad)} of {len(verdicts)} rotations failed, such as: {bad[:1]}")
        return Own(wall, cpu_of(self._process.pid) - before)

    async def _ask(self) -> list[dict[str, Any]]:
        request = {"verb": "now", "names": self._names, "emergency": True, "patient": True}
        async with aclosing(control.call(self._socket, request)) as replies:
            return [verdict async for reply in replies for verdict in reply.get("verdicts", ())]

    def end(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(60)


class Bare:
    """The bare loop, a fresh process each round; it measures itself, its start not included."""

    def __init__(self, world: World, name: str, kinds: list[str], journal: dict[str, Any], count: int) -> None:
        """`name` says which: bare, bare_tuned (threads, tuned connections) or bare_async (the rotator's own manner)."""
        self.name = name
        self.count = count
        self._names = [f"{name.replace('_', '-')}-{number}" for number in range(count)]
        self._order = {"vault": world.bao.address, "halo": world.halo_url, "tuned": name != "bare", "calls": kinds}
        self._order |= {"journal": journal, "token": world.bao.root, "minter": _minter(world)}

    def begin(self) -> None:
        self._run(begin=True)

    def go(self) -> Own:
        return Own(**self._run(begin=False))

    def _run(self, *, begin: bool) -> dict[str, float]:
        order = {**self._order, "names": self._names, "begin": begin}
        loop = "bare_async" if self.name == "bare_async" and not begin else "bare"
        command = [sys.executable, "-m", f"tests.tools.bench.{loop}"]
        text = json.dumps(order, default=Secret.reveal)
        ended = subprocess.run(command, input=text, stdout=subprocess.PIPE, text=True, check=True)
        return dict(json.loads(ended.stdout))


class Script:
    """A shell script, eight at once by xargs; its CPU is that of everything it starts."""

    def __init__(self, world: World, script: Path, journal: dict[str, Any], count: int) -> None:
        self.name = script.name
        self.count = count
        self._script = script
        self._world = world
        self._names = [f"{script.stem.replace('_', '-')}-{number}" for number in range(count)]
        self._bare = Bare(world, script.stem, [], journal, count)

    def begin(self) -> None:
        self._bare.begin()

    def go(self) -> Own:
        environment = {**os.environ, "PATH": f"{Path(binary()).parent}:{os.environ['PATH']}"}
        environment |= {"BAO_ADDR": self._world.bao.address, "HALO": self._world.halo_url + PATS}
        environment |= {"BAO_TOKEN": self._world.bao.root.reveal(), "MINTER": _minter(self._world).reveal()}
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        command = ["xargs", f"-P{AT_ONCE}", "-n1", "bash", str(self._script)]
        subprocess.run(command, input="\n".join(self._names), text=True, check=True, env=environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        return Own(time.perf_counter() - began, cpu)


def _minter(world: World) -> Secret:
    place = f"{world.mount}/data/minters/halo"
    return Secret(world.bao.call("GET", place)["data"]["data"]["token"])
