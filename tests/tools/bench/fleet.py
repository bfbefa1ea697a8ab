"""`make bench-fleet N=10000`: what a daemon with many settled credentials costs, beside a bare loop of the same reads.

    python -m tests.tools.bench.fleet [--credentials 10000] [--probe]

The records are written to a real OpenBao directly, as copies of one that a real rotation left. What the figures mean
is in README.md beside this file.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import hvac
import requests

from rotator.rotation.secret import Secret
from rotator.settings import load
from tests.sandbox.environment import World
from tests.tools.bench.bare import AT_ONCE
from tests.tools.bench.figures import cpu_of

MODEL, LIVE = "svc-model", "svc-live"  # the record that is copied; the one that is rotated
LABELS = 20  # groups
QUIET = 20.0  # seconds of the look at an idle daemon
LOOKS, LONGEST = 50, 300.0  # looks a second in a large fleet; seconds until the round after the first is under way
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.tools.bench.fleet", description=__doc__.splitlines()[0])
    parser.add_argument("--credentials", type=int, default=10_000)
    parser.add_argument("--metrics", default="", help="[status] metrics")
    parser.add_argument("--profile", type=Path, help="run the daemon under a profiler; the figures are then useless")
    chosen = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a text stream unless replaced
    with World() as world:
        say(f"{platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        for line in table(Fleet(world, chosen.credentials, chosen.profile, chosen.metrics)):
            say(line)


class Fleet:
    """A world with so many settled credentials, and a daemon for them."""

    def __init__(self, world: World, count: int, profile: Path | None, metrics: str) -> None:
        self.world, self.count = world, count
        self.names = [f"svc-{number:06}" for number in range(count - 2)]
        self.socket = world.folder / "status.sock"
        self.log = world.folder / "daemon.log"
        self.profile = profile
        self.process: subprocess.Popen[bytes] | None = None
        for name in (MODEL, LIVE):
            world.add(name, roles=["role-template-view-posts"], labels={"team": "team-0"})
        self.path = self._settings({})
        self._rotate(MODEL, LIVE)
        for number, name in enumerate(self.names):
            world.add(name, roles=["role-template-view-posts"], labels={"team": f"team-{number % LABELS}"})
        self.path = self._settings({"metrics": metrics} if metrics else {})
        self.client = _client(world)
        self._copy()

    def _settings(self, status: dict[str, Any]) -> Path:
        return self.world.write_settings(
            daemon={"in_flight": AT_ONCE, "probe": "off"},
            status={"listen": f"unix:{self.socket}", **status},
            target={"in_flight": AT_ONCE, "calls": 1_000_000, "settle": "1s", "version": "2.26.0"},
            defaults={"limits": {"mints_per_day": 10000}, "every": "10d"},
        )

    def rotate(self, *words: str) -> tuple[float, bytes]:
        """Seconds of a command, and what it printed. Raises RuntimeError when it failed."""
        began = time.perf_counter()
        command = [sys.executable, "-m", "rotator", "--config", str(self.path), *words]
        ended = subprocess.run(command, capture_output=True, check=False)
        if ended.returncode:
            raise RuntimeError(f"rotate {' '.join(words)}: {ended.returncode}: {ended.stderr[-2000:].decode()}")
        return time.perf_counter() - began, ended.stdout

    def _rotate(self, *names: str) -> None:
        self.rotate("now", *names, "--within", "60s")

    def _copy(self) -> None:
        """The model's record and published document, for every name, with tokens of their own."""
        kv, mount = self.client.secrets.kv.v2, self.world.mount
        record = kv.read_secret_version(f"rotator/journal/{MODEL}", mount_point=mount)["data"]["data"]
        shown = kv.read_secret_version(f"apps/{MODEL}/halo", mount_point=mount)["data"]["data"]
        lineage = str(record["lineage"])
        texts = [json.dumps(each, default=Secret.reveal) for each in (record, shown)]

        def write(numbered: tuple[int, str]) -> None:
            number, name = numbered
            mine = f"{number:0{len(lineage)}x}"
            own, published = (json.loads(text.replace(MODEL, name).replace(lineage, mine)) for text in texts)
            kv.create_or_update_secret(f"apps/{name}/halo", published, mount_point=mount)
            kv.create_or_update_secret(f"rotator/journal/{name}", own, mount_point=mount)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(write, enumerate(self.names)))

    def bare_reads(self) -> float:
        """Seconds for the reads of one round by hvac in as many threads as the daemon has workers."""
        kv, mount = self.client.secrets.kv.v2, self.world.mount

        def read(name: str) -> None:
            for place in (f"rotator/journal/{name}", f"apps/{name}/halo"):
                kv.read_secret_version(place, mount_point=mount, raise_on_deleted_version=True)

        began = time.perf_counter()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(read, [MODEL, LIVE, *self.names]))
        return time.perf_counter() - began

    def start(self) -> tuple[float, float]:
        """Seconds until the daemon was ready, and those of its CPU."""
        run = ["-m", "tests.tools.bench.profiled", str(self.profile)] if self.profile else ["-m", "rotator"]
        began = time.perf_counter()
        with self.log.open("ab") as log:
            command = [sys.executable, *run, "--config", str(self.path), "run", "--log", "json"]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        while b"daemon.readied" not in self.log.read_bytes():
            if self.process.poll() is not None:
                raise RuntimeError(f"the daemon ended: {self.log.read_text()[-2000:]}")
            time.sleep(0.05)
        return time.perf_counter() - began, cpu_of(self.process.pid)

    def get(self, path: str, *, packed: bool = False) -> tuple[float, bytes, int]:
        """Seconds, unpacked body and bytes on the wire of an answer of the status server."""
        began, head = time.perf_counter(), f"GET {path} HTTP/1.0\r\nHost: localhost\r\n"
        head += "Accept-Encoding: gzip\r\n" if packed else ""
        import socket

        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(str(self.socket))
            raw.sendall(f"{head}\r\n".encode())
            answer = b"".join(iter(lambda: raw.recv(1 << 20), b""))
        took = time.perf_counter() - began
        headers, _, body = answer.partition(b"\r\n\r\n")
        wire = len(body)
        if b"content-encoding: gzip" in headers.lower():
            body = gzip.decompress(body)
        return took, body, wire

    def memory(self) -> float:
        """MiB that the daemon has in memory."""
        assert self.process
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))

    def idle(self) -> float:
        """Percent of a core that the daemon uses while nobody asks, once it looks again at what it has read."""
        assert self.process
        time.sleep(min(self.count / LOOKS, LONGEST))
        before = cpu_of(self.process.pid)
        time.sleep(QUIET)
        return (cpu_of(self.process.pid) - before) / QUIET * 100

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(60)


