"""Owns a day in the life of a daemon with everything going wrong, and every place where a secret could turn up.

The proxies hear every secret that travels; the sinks are read while the processes live and after they ended.
"""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

from rotator.sandbox.openbao import OpenBaoError
from rotator.sandbox.world import World
from tests.system.daemon import Daemon
from tests.system.proxy import Call, Loss, Proxy, Side

PAT = re.compile(rb"pat_eyJ[\w.-]+")
SETTINGS: dict[str, dict[str, Any]] = {
    "vault": {"connect_timeout": "1s", "read_timeout": "1s"},
    "daemon": {"lease": "9s", "drain": "5s", "log_level": "debug"},
    "target": {"timeout": "1s", "deadline": "2s", "settle": "1s"},
    "defaults": {"every": "1d", "lifetime": "30d", "retire": {"after": "1s"}},
}
KEPT_SECRET = {"secret-id", "halo-users.json"}  # the files whose duty it is to hold a secret


class Ear(Proxy):
    """A proxy that notes every secret that passes: tokens in headers, values in answers."""

    heard: set[str]

    def forward(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[HTTPResponse, bytes]:
        """See `Proxy.forward`."""
        for name, value in headers.items():
            if name.lower() in ("x-vault-token", "authorization"):
                self.heard.add(value.removeprefix("Bearer ").removeprefix("Basic "))
        answer, content = super().forward(method, path, headers, body)
        self.heard |= {found.decode() for found in PAT.findall(content) + PAT.findall(body)}
        if b"client_token" in content:
            self.heard.add(json.loads(content)["auth"]["client_token"])
        return answer, content


class Story:
    """Run it in a `World`, then read `secrets` and `sinks()`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.secrets = {world.halo.password.reveal(), world.secret_id.read_text(), world.bao.root.reveal()}
        self.outputs: dict[str, str] = {}
        self._watched: set[int] = set()
        self._done = threading.Event()

    def run(self) -> None:
        """Tell it from start to end: about half a minute."""
        world = self.world
        with Ear("vault", world.bao.address) as vault, Ear("halo", world.halo.url) as halo:
            vault.heard = halo.heard = self.secrets
            world.vault_address, world.halo_url = vault.url, halo.url
            world.add("blog-ci", roles=["role-template-view-posts"])
            world.add("news", roles=[])
            folder = world.folder
            own = {"daemon": SETTINGS["daemon"] | {"socket": str(folder / "rotator.sock")}}
            audit = {"file": str(folder / "receipts.jsonl")}
            status = {"listen": f"unix:{folder / 'status.sock'}"}
            path = world.write_settings(**(SETTINGS | own), audit=audit, status=status)
            watcher = threading.Thread(target=self._watch_processes)
            watcher.start()
            try:
                self._tell(path, halo, vault)
            finally:
                self._done.set()
                watcher.join()

    def _tell(self, path: Path, halo: Ear, vault: Ear) -> None:
        for verb in ("check", "plan", "due", "status"):
            self.rotate(path, verb)
        with Daemon(path) as daemon:
            self._watched.add(daemon.process.pid)
            daemon.ready()
            self.answers("now", daemon.ask("blog-ci", emergency=True))
            for rule in _RULES:
                self.world.halo.fault(**rule)
                self.answers("now, " + rule["kind"], daemon.ask("news", "blog-ci", emergency=True, within=15))
            self._lose(halo, "personalaccesstokens", lambda: daemon.ask("blog-ci", within=15))
            self._lose(vault, "/staged/", lambda: daemon.ask("news", within=15))
            self._tamper()
            self.answers("now, tampered", daemon.ask("news", "blog-ci", within=15))
            self.answers("nonsense", daemon.ask("nobody"))
            self._visit_pages()
            self.world.bao.seal()
            self.answers("now, sealed", daemon.ask("blog-ci", within=4))
            self.world.bao.unseal()
            for verb in ("check", "plan", "status", "strays", "explain news", "explain blog-ci", "now blog-ci"):
                self.rotate(path, *verb.split())
            daemon.send(signal.SIGTERM)
            daemon.wait(15)
        path.write_text(path.read_text().replace('file = "', 'file = "/nowhere'))
        self.rotate(path, "status")

    def _visit_pages(self) -> None:
        """What the status server shows is a sink."""
        for page in ("/", "/credential/news", "/status.json", "/metrics", "/readyz", "/livez"):
            with socket.socket(socket.AF_UNIX) as wire:
                wire.settimeout(10)
                wire.connect(str(self.world.folder / "status.sock"))
                wire.sendall(f"GET {page} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                pieces = iter(lambda: wire.recv(65536), b"")
                self.outputs[f"status page {page}"] = b"".join(pieces).decode(errors="replace")

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

    def rotate(self, path: Path, *arguments: str) -> None:
        """One command; its outputs are sinks."""
        command = [sys.executable, "-m", "rotator", "-c", str(path), *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._watched.add(process.pid)
        out, err = process.communicate(timeout=60)
        self.outputs[f"output of rotate {' '.join(arguments)} #{len(self.outputs)}"] = f"{out}\n{err}"

    def answers(self, what: str, replies: list[dict[str, Any]]) -> None:
        """Replies over the control socket are a sink."""
        self.outputs[f"control socket, {what} #{len(self.outputs)}"] = json.dumps(replies)

    def _watch_processes(self) -> None:
        while not self._done.wait(0.1):
            for pid in tuple(self._watched):
                for name in ("cmdline", "environ"):
                    with suppress(OSError):
                        self.outputs[f"{name} of {pid}"] = Path(f"/proc/{pid}/{name}").read_text(errors="replace")

    def sinks(self) -> Iterator[tuple[str, str]]:
        """Every place, by name, with what stands there."""
        yield from self.outputs.items()
        for file in sorted(self.world.folder.rglob("*")):
            if file.is_file() and file.name not in KEPT_SECRET:
                yield f"file {file.name}", file.read_text(errors="replace")
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


_RULES: list[dict[str, Any]] = [
    {"kind": "drop", "when": "after", "method": "POST", "path": "personalaccesstokens$"},
    {"kind": "truncate", "method": "POST", "path": "personalaccesstokens$"},
    {"kind": "status", "status": 500, "times": 2},
    {"kind": "status", "status": 429, "retry_after": 1},
    {"kind": "reset", "method": "PUT"},
    {"kind": "slow", "delay": 1.5, "method": "GET", "times": 1},
]
