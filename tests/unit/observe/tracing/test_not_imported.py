"""Nothing of OpenTelemetry is imported unless settings ask for it, by anything that the daemon or the shell runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.architecture.source import HOUSE
from tests.unit.settings.files import SOUND, write

PROBE = """
import sys
import anyio
from rotator.settings import load
import rotator.cli, rotator.app.daemon, rotator.app.standalone, rotator.commands.check, rotator.observe.status

async def compose():
    daemon = rotator.app.daemon.Daemon(sys.argv[1], load(sys.argv[1]))
    daemon._observers.close()

anyio.run(compose)
print(sorted({name.partition(".")[0] for name in sys.modules} & {"opentelemetry", "google"}))
"""


def loaded(path: Path) -> str:
    """What a fresh interpreter has loaded once it has composed a daemon of these settings."""
    ended = subprocess.run(
        [sys.executable, "-c", PROBE, str(path)], capture_output=True, text=True, cwd=HOUSE, timeout=60
    )
    assert ended.returncode == 0, ended.stderr[-800:]
    return ended.stdout.strip()


def test_without_settings_for_it_nothing_is_imported(tmp_path: Path) -> None:
    assert loaded(write(tmp_path, SOUND)) == "[]"


def test_with_settings_for_it_it_is_imported(tmp_path: Path) -> None:
    path = write(tmp_path, SOUND + '[tracing]\nendpoint = "http://127.0.0.1:9/v1/traces"\n')
    assert "opentelemetry" in loaded(path)
