"""Servers from package indexes, installed by their ordinary clients into a folder below the virtual environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.tools.oauth.journey import say

NICE = ("nice", "-n", "10")


def installed(server: str, what: str, install: Callable[[Path], None]) -> Path:
    """The folder that has the server, filled by `install` where it is not yet."""
    folder = Path(sys.prefix) / ".cache" / server
    if not (folder / ".installed").exists():
        say(f"{what} into {folder}")
        folder.mkdir(parents=True, exist_ok=True)
        install(folder)
        (folder / ".installed").touch()
    return folder


def from_pypi(folder: Path, *requirements: str) -> None:
    """A virtual environment of its own."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, *requirements], check=True)


def from_go(folder: Path, module: str, package: str, *flags: str, replaced: tuple[str, ...] = ()) -> None:
    """The program `package` of a module, in a module of our own, built by one process at a time: folder/server.

    `replaced`: the module's own replacements, which nobody else's module inherits.
    """
    environment = {**os.environ, "GOFLAGS": "-mod=mod", "GOWORK": "off"}

    def go(*words: str) -> None:
        subprocess.run([*NICE, "go", *words], cwd=folder, env=environment, check=True)

    (folder / "go.mod").unlink(missing_ok=True)
    go("mod", "init", "try.example/server")
    (folder / "tools.go").write_text(f'//go:build tools\n\npackage tools\n\nimport _ "{package}"\n')
    for each in replaced:
        go("mod", "edit", "-replace", each)
    go("get", module)
    go("build", "-p", "1", *flags, "-o", "server", package)


def from_maven(folder: Path, project: Path) -> None:
    """A project of ours with its dependencies, as one archive: folder/target/server.jar."""
    shutil.copytree(project, folder, dirs_exist_ok=True)
    subprocess.run([*NICE, "mvn", "-q", "-B", "package"], cwd=folder, check=True)
