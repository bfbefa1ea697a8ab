"""What lies at the top of the house, and nothing else."""

from __future__ import annotations

from fnmatch import fnmatch

from tests.architecture.source import HOUSE

ALLOWED = {
    ".ci",
    ".git",
    ".gitignore",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "config",
    "pyproject.toml",
    "rotator",
    "systemd",
    "tests",
}


def test_nothing_else_lies_at_the_top() -> None:
    ignored = [line.rstrip("/") for line in (HOUSE / ".gitignore").read_text().splitlines() if line]
    found = {path.name for path in HOUSE.iterdir() if not any(fnmatch(path.name, pattern) for pattern in ignored)}
    assert found <= ALLOWED, f"{sorted(found - ALLOWED)}: put it into the room it belongs to"
