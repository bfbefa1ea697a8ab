"""A day in the life of a daemon with everything going wrong, and every place where a secret could turn up.

The proxies hear every secret that travels; the sinks are read while the processes live and after they ended.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from tests.hostile.canary.cast import APPLICATIONS, DESK, Cast
from tests.hostile.canary.harvest import Ear
from tests.kit.http_server import Listener
from tests.sandbox.environment import World
from tests.sandbox.openbao import OpenBaoError
from tests.system.daemon import Daemon
from tests.system.kinds import PATS
from tests.system.proxy import Call, Loss, Side
from tests.unit.providers.forward_proxy import forward_proxy

SECRET_FILES = {
    "secret-id",
    "halo-users.json",
    "signing",
    "ping-url",
    "proxy-password",
    "desk-applications.json",
    "desk-pair.pem",
}
KEPT_SECRET = {*SECRET_FILES, "desk-management", *(f"desk-{name}" for name in APPLICATIONS)}  # it is their duty


class Story:
    """Run it in a `World`, then read `secrets` and `sinks()`."""

    def __init__(self, world: World) -> None:
        self.world = world
        assert world.desk is not None, "a day without a service desk shows too little"
        self.secrets = {world.halo.password.reveal(), world.secret_id.read_text(), world.bao.root.reveal()}
        self.secrets |= {secret.reveal() for secret in world.desk.secrets.values()}
        self.outputs: dict[str, str] = {}
        self.collector = Listener()
        self._watched: set[int] = set()
        self._done = threading.Event()

    def run(self) -> None:
        """Tell it from start to end: about a minute."""
        world = self.world
        assert world.desk is not None
        temporary = world.folder / "temporary"
        temporary.mkdir()
        before, os.environ["TMPDIR"] = os.environ.get("TMPDIR"), str(temporary)
        dependencies = {"vault": world.bao.address, "halo": world.halo.url, "desk": world.desk.url}
        with ExitStack() as stack:
            stack.callback(_restore, before)
            stack.enter_context(self.collector)
            vault, halo, desk = (stack.enter_context(Ear(edge, url)) for edge, url in dependencies.items())
            vault.heard = halo.heard = desk.heard = self.secrets
            world.vault_address, world.halo_url = vault.url, halo.url
            cast = Cast(world, self.collector)
            cast.credentials(desk.url)
            self.proxy = stack.enter_context(forward_proxy(("rotator", cast.proxied)))
            path = cast.settings(desk.url, PATS, self.proxy.url)
            self.secrets |= {
                cast.signing,
                cast.ping,
                cast.proxied,
                *(secret.reveal() for secret in world.desk.consents.values()),
                *(secret.reveal() for secret in world.desk.registrations.values()),
            }
            watcher = threading.Thread(target=self._watch_processes)
            watcher.start()
            try:
                self._tell(path, halo, vault, desk)
            finally:
                self._done.set()
                watcher.join()

    def _tell(self, path: Path, halo: Ear, vault: Ear, desk: Ear) -> None:
        for verb in ("check", "plan", "due", "status"):
            self.rotate(path, verb)
        with Daemon(path, executed=True) as daemon:
            self._watched.add(daemon.process.pid)
            daemon.ready()
            self.answers("now", daemon.ask("blog-ci", emergency=True))
            for rule in _RULES:
                self.world.halo.fault(**rule)
                self.answers("now, " + rule["kind"], daemon.ask("news", "blog-ci", emergency=True, within=15))
            self.proxy.deed = "407"
            self.answers("now, the proxy refuses", daemon.ask("blog-ci", within=3))
            self.proxy.deed = ""
            self._lose(halo, "personalaccesstokens", lambda: daemon.ask("blog-ci", within=15))
            self._lose(vault, "/staged/", lambda: daemon.ask("news", within=15))
            self._at_the_desk(path, daemon, desk)
            self._tamper()
            self.answers("now, tampered", daemon.ask("news", "blog-ci", within=15))
            self.answers("nonsense", daemon.ask("nobody"))
            self._visit_pages()
            self.world.bao.seal()
            self.answers("now, sealed", daemon.ask("blog-ci", within=4))
            self.world.bao.unseal()
            for verb in ("history news", "unused --older 0h", "explain halo-client-secret", "explain brought"):
                self.rotate(path, *verb.split())
            for verb in ("check", "plan", "status", "strays", "explain news", "explain blog-ci", "now blog-ci"):
                self.rotate(path, *verb.split())
            daemon.send(signal.SIGTERM)
            daemon.wait(15)
        path.write_text(path.read_text().replace('file = "', 'file = "/nowhere'))
        self.rotate(path, "status")

    def _at_the_desk(self, path: Path, daemon: Daemon, desk: Ear) -> None:
        """Every other kind rotates, in peace and in trouble, and a person brings a value, a wrong one first."""
        assert self.world.desk is not None
        names = [*DESK, "renewed", "by-itself"]
        self.answers("now, every kind", daemon.ask(*names, within=20))
        for rule in _DESK_RULES:
            self.world.desk.fault(**rule)
            self.answers(f"now, desk, {rule['kind']}", daemon.ask(*names, within=8))
        self._lose(desk, "/api/Application", lambda: daemon.ask("halo-client-secret", "halo-api-key", within=8))
        wrong, right = "canary-brought-wrong-7Qx2Zt4kP9wLm", self.world.halo.mint("by-hand", ["super-role"]).reveal()
        self.secrets |= {wrong, right}
        for value in (wrong, right):
            self.rotate(path, "supply", "brought", typed=value)

    def _visit_pages(self) -> None:
        """What the status server shows is a sink."""
        for page in (
            "/",
            "/credential/news",
            *(f"/credential/{name}" for name in DESK),
            "/status.json",
            "/metrics",
            "/readyz",
            "/healthz",
            "/livez",
        ):
            self.outputs[f"status page {page}"] = self._get("status.sock", page)
        for name in ("assertion-key", "halo-assertion-key"):
            self.outputs[f"public keys /jwks/{name}"] = self._get("jwks.sock", f"/jwks/{name}")

    def _get(self, listener: str, page: str) -> str:
        with socket.socket(socket.AF_UNIX) as wire:
            wire.settimeout(10)
            wire.connect(str(self.world.folder / listener))
            wire.sendall(f"GET {page} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            return b"".join(iter(lambda: wire.recv(65536), b"")).decode(errors="replace")

    def _lose(self, ear: Ear, part: str, act: Any) -> None:
        left = [Side.AFTER, Side.BEFORE, Side.AFTER]

        def judge(call: Call) -> Loss | None:
            fitting = part in call.path and call.method in ("POST", "PUT") and left
            return Loss(left.pop()) if fitting else None

        ear.judge = judge
        self.answers(f"now, answers lost at {part}", act())
        ear.judge = lambda _: None

    def _tamper(self) -> None:
        """A person writes a value of their own: it is a secret too, and held against being overwritten."""
        foreign = "pat_eyJ" + "foreign".join(("Q7x", "Zt4", "kP9", "wLm"))
        self.secrets.add(foreign)
        self.world.bao.call("POST", f"{self.world.mount}/data/apps/news/halo", {"data": {"token": foreign}})

    def rotate(self, path: Path, *arguments: str, typed: str = "") -> None:
        """One command; its outputs are sinks."""
        command = [sys.executable, "-m", "rotator", "-c", str(path), *arguments]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        self._watched.add(process.pid)
        out, err = process.communicate(typed, timeout=60)
        self.outputs[f"output of rotate {' '.join(arguments)} #{len(self.outputs)}"] = f"{out}\n{err}"

    def answers(self, what: str, replies: list[dict[str, Any]]) -> None:
        """Replies over the control socket are a sink."""
        self.outputs[f"control socket, {what} #{len(self.outputs)}"] = json.dumps(replies)

    def _watch_processes(self) -> None:
        while not self._done.wait(0.1):
            for pid in tuple(self._watched):
                for name in ("cmdline", "environ", "limits"):
                    with suppress(OSError):
                        self.outputs[f"{name} of {pid}"] = Path(f"/proc/{pid}/{name}").read_text(errors="replace")

    def sinks(self) -> Iterator[tuple[str, str]]:
        """Every place, by name, with what stands there."""
        yield from self.outputs.items()
        for file in sorted(self.world.folder.rglob("*")):
            if file.is_file() and file.name not in KEPT_SECRET:
                yield f"file {file.name}", file.read_text(errors="replace")
        for number, call in enumerate(self.collector.calls):
            headers = "\n".join(f"{name}: {value}" for name, value in call.headers.items())
            address = (
                call.target if not call.path.startswith("/ping/") else "/ping/"
            )  # the rest of that one is a secret
            told = f"{call.method} {address}\n{headers}\n{call.raw.decode(errors='replace')}"
            yield f"told to {address} #{number}", told
        yield "log of OpenBao", self.world.bao.log.read_text(errors="replace")
        yield "access log of Halo", json.dumps(self.world.halo.call("GET", "/_sandbox/calls")[1])
        yield "names and descriptions on Halo", json.dumps(self.world.halo.tokens())
        yield from self._documents()

    def _documents(self) -> Iterator[tuple[str, str]]:
        """The journal, every version of it, the heartbeat, and the metadata of every path."""
        bao, mount = self.world.bao, self.world.mount
        for name in self.world.credentials:
            data = f"{mount}/data/rotator/journal/{name}"
            newest = bao.call("GET", data)["data"]["metadata"]["version"]
            for version in range(max(1, newest - 9), newest + 1):
                yield f"journal {name} version {version}", json.dumps(bao.call("GET", f"{data}?version={version}"))
            for path in (f"rotator/staged/{name}", f"apps/{name}/halo", f"rotator/journal/{name}"):
                with suppress(OpenBaoError):
                    yield f"metadata of {path}", json.dumps(bao.call("GET", f"{mount}/metadata/{path}"))
        with suppress(OpenBaoError):
            yield "heartbeat", json.dumps(bao.call("GET", f"{mount}/data/rotator/node/host-a"))


def _restore(temporary: str | None) -> None:
    os.environ.pop("TMPDIR", None)
    if temporary is not None:
        os.environ["TMPDIR"] = temporary


_DESK_RULES: list[dict[str, Any]] = [
    {"kind": "status", "status": 500, "path": "/auth/token", "times": 2},
    {"kind": "truncate", "method": "POST", "path": "/auth/token"},
    {"kind": "drop", "when": "after", "method": "POST", "path": "/api/Application"},
    {"kind": "status", "status": 403, "method": "GET", "path": "/api/Status", "times": 3},
]
_RULES: list[dict[str, Any]] = [
    {"kind": "drop", "when": "after", "method": "POST", "path": "personalaccesstokens$"},
    {"kind": "truncate", "method": "POST", "path": "personalaccesstokens$"},
    {"kind": "status", "status": 500, "times": 2},
    {"kind": "status", "status": 429, "retry_after": 1},
    {"kind": "reset", "method": "PUT"},
    {"kind": "slow", "delay": 1.5, "method": "GET", "times": 1},
]
