"""A real daemon is looked at while it works: probes, scrape, page and receipts agree; none of them shows a secret."""

from __future__ import annotations

import itertools
import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from rotator.observe.receipts import verify
from rotator.rotation.secret import Secret
from tests.sandbox.environment import World
from tests.sandbox.openbao import free_port
from tests.sandbox.openbao_binary import OpenBaoError
from tests.system.daemon import Daemon, until

pytestmark = pytest.mark.system
_numbers = itertools.count(1)
PATHS = ("/", "/livez", "/readyz", "/metrics", "/status.json")
TARGET = {"settle": "1s", "timeout": "1s", "deadline": "2s"}
VAULT = {"connect_timeout": "1s", "read_timeout": "1s"}
DEFAULTS = {"every": "1d", "lifetime": "30d", "retire": {"after": "2s"}}


class Watched:
    """A daemon with a status address and required receipts."""

    def __init__(self, world: World) -> None:
        self.world, self.port, self.name = world, free_port(), f"ci-{next(_numbers)}"
        self.receipts = world.folder / f"{self.name}.jsonl"
        world.credentials.clear()
        world.add(self.name)
        file = {"name": f"{self.name}.toml"}
        sections = {"daemon": {"lease": "9s", "socket": str(world.folder / f"{self.name}.sock")}, "file": file}
        self.path = world.write_settings(vault=VAULT, target=TARGET, defaults=DEFAULTS, **sections)
        with self.path.open("a") as settings:
            settings.write(f'[status]\nlisten = "127.0.0.1:{self.port}"\n')
            settings.write(f'[audit]\nfile = "{self.receipts}"\nrequired = true\nsync = false\n')

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, refusal.read().decode()
        except OSError:
            return 0, ""

    def published(self) -> Secret:
        return self.world.published(self.name)

    def rotate(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "rotator", "-c", str(self.path), *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _end(process: subprocess.Popen[str]) -> tuple[int, str]:
    said, _ = process.communicate(timeout=60)
    return process.returncode, said


@pytest.fixture(scope="module")
def one_world() -> Iterator[World]:
    with World() as world:
        yield world


@pytest.fixture
def watched(one_world: World) -> Watched:
    return Watched(one_world)


def test_a_daemon_is_ready_when_its_records_say_so_and_shows_no_secret(watched: Watched) -> None:
    with Daemon(watched.path) as daemon:
        until("ready", lambda: watched.get("/readyz") == (200, "ready\n"), seconds=30)
        first = watched.published()
        assert _end(watched.rotate("now", watched.name, "--wait"))[0] == 0
        second = watched.published()
        until("settled", lambda: json.loads(watched.get("/status.json")[1])["credentials"][0]["phase"] == "settled")
        [row] = json.loads(watched.get("/status.json")[1])["credentials"]
        assert (row["rotation"], row["live"], row["word"]) == (2, 1, "settled")
        pages = {path: watched.get(path) for path in (*PATHS, f"/credential/{watched.name}")}
        assert {status for status, _ in pages.values()} == {200}
        assert 'rotator_transitions_total{event="value.published",target="halo"} 2.0' in pages["/metrics"][1]
        assert f"published at secret/apps/{watched.name}/halo, version 2" in pages[f"/credential/{watched.name}"][1]
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0
    sinks = [text for _, text in pages.values()] + [watched.receipts.read_text()]
    assert not [value for value in (first, second) if any(_shows(text, value) for text in sinks)]
    with watched.receipts.open("rb") as lines:
        verdict = verify([("receipts", lines)])
    assert not verdict.findings
    events = [json.loads(line)["event"] for line in watched.receipts.read_text().splitlines()]
    assert verdict.end.number == len(events)
    assert events.count("value.published") == 2


def _shows(text: str, value: Secret) -> bool:
    return value.reveal()[20:40] in text


def test_no_rotation_begins_without_required_receipts_and_one_does_when_they_are_back(watched: Watched) -> None:
    with Daemon(watched.path):
        until("ready", lambda: watched.get("/readyz")[0] == 200, seconds=30)
        before = watched.published().reveal()
        aside = watched.receipts.rename(watched.receipts.with_name("aside"))
        watched.receipts.mkdir()
        asking = watched.rotate("now", watched.name)
        until("unready", lambda: "no rotation may begin" in watched.get("/readyz")[1])
        assert watched.published().reveal() == before
        watched.receipts.rmdir()
        aside.rename(watched.receipts)
        assert _end(asking)[0] == 0
        assert watched.get("/readyz")[0] == 200
    assert watched.published().reveal() != before


def test_a_mount_whose_limit_is_changed_under_a_daemon_is_told_before_anything_is_gone(watched: Watched) -> None:
    """It said "healthy" until consumers got 404, and its next start failed."""
    limit = f"{watched.world.mount}/config"
    with Daemon(watched.path) as daemon:
        until("healthy", lambda: watched.get("/healthz")[0] == 200, seconds=30)
        watched.world.bao.call("POST", limit, {"delete_version_after": "1h"})
        try:
            daemon.send(signal.SIGHUP)
            until("unhealthy", lambda: "1h0m0s (delete_version_after)" in watched.get("/healthz")[1], seconds=30)
        finally:
            watched.world.bao.call("POST", limit, {"delete_version_after": "0s"})
        assert "rotator_vault_unfit 1.0" in watched.get("/metrics")[1]
        assert "the next start will fail" in watched.get("/")[1]
        assert "the next start would fail" in daemon.says("vault.unfit")["said"]


def test_one_credential_whose_path_keeps_too_little_stops_no_other(watched: Watched) -> None:
    """Its limit is looked at before its first rotation, not before the start of all the others."""
    world, other = watched.world, f"{watched.name}-short"
    world.add(other)
    lines = f'[credentials.{other}]\ntarget = "halo"\npath = "apps/{other}/halo"\n'
    watched.path.write_text(f"{watched.path.read_text()}\n{lines}")
    world.bao.call("POST", f"{world.mount}/metadata/apps/{other}/halo", {"max_versions": 1})
    with Daemon(watched.path) as daemon:
        until("ready", lambda: watched.get("/readyz")[0] == 200, seconds=30)
        assert watched.published()
        code, said = _end(watched.rotate("now", other))
        assert code == 1
        assert "only 1 version(s) are kept, 3 are needed" in said
        with pytest.raises(OpenBaoError):
            world.published(other)
        until("told", lambda: "no rotation begins there" in watched.get("/healthz")[1], seconds=30)
        world.bao.call("POST", f"{world.mount}/metadata/apps/{other}/halo", {"max_versions": 5})
        daemon.send(signal.SIGHUP)
        until("published, too", lambda: _end(watched.rotate("now", other))[0] == 0, seconds=30)


def test_a_daemon_waiting_for_vault_answers_and_says_so(watched: Watched) -> None:
    text = watched.path.read_text().replace(watched.world.vault_address, "http://127.0.0.1:9")
    watched.path.write_text(text)
    with Daemon(watched.path):
        until("answers", lambda: watched.get("/livez")[0] == 200, seconds=30)
        until("says why", lambda: watched.get("/readyz")[1].startswith("vault: ") and watched.get("/readyz")[0] == 503)


def test_a_status_address_in_use_stops_the_start_with_words(watched: Watched, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", watched.port)):
        code, said = _end(watched.rotate("run"))
    assert code == 1
    assert "give it another in [status] listen" in said


def test_required_receipts_that_cannot_be_written_stop_the_start_with_words(watched: Watched) -> None:
    watched.receipts.symlink_to("elsewhere.jsonl")
    for verb in (["run"], ["now", watched.name]):
        code, said = _end(watched.rotate(*verb))
        assert code == 1, said
        assert "symbolic links" in said
    watched.receipts.unlink()
    watched.receipts.mkdir()
    code, said = _end(watched.rotate("run"))
    assert code == 78, said
    assert f"audit.file: must be a regular file, and a folder is at {watched.receipts}" in said
