"""The sandbox HaloITSM as others use it: in a test, in a demo, or as a process of its own.

    async with HaloItsm("keycloak", tenant="acme").running() as itsm:
        crm = itsm.model.add_application("crm", secret=secret, public_key=pem)     # crm.client_id
        itsm.faults.add("drop", when="after", method="POST", path="/auth/token")
        ...                                                                        # calls to itsm.url
        assert itsm.model.accepts_assertion(assertion)

The first argument names how assertions are judged, see `tests.sandbox.itsm.rules`; `itsm.model.change(max_age=None)`
switches one rule. What the site does is left to `tests.sandbox.itsm`, the wire to `http`, trouble to `faults` (over
HTTP: see `panel`).

As a process: `python -m tests.sandbox.halo_itsm --port 0 --rules keycloak --tenant acme [--seed-file PATH]`. The seed
file is JSON, `{"applications": [{"name": "crm", "secret": "...", "public_key": "-----BEGIN ...", "scopes": ["all"]}]}`,
so that no secret is ever an argument. One JSON line with url, pid and client ids is written when the server is ready;
SIGTERM ends it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import anyio

from rotator.rotation.secret import Secret
from tests.sandbox.cms.times import utc_now
from tests.sandbox.http import Server
from tests.sandbox.itsm.model import ItsmModel
from tests.sandbox.itsm.routes import ItsmSite
from tests.sandbox.itsm.rules import PRESETS, Rules


class HaloItsm:
    """A HaloITSM on loopback: `url` while running, `model` for the truth, `faults` for trouble, `calls` to watch."""

    def __init__(
        self,
        rules: Rules | str = "halo",
        *,
        clock: Callable[[], datetime] = utc_now,
        seed: int = 0,
        port: int = 0,
        **model: Any,
    ) -> None:
        """`seed` decides even-odds faults; `model` holds further arguments of `ItsmModel`."""
        self.model = ItsmModel(rules, clock=clock, **model)
        self._server = Server(ItsmSite(self.model), seed)
        self._port = port
        self.faults = self._server.faults
        self.calls = self._server.calls
        self.url = ""

    @asynccontextmanager
    async def running(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[Self]:
        """Serve on 127.0.0.1 until the block is left. Raises OSError when the port is taken."""
        async with self._server.running(self._port, tls) as url:
            self.url = self.model.url = url
            yield self


def plant(model: ItsmModel, seed_file: Path) -> None:
    """Create the applications of a seed file. Raises OSError, ValueError or KeyError for an unusable one."""
    for each in json.loads(seed_file.read_text())["applications"]:
        secret = Secret(each["secret"]) if each.get("secret") else None
        made = model.add_application(
            each["name"],
            secret=secret,
            public_key=each.get("public_key", ""),
            kid=each.get("kid", ""),
            jwks=Path(each["jwks_file"]).read_text if each.get("jwks_file") else None,
            scopes=tuple(each.get("scopes", ("all",))),
        )
        if each.get("refresh_token"):
            model.refreshes.issue(made.client_id, frozenset(made.scopes), value=each["refresh_token"])
        if each.get("registration_access_token"):
            model.registrations.register(made, token=each["registration_access_token"])


async def _serve(itsm: HaloItsm) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with itsm.running():
            clients = {each.name: each.client_id for each in itsm.model.applications.values()}
            numbers = {each.name: each.id for each in itsm.model.applications.values()}
            about = {"url": itsm.url, "pid": os.getpid(), "tenant": itsm.model.tenant}
            ready = {**about, "clients": clients, "applications": numbers}
            sys.stdout.write(json.dumps(ready) + "\n")
            sys.stdout.flush()
            async for _ in signals:
                return


def main() -> None:
    """Run as a process."""
    parser = argparse.ArgumentParser(prog="python -m tests.sandbox.halo_itsm", description="A sandbox HaloITSM.")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--rules", choices=sorted(PRESETS), default="halo", help="whose judgement of assertions")
    parser.add_argument("--tenant", default="sandbox")
    parser.add_argument("--calls", type=int, default=300, help="allowed in five minutes; 0: any number")
    parser.add_argument("--jwks-cache", type=float, default=300.0, help="seconds for which a key set is believed")
    parser.add_argument("--token-life", type=float, default=3600.0, help="seconds for which an access token lives")
    parser.add_argument("--discovery", action="store_true", help="it has a discovery document")
    parser.add_argument("--seed", type=int, default=0, help="makes even-odds faults repeatable")
    parser.add_argument("--seed-file", type=Path, help="JSON file with the first applications")
    chosen = parser.parse_args()
    model: dict[str, Any] = {"tenant": chosen.tenant, "calls": chosen.calls, "token_life": chosen.token_life}
    itsm = HaloItsm(chosen.rules, seed=chosen.seed, port=chosen.port, **model)
    itsm.model.discovery = chosen.discovery
    itsm.model.change(jwks_cache=chosen.jwks_cache)
    if chosen.seed_file:
        plant(itsm.model, chosen.seed_file)
    anyio.run(_serve, itsm)


if __name__ == "__main__":
    main()
