"""The sandbox as a process of its own: how it is started, seeded and ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.unit.sandbox.client import OWN, basic

pytestmark = pytest.mark.system

PASSWORD = "canary5word"


def test_a_process_says_where_it_listens_serves_seeded_users_and_ends_on_sigterm(tmp_path: Path) -> None:
    seed_file = tmp_path / "users.json"
    seed_file.write_text(json.dumps({"users": [{"name": "admin", "password": PASSWORD}]}))
    arguments = [sys.executable, "-m", "tests.sandbox.halo_cms", "--basic", "--seed-file", str(seed_file)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        ready = json.loads(process.stdout.readline())
        with httpx.Client(base_url=ready["url"], trust_env=False) as client:
            headers = {"Authorization": basic("admin", PASSWORD)}
            minted = client.post(OWN, headers=headers, json={"spec": {"name": "x", "roles": ["super-role"]}})
        os.kill(ready["pid"], signal.SIGTERM)
        assert process.wait(10) == 0
        assert PASSWORD not in process.stdout.read() + process.stderr.read()
    assert ready["pid"] == process.pid
    assert minted.status_code == 200
