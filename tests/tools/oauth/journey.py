"""What every try of a real OAuth server needs: an OpenBao, settings, the policy for them, the CLI, a table.

The clients and the chapters of the story are each try's own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import threading
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
from tests.sandbox.openbao import OpenBao, OpenBaoError, free_port
from tests.system.daemon import Daemon, until
from tests.tools.oauth.proof import Figures

PATIENCE = 300.0  # seconds for one command or one wait, on a busy machine
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def say(line: str) -> None:
    """A line for the person who watches."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def form(url: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
    """A form posted as a consumer would, without anything of ours: status and decoded answer."""
    return fetch(urllib.request.Request(url, urlencode(fields).encode(), dict(headers or {})))


def call(method: str, url: str, authorization: str = "", body: object = None) -> tuple[int, Any]:
    """A call of a server's own API: status and decoded answer."""
    data = json.dumps(body).encode() if body is not None else None
    headers = {"Content-Type": "application/json"} | ({"Authorization": authorization} if authorization else {})
    return fetch(urllib.request.Request(url, data, headers, method=method))


def bearer(url: str, token: str) -> int:
    """The status that an access token gets at a resource."""
    return call("GET", url, f"Bearer {token}")[0]


def fetch(request: urllib.request.Request) -> tuple[int, Any]:
    """Any request. What is no JSON counts as an empty object."""
    try:
        with OPENER.open(request, timeout=60) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            status, text = error.code, error.read()
    try:
        return status, json.loads(text)
    except ValueError:
        return status, {}


class Journey:
    """One OpenBao, one settings file, and a table of what held. Leaving the block ends what was started, by id.

    The daemon's login is a token with just the policy that `rotate policy` prints, as the README says to make it.
    `targets` and `credentials` are those of the settings; `save` writes them. `listen`: where our key sets are served.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rotator-oauth-"))
        self.bao = OpenBao()
        self.settings = self.folder / "rotator.toml"
        self.listen = f"127.0.0.1:{free_port()}"
        self.targets: dict[str, dict[str, Any]] = {}
        self.credentials: dict[str, dict[str, Any]] = {}
        self.secrets: list[Secret] = []  # none of these may be in anything that is printed or logged
        self.told: dict[str, tuple[bool, str]] = {}  # by title of a chapter: whether it held, and what came of it
        self.figures = Figures()
        self.over = threading.Event()  # what goes on beside the main thread gives up
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

    def hand_over(self, name: str, refresh_token: str) -> None:
        """A refresh token is written where settings say it is, as the person does who has consented."""
        self.secrets.append(Secret(refresh_token))
        self.bao.call("POST", f"secret/data/renewals/{name}", {"data": {"refresh_token": refresh_token, "by": "ada"}})

    def save(self) -> None:
        """Write the settings, and the policy that fits them, under a token that has nothing else."""
        token = self.folder / "vault-token"
        status = {"status": {"jwks_listen": self.listen}}
        self.write(self.settings, self.bao.address, self.targets, self.credentials, status)
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

    def write(self, path: Path, vault: str, targets: object, credentials: object, more: dict[str, Any]) -> None:
        """Settings of a process of its own. `vault`: the address of the Vault."""
        document = {
            "vault": {
                "address": vault,
                "auth": {"method": "token", "token": {"file": str(self.folder / "vault-token")}},
            },
            "daemon": {"socket": str(path.with_suffix(".sock")), "reconcile": "10s", "lease": "30s"},
            "targets": targets,
            "credentials": credentials,
        }
        path.write_text(to_toml(document | more))

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

    def now(self, *names: str) -> dict[str, str]:
        """`rotate now`, which has to succeed; what consumers of the first name read then: something else."""
        before = self.read(names[0])
        self.rotate("now", *names, "--within", f"{PATIENCE:g}s", expect=0)
        after = self.read(names[0])
        assert after != before, f"{names[0]}: nothing else was published"
        return after

    # --- what is seen -----------------------------------------------------------------------------------------------

    def document(self, path: str) -> dict[str, str]:
        """What consumers read at `secret/PATH`; empty when there is nothing."""
        try:
            return dict(self.bao.call("GET", f"secret/data/{path}")["data"]["data"])
        except OpenBaoError as fault:
            if fault.status == 404:
                return {}
            raise

    def read(self, name: str) -> dict[str, str]:
        """What consumers of a credential read."""
        return self.document(self.credentials[name]["path"])

    def renewal(self, name: str) -> str:
        """The refresh token that is kept now."""
        return self.document(f"renewals/{name}")["refresh_token"]

    def published(self, name: str) -> int:
        """The number of the rotation that consumers read."""
        return int(self.read(name)["rotation"])

    def await_everything(self) -> None:
        """Wait until every credential was published once."""
        until("everything to be published", lambda: all(map(self.read, self.credentials)), 2 * PATIENCE, 0.5)

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
            line = traceback.extract_tb(fault.__traceback__)[-1].lineno
            mark, words = "BROKE", f"{type(fault).__name__} (line {line}): {fault}"
        self.told[title] = mark == "held", words
        say(f"  {mark:<6}{time.monotonic() - began:6.1f} s  {title:<44} {words}")

    def verdict(self) -> int:
        """The last line of the table, and the exit code."""
        failed = [title for title, (held, _) in self.told.items() if not held]
        broken = f"; did not hold: {', '.join(failed)}" if failed else "; everything held"
        say(f"{time.monotonic() - self._began:.0f} s{broken}")
        return 1 if failed else 0
