"""What every try of a real OAuth server needs: an OpenBao, settings, the policy for them, the CLI, a table.

The server, its clients and the chapters of the story are each try's own.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

from rotator.rotation.secret import Secret
from tests.sandbox.environment import to_toml
from tests.sandbox.openbao import OpenBao, OpenBaoError
from tests.system.daemon import Daemon

PATIENCE = 240.0  # seconds for one command or one wait, on a busy machine
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def say(line: str) -> None:
    """A line for the person who watches."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def form(url: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None) -> tuple[int, dict[str, Any]]:
    """A form posted as a consumer would, without anything of ours: status and decoded answer."""
    return fetch(urllib.request.Request(url, urlencode(fields).encode(), dict(headers or {})))


def bearer(url: str, token: str) -> int:
    """The status that an access token gets at a resource."""
    return fetch(urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"}))[0]


def fetch(request: urllib.request.Request) -> tuple[int, dict[str, Any]]:
    """Any request."""
    try:
        with OPENER.open(request, timeout=60) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            status, text = error.code, error.read()
    try:
        told = json.loads(text)
    except ValueError:
        told = {}
    return status, told if isinstance(told, dict) else {}


class Journey:
    """One OpenBao, one settings file, and a table of what held. Leaving the block ends what was started, by id.

    The daemon's login is a token with just the policy that `rotate policy` prints, as the README says to make it.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rotator-oauth-"))
        self.bao = OpenBao()
        self.settings = self.folder / "rotator.toml"
        self.secrets: list[Secret] = []  # none of these may be in anything that is printed or logged
        self.failed: list[str] = []
        self._began = time.monotonic()
        self._daemons: list[Daemon] = []

    def __enter__(self) -> Self:
        self.bao.__enter__()
        self.bao.enable_kv("secret")
        self.bao.call("POST", "sys/mounts/transit", {"type": "transit"})
        return self

    def __exit__(self, *_: object) -> None:
        for daemon in self._daemons:
            daemon.kill()
            daemon.process.wait(30)
        self.bao.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- set-up -----------------------------------------------------------------------------------------------------

    def secret(self, name: str, value: str) -> dict[str, str]:
        """A secret in a file of its own; how settings refer to it."""
        self.secrets.append(Secret(value))
        path = self.folder / name
        path.write_text(value)
        path.chmod(0o400)
        return {"file": str(path)}

    def write(self, targets: dict[str, Any], credentials: dict[str, Any], **sections: dict[str, Any]) -> None:
        """The settings, and the policy that fits them, under a token that has nothing else."""
        token = self.folder / "vault-token"
        auth = {"method": "token", "token": {"file": str(token)}}
        document = {
            "vault": {"address": self.bao.address, "auth": auth},
            "daemon": {"socket": str(self.settings.with_suffix(".sock")), "reconcile": "10s"}
            | sections.pop("daemon", {}),
            **sections,
            "targets": targets,
            "credentials": credentials,
        }
        self.settings.write_text(to_toml(document))
        if not token.exists():
            token.write_text("none yet")
            token.chmod(0o600)
        policy = self.rotate("policy", expect=0)
        self.bao.call("PUT", "sys/policies/acl/rotator", {"policy": policy})
        if token.read_text() == "none yet":
            wish = {"policies": ["rotator"], "no_default_policy": True, "period": "1h"}
            made = Secret(self.bao.call("POST", "auth/token/create", wish)["auth"]["client_token"])
            self.secrets.append(made)
            token.write_text(made.reveal())

    # --- what a person types ----------------------------------------------------------------------------------------

    def rotate(self, *words: str, expect: int | None = None) -> str:
        """The `rotate` command; what it printed. Raises AssertionError for another exit code than expected."""
        ended = self.ended(*words)
        shown = ended.stdout + ended.stderr
        assert expect in (None, ended.returncode), f"rotate {' '.join(words)}: {ended.returncode}\n{shown[-3000:]}"
        return shown

    def ended(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The same, with its exit code. Raises AssertionError when it shows a secret."""
        command = [sys.executable, "-m", "rotator", "-c", str(self.settings), *words]
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=2 * PATIENCE, check=False
        )
        self.keeps_still(ended.stdout + ended.stderr)
        return ended

    def daemon(self) -> Daemon:
        """`rotate run` in the background, ready."""
        daemon = Daemon(self.settings)
        self._daemons.append(daemon)
        daemon.says("daemon.readied", seconds=PATIENCE)
        return daemon

    def kill(self, daemon: Daemon) -> None:
        """kill -9, and what it said until then is looked through."""
        daemon.kill()
        daemon.process.wait(30)
        self._daemons.remove(daemon)
        self.keeps_still(daemon.log.read_text())

    # --- what is seen -----------------------------------------------------------------------------------------------

    def document(self, path: str) -> dict[str, str]:
        """What consumers read at `secret/PATH`; empty when there is nothing."""
        try:
            return dict(self.bao.call("GET", f"secret/data/{path}")["data"]["data"])
        except OpenBaoError as fault:
            if fault.status == 404:
                return {}
            raise

    def keeps_still(self, text: str) -> None:
        """Raises AssertionError, without quoting it, when a text holds a secret."""
        assert not any(each.reveal() in text for each in self.secrets), "a secret was printed or logged"

    # --- the table --------------------------------------------------------------------------------------------------

    def chapter(self, title: str, story: Callable[[], str]) -> None:
        """One line of the table: what came of it, or where it broke. The journey goes on after a broken one."""
        began = time.monotonic()
        try:
            mark, words = "held", story()
        except (AssertionError, OpenBaoError, OSError, LookupError, subprocess.TimeoutExpired) as fault:
            self.failed.append(title)
            line = traceback.extract_tb(fault.__traceback__)[-1].lineno
            mark, words = "BROKE", f"{type(fault).__name__} (line {line}): {fault}"
        say(f"  {mark:<6}{time.monotonic() - began:6.1f} s  {title:<44} {words}")

    def verdict(self) -> int:
        """The last line of the table, and the exit code."""
        broken = f"; did not hold: {', '.join(self.failed)}" if self.failed else "; everything held"
        say(f"{time.monotonic() - self._began:.0f} s{broken}")
        return 1 if self.failed else 0
