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
TESTS = ("unit", "contract", "model", "hostile", "system", "architecture", "tools", "kit")


def test_nothing_else_lies_at_the_top() -> None:
    ignored = [line.rstrip("/") for line in (HOUSE / ".gitignore").read_text().splitlines() if line]
    found = {path.name for path in HOUSE.iterdir() if not any(fnmatch(path.name, pattern) for pattern in ignored)}
    assert found <= ALLOWED, f"{sorted(found - ALLOWED)}: put it into the room it belongs to"


def test_no_module_lies_loose_in_the_package() -> None:
    loose = {path.name for path in (HOUSE / "rotator").glob("*.py")}
    assert loose == {"__init__.py", "__main__.py"}, "put it into the room of its subject: see rotator/__init__.py"


def test_the_tests_have_eight_folders_and_the_sandbox() -> None:
    rooms = {path.name for path in (HOUSE / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert rooms == {*TESTS, "sandbox"}
