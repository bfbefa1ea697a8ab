"""Hooks, the ping and traces at a real daemon and at a real shell: told, and never in a rotation's way."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.kit.http_server import Heard, Listener
from tests.sandbox.environment import World
from tests.system.daemon import Daemon, rotate, until
from tests.system.quick import quick
from tests.unit.vault.worlds import canary

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


def script(world: World, name: str, body: str) -> str:
    path = world.folder / f"{name}.sh"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def signing(world: World) -> tuple[str, Path]:
    """A secret to sign with, and the file it is kept in."""
    path = world.folder / "signing"
    path.write_text(canary("webhook").reveal())
    path.chmod(0o400)
    return path.read_text(), path


def authentic(call: Heard, secret: str) -> bool:
    """Worked out anew, from what came and the secret."""
    signed = f"{call.headers['webhook-id']}.{call.headers['webhook-timestamp']}.".encode() + call.raw
    expected = base64.b64encode(hmac.digest(secret.encode(), signed, hashlib.sha256)).decode()
    fresh = abs(time.time() - int(call.headers["webhook-timestamp"])) < 60
    return fresh and call.headers["webhook-signature"] == f"v1,{expected}"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def everybody(world: World, told: Path, call: dict[str, Any]) -> dict[str, Any]:
    """A program and an address that work, and programs that fail in every way."""
    once = {"on": ["published"], "attempts": 1}
    return {
        "note": {
            "on": ["published", "retired"],
            "command": [script(world, "note", 'cat >>"$1"; echo >>"$1"'), str(told)],
        },
        "call": {"on": ["published"], "labels": {"team": "web"}, **call},
        "broken": {"on": ["published"], "command": [script(world, "broken", "echo nothing works >&2; exit 7")]},
        "stuck": {**once, "command": [script(world, "stuck", "sleep 600")], "timeout": "1s"},
        "absent": {**once, "command": ["/no/such/program"]},
    }


def test_a_daemon_tells_programs_and_addresses_and_no_rotation_suffers_from_those_that_fail(world: World) -> None:
    world.add("web", labels={"team": "web"}, roles=["role-template-view-posts"])
    told, port = world.folder / "told.jsonl", str(world.folder / "status.sock")
    secret, kept = signing(world)
    with Listener(503) as listener, Listener() as watcher, Listener() as collector:
        hooks = everybody(world, told, {"url": f"{listener.url}/in", "secret": {"file": str(kept)}})
        path = quick(
            world,
            hooks=hooks,
            ping={"url": f"{watcher.url}/alive", "every": "10s"},
            tracing={"endpoint": f"{collector.url}/v1/traces"},
            status={"listen": f"unix:{port}"},
        )
        with Daemon(path).ready() as daemon:
            daemon.says("rotation.settled", credential="web")
            daemon.says("hook.failed", hook="broken")
            daemon.says("hook.failed", hook="stuck")
            verdict = daemon.ask("web", patient=True)[-1]
            assert (verdict["exit"], verdict["hooks_failed"]) == (4, ["absent", "broken", "stuck"])
            until("both hooks heard of both publications", lambda: len(lines(told)) >= 3 and len(listener.calls) >= 3)
            until("the ping", lambda: watcher.calls, seconds=15)
            text = scraped(port)
            daemon.send(15)
            assert daemon.wait() == 0
            log = daemon.log.read_text()
        assert [line["data"]["event"] for line in lines(told)] == ["published", "published", "retired"]
        first, again, second = listener.calls
        assert all(authentic(call, secret) for call in listener.calls)
        assert first.headers["webhook-id"] == again.headers["webhook-id"] != second.headers["webhook-id"]
        assert {call.method for call in watcher.calls} == {"GET"}
        assert trace_names(collector.calls) >= {"rotation", "value.published", "predecessor.retired"}
    assert 'rotator_hook_deliveries_total{hook="call",outcome="delivered"} 2.0' in text
    assert 'rotator_hook_deliveries_total{hook="absent",outcome="failed"}' in text
    assert 'rotator_hook_deliveries_total{hook="ping",outcome="delivered"}' in text
    assert "exit status 7: nothing works" in log
    assert "killed after 1 s" in log
    everything = log + text + told.read_text() + str(listener.calls) + str(collector.calls)
    assert secret not in everything
    assert world.published("web").reveal() not in everything


def test_a_shell_waits_for_its_hooks_and_ends_with_4_when_one_failed(world: World) -> None:
    world.add("web", roles=["role-template-view-posts"])
    told = world.folder / "told.jsonl"
    hooks = {
        "note": {
            "on": ["published"],
            "command": [script(world, "note", 'sleep 1; cat >>"$1"; echo >>"$1"'), str(told)],
        },
        "broken": {"on": ["published"], "command": [script(world, "broken", "exit 7")], "attempts": 1},
    }
    path = quick(world, hooks=hooks)
    ended = rotate(path, "now", "web")
    assert ended.returncode == 4, ended.stderr  # done, but a hook failed
    assert "web: done:" in ended.stdout
    assert len(lines(told)) == 1
    assert "hook broken failed, or was not called any more; what was done stays done" in ended.stderr
    idle = rotate(path, "due", "--within", "20s")
    assert (idle.returncode, idle.stdout.splitlines()[-1]) == (0, "nothing was due")
    again = rotate(path, "revoke", "web", "--json")
    last = json.loads(again.stdout.splitlines()[-1])
    assert (again.returncode, last["exit"], last["hooks_failed"]) == (4, 4, ["broken"])


def test_a_ping_is_withheld_while_a_credential_needs_somebody(world: World) -> None:
    world.add("web", roles=["role-template-view-posts"])
    with Listener() as watcher:
        path = quick(world, ping={"url": watcher.url, "every": "10s"})
        with Daemon(path).ready() as daemon:
            daemon.says("rotation.settled", credential="web")
            world.bao.call("POST", f"{world.mount}/data/apps/web/halo", {"data": {"token": "a stranger's"}})
            assert daemon.ask("web")[-1]["exit"] == 3  # held
            said = daemon.says("ping.withheld", seconds=25)
            assert "web: held" in said["said"]


def scraped(path: str) -> str:
    """The daemon's own scrape, over its unix socket."""
    with socket.socket(socket.AF_UNIX) as wire:
        wire.settimeout(10)
        wire.connect(path)
        wire.sendall(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        whole = b""
        while piece := wire.recv(65536):
            whole += piece
    return whole.decode()


def trace_names(calls: list[Heard]) -> set[str]:
    """The names of the spans that came to a collector."""
    found = set()
    for call in calls:
        request = ExportTraceServiceRequest.FromString(call.raw)
        for resource in request.resource_spans:
            found |= {span.name for scope in resource.scope_spans for span in scope.spans}
    return found
