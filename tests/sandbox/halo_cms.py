"""The sandbox Halo CMS as others use it: in a test, in a demo, or as a process of its own.

    async with HaloCms(version="2.26.0", basic_auth=True).running() as halo:
        halo.model.add_user("admin", password, ["super-role"])
        secret = halo.model.mint("admin", name="blog-1", roles=["super-role"])     # a Secret
        halo.faults.add("drop", when="after", method="POST", path="personalaccesstokens$")
        ...                                                                        # calls to halo.url
        assert halo.model.accepts(secret) and halo.calls.since(0)[-1].caller == "blog-1"

`halo.model` (`tests.sandbox.cms.model.HaloModel`) also works alone, without HTTP: time is its `clock` argument and
every method is synchronous. Behaviour is held against recorded answers of real servers (2.19.3, 2.20.2, 2.20.18,
2.26.0). What the site does is left to `tests.sandbox.cms`, the wire to `http`, trouble to `faults` (over HTTP: see
`panel`). A real Halo takes some 20 ms for a mint and drops it when the client leaves meanwhile;
`halo.faults.add("slow", delay=0.02, times=None)` does the same here.

As a process: `python -m tests.sandbox.halo_cms --port 0 --version 2.26.0 [--basic] [--seed-file PATH]`. The seed file
is JSON, `{"users": [{"name": "admin", "password": "...", "roles": ["super-role"]}]}`, so that no password is ever an
argument. One JSON line with url, pid and version is written when the server is ready; SIGTERM ends it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import anyio

from tests.sandbox.cms.model import HaloModel
from tests.sandbox.cms.roles import SUPER
from tests.sandbox.cms.routes import HaloSite
from tests.sandbox.cms.times import utc_now
from tests.sandbox.http import Server


class HaloCms:
    """A Halo CMS on loopback: `url` while running, `model` for the truth, `faults` for trouble, `calls` to watch."""

    def __init__(
        self,
        version: str = "2.26.0",
        *,
        basic_auth: bool = False,
        clock: Callable[[], datetime] = utc_now,
        seed: int | None = None,
        port: int = 0,
        **model: Any,
    ) -> None:
        """`seed` decides names and even-odds faults; `model` holds further arguments of `HaloModel`.

        Raises ValueError for a version it does not know.
        """
        self.model = HaloModel(version, basic_auth=basic_auth, clock=clock, seed=seed, **model)
        self._server = Server(HaloSite(self.model), seed or 0)
        self._port = port
        self.faults = self._server.faults
        self.calls = self._server.calls
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Serve on 127.0.0.1 until the block is left; stopping and starting again keeps records and users.

        Raises OSError when the port is taken.
        """
        async with self._server.running(self._port) as url:
            self.url = url
            if not self.model.about.initialised:
                self.model.about.external_url = url
            yield self


def plant(model: HaloModel, seed_file: Path) -> None:
    """Create the users of a seed file. Raises OSError, ValueError or KeyError for an unusable one."""
    for user in json.loads(seed_file.read_text())["users"]:
        model.add_user(user["name"], user["password"], user.get("roles", [SUPER]))


async def _serve(halo: HaloCms) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with halo.running():
            ready = {"url": halo.url, "pid": os.getpid(), "version": halo.model.traits.version}
            sys.stdout.write(json.dumps(ready) + "\n")
            sys.stdout.flush()
            async for _ in signals:
                return


def main() -> None:
    """Run as a process."""
    parser = argparse.ArgumentParser(prog="python -m tests.sandbox.halo_cms", description="A sandbox Halo CMS.")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--version", default="2.26.0", help="the Halo release to behave like")
    parser.add_argument("--basic", action="store_true", help="switch Basic Auth on")
    parser.add_argument("--seed", type=int, help="makes names and even-odds faults repeatable")
    parser.add_argument("--seed-file", type=Path, help="JSON file with the first users")
    chosen = parser.parse_args()
    halo = HaloCms(chosen.version, basic_auth=chosen.basic, seed=chosen.seed, port=chosen.port)
    if chosen.seed_file:
        plant(halo.model, chosen.seed_file)
    anyio.run(_serve, halo)


if __name__ == "__main__":
    main()