def _client(world: World) -> hvac.Client:
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=2 * AT_ONCE))
    return hvac.Client(url=world.bao.address, token=world.bao.root.reveal(), session=session)


def table(fleet: Fleet) -> Iterator[str]:
    """The figures, each as soon as it is known."""
    yield f"{fleet.count} credentials, no probe; times in seconds"
    text = fleet.path.read_text()
    parse, read = timed(lambda: tomllib.loads(text)), timed(lambda: load(str(fleet.path)))
    yield f"| settings: load, and tomllib alone | {read:.2f} | {parse:.2f} |"
    bare = fleet.bare_reads()
    try:
        ready, cpu = fleet.start()
        bare = min(bare, fleet.bare_reads()) if fleet.count <= 20_000 else bare
        yield f"| ready, and the same reads in a bare loop | {ready:.1f} | {bare:.1f} | {ready / bare:.2f} times |"
        yield f"| CPU until ready | {cpu:.1f} |"
        yield f"| idle CPU, percent | {fleet.idle():.1f} |"
        rest = fleet.memory()
        yield f"| RSS at rest, MiB | {rest:.0f} |"
        yield from looks(fleet)
        yield f"| RSS after looks, MiB | {fleet.memory():.0f} | {fleet.memory() - rest:+.0f} |"
    finally:
        fleet.stop()


def looks(fleet: Fleet) -> Iterator[str]:
    for words in (("status",), ("plan",), ("status", LIVE), ("explain", LIVE), ("history", LIVE)):
        took, said = fleet.rotate(*words)
        yield f"| rotate {' '.join(words)} | {took:.2f} | {len(said)} bytes |"
    took, said = fleet.rotate("now", LIVE, "--json")
    yield f"| rotate now {LIVE} | {took:.2f} |"
    for path in ("/readyz", "/livez", "/healthz", "/metrics", "/status.json", "/"):
        took, body, wire = fleet.get(path)
        yield f"| GET {path} | {took:.3f} | {len(body)} bytes |"
    took, body, wire = fleet.get("/metrics", packed=True)
    yield f"| GET /metrics, packed | {took:.3f} | {wire} bytes on the wire |"
    with ThreadPoolExecutor(1) as pool:
        scrape = pool.submit(fleet.get, "/metrics")
        time.sleep(0.05)
        took, *_ = fleet.get("/livez")
        scrape.result()
    yield f"| GET /livez during a scrape | {took:.3f} |"


def timed(work: Callable[[], object]) -> float:
    """The shortest of three runs, in seconds."""
    found = []
    for _ in range(3):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return min(found)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
