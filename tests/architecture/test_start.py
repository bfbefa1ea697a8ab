"""Starting is quick, and the libraries that start are the ones that were locked."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys

import pytest
import urllib3

import rotator.cli
from tests.architecture.source import HOUSE

HEAVY = {"hvac", "requests", "httpx", "apscheduler"}
PROBE = """
import sys
from rotator.cli import main
sys.argv = ["rotate", *sys.argv[1:]]
try:
    main()
finally:
    print("loaded:", *sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def loaded(*argv: str) -> tuple[int, str, set[str]]:
    """Run `rotate` in a process of its own: exit code, output, and the top-level modules it had loaded at its end."""
    command = [sys.executable, "-c", PROBE, *argv]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=HOUSE, timeout=30)
    found = re.search(r"^loaded: (.*)$", ended.stderr, re.MULTILINE)
    assert found, ended.stderr
    return ended.returncode, ended.stdout, set(found[1].split())


needs_cli = pytest.mark.skipif(not hasattr(rotator.cli, "main"), reason="rotator.cli has no main yet")


@needs_cli
def test_help_loads_no_heavy_library() -> None:
    code, said, modules = loaded("--help")
    assert code == 0
    assert "Usage" in said
    assert not modules & HEAVY, "import it inside the command that needs it"


@needs_cli
def test_status_loads_no_heavy_library() -> None:
    code, _, modules = loaded("status", "--help")
    assert code == 0
    _, _, asked = loaded("status")
    assert not (modules | asked) & HEAVY, "import it inside the function that needs it"


def test_urllib3_is_the_locked_one_and_not_an_impostor() -> None:
    locked = re.search(r"^urllib3==(\S+)", (HOUSE / "config/locks/runtime.txt").read_text(), re.MULTILINE)
    assert locked
    assert urllib3.__version__ == importlib.metadata.version("urllib3") == locked[1], (
        "something overwrote urllib3 (niquests and urllib3-future do): install from the lock again"
    )


@pytest.mark.parametrize("package", ["niquests", "urllib3-future"])
def test_nothing_that_overwrites_urllib3_is_locked_or_installed(package: str) -> None:
    assert f"\n{package}==" not in "\n" + (HOUSE / "config/locks/dev.txt").read_text()
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version(package)
