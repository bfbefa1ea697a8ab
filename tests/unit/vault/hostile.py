"""The bad company between us and Vault: raw answers, lost answers, and a certificate nobody vouches for."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from tests.kit.http_server import Heard, HttpServer, Reply, forwarded
from tests.unit.vault.enterprise import Rule, ruled

Script = Callable[[socket.socket], None]


def answer(status: int, body: object = b"", **headers: str) -> bytes:
    """A whole HTTP answer; objects become JSON."""
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {"Content-Type": "application/json", "Content-Length": str(len(payload))}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} Word\r\n{head}\r\n".encode() + payload


@dataclass
class RawServer:
    """Answers each connection's requests with `reply`: bytes, or a function that is given the socket."""

    reply: bytes | Script
    seen: list[str] = field(default_factory=list)  # the head of each request
    tls: ssl.SSLContext | None = None
    connections: int = 0

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http{'s' if self.tls else ''}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                link, _ = self._listener.accept()
                self.connections += 1
                self._open.append(link)
                threading.Thread(target=self._talk, args=(link,), daemon=True).start()

    def _talk(self, link: socket.socket) -> None:
        with suppress(OSError), self.tls.wrap_socket(link, server_side=True) if self.tls else link as link:
            while True:
                head = b""
                while b"\r\n\r\n" not in head:
                    piece = link.recv(65536)
                    if not piece:
                        return
                    head += piece
                self.seen.append(head.decode())
                if callable(self.reply):
                    self.reply(link)
                    return
                link.sendall(self.reply)

    def close(self) -> None:
        self._listener.close()
        for link in self._open:
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
                link.close()


@contextmanager
def raw_server(reply: bytes | Script, tls: ssl.SSLContext | None = None) -> Iterator[RawServer]:
    server = RawServer(reply, tls=tls)
    try:
        yield server
    finally:
        server.close()


def drip(link: socket.socket) -> None:
    """A correct answer, one byte every 50 ms."""
    for byte in answer(200, {"data": {}}):
        link.sendall(bytes([byte]))
        time.sleep(0.05)


@dataclass
class Proxy(HttpServer):
    """In front of a real server. `plan` names what to do with the next matching writes; then it is honest.

    "lose request": never forwarded; "lose answer": forwarded, the connection is cut; "false conflict": not forwarded,
    refused as a lagging standby would; "502 after": forwarded, answered 502; "late": answered 502, forwarded later;
    "leaderless": not forwarded, sent elsewhere as by a standby that has lost its leader.
    """

    upstream: str
    plan: list[str] = field(default_factory=list)
    matching: str = "/data/"
    writes: list[tuple[str, bytes, dict[str, str]]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)  # added to every answer
    rules: list[Rule] = field(default_factory=list)  # asked before anything else
    indexed: bool = False  # writes that were carried out are answered with an index that grows

    def __post_init__(self) -> None:
        super().__init__()

    def answer(self, heard: Heard) -> Reply | None:
        if said := ruled(self.rules, heard):
            return said
        hidden = ("host", "x-vault-index") if self.indexed else ("host",)
        sent = {name: value for name, value in heard.headers.items() if name.lower() not in hidden}
        request = replace(heard, headers=sent)
        deed = ""
        if heard.method == "POST" and self.matching in heard.target:
            self.writes.append((heard.target, heard.raw, sent))
            deed = self.plan.pop(0) if self.plan else ""
        match deed:
            case "lose request":
                return None
            case "false conflict":
                errors = ["check-and-set parameter did not match the current version"]
                return 400, {"errors": errors}, self.headers
            case "leaderless":
                return 307, b"", {"Location": "https://elsewhere.test/"} | self.headers
            case "late":
                threading.Timer(0.02, self.forward, (request,)).start()
                return 502, b"", self.headers
        status, payload, headers = self.forward(request)
        if self.indexed and heard.method == "POST" and status < 300:
            headers["X-Vault-Index"] = f"index-{len(self.writes)}"
        if deed == "lose answer":
            return None
        if deed == "502 after":
            return 502, b"<html>bad gateway</html>", self.headers
        return status, payload, headers | self.headers

    def forward(self, heard: Heard) -> tuple[int, bytes, dict[str, str]]:
        return forwarded(self.upstream, heard)


@contextmanager
def proxy(upstream: str, *plan: str) -> Iterator[Proxy]:
    with Proxy(upstream, list(plan)) as between:
        yield between
