"""`make try-proxy`: Vault, a target, an OAuth target and a hook, each met through a Squid and through a Tinyproxy only.

    python -m tests.tools.try_proxy [squid|tinyproxy ...]

The proxies are those of the distribution, on loopback, with a login. What each does of itself is shown: a wrong
password, a server behind it that is down, an address that it forbids, the proxy itself gone. Each has to be told as the
proxy's, as no verdict on any credential, and rotations go on by themselves afterwards.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.kit.certificates import self_signed
from tests.kit.http_server import Listener
from tests.sandbox.environment import World
from tests.sandbox.openbao import free_port
from tests.system.daemon import Daemon, rotate, until
from tests.system.kinds import KINDS
from tests.system.quick import DEFAULTS as QUICK
from tests.system.truth import faults_of
from tests.tools.oauth.journey import say
from tests.unit.providers.forward_proxy import tls_front

NAMES = ("news", "token")
LOGIN, PASSWORD = "rotator", "canary-password-of-the-proxy-Xq7"
SQUID = """
http_port 127.0.0.1:{port}
auth_param basic program /usr/lib/squid/basic_ncsa_auth {folder}/logins
acl login proxy_auth REQUIRED
acl closed port {closed}
http_access deny closed
http_access allow login
http_access deny all
cache deny all
pid_filename none
access_log stdio:{folder}/access.log
cache_log {folder}/cache.log
visible_hostname proxy.example
shutdown_lifetime 0 seconds
cache_effective_user proxy
"""
TINYPROXY = """
Port {port}
Listen 127.0.0.1
Timeout 60
MaxClients 100
BasicAuth {login} {password}
LogFile "{folder}/access.log"
LogLevel Connect
"""


@contextmanager
def squid(folder: Path, port: int, closed: int) -> Iterator[subprocess.Popen[bytes]]:
    made = subprocess.run(["openssl", "passwd", "-apr1", PASSWORD], capture_output=True, text=True, check=True)
    (folder / "logins").write_text(f"{LOGIN}:{made.stdout}")
    if os.geteuid() == 0:  # it serves nobody as root
        shutil.chown(folder, "proxy")
    (folder / "squid.conf").write_text(SQUID.format(port=port, folder=folder, closed=closed))
    yield from _running(folder, ["squid", "-N", "-n", f"try{port}", "-f", str(folder / "squid.conf")])


@contextmanager
def tinyproxy(folder: Path, port: int, closed: int) -> Iterator[subprocess.Popen[bytes]]:
    del closed  # its filters know names, and no ports
    text = TINYPROXY.format(port=port, folder=folder, login=LOGIN, password=PASSWORD)
    (folder / "tinyproxy.conf").write_text(text)
    yield from _running(folder, ["tinyproxy", "-d", "-c", str(folder / "tinyproxy.conf")])


def _running(folder: Path, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "words.log").open("wb") as words:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=words, stderr=words)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


PROXIES: dict[str, Callable[..., Any]] = {"squid": squid, "tinyproxy": tinyproxy}


class Trial:
    """One proxy, and the world behind it."""

    def __init__(self, name: str, stack: ExitStack) -> None:
        self.name = name
        self.world = stack.enter_context(World(applications=("token",)))
        self.world.add("news", roles=[])
        KINDS["oauth-token"].add(self.world, "token")
        self.folder = self.world.folder
        self.hook = stack.enter_context(Listener())
        context, self.ca_file = self_signed(self.folder, "127.0.0.1")
        self.fronts = {
            "vault": stack.enter_context(tls_front(self.world.bao.address, context)),
            "halo": stack.enter_context(tls_front(self.world.halo.url, context)),
        }
        self.port, self.closed = free_port(), free_port()
        self.place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.place.chmod(0o755)
        self.word = self.folder / "proxy-password"
        self.write(PASSWORD)
        signing = self.folder / "signing"
        signing.write_text("canary-signing-Xq7Zt4kP9w-canary-signing")
        signing.chmod(0o400)
        self.signing = {"file": str(signing)}
        self.path = self.settings()

    def write(self, password: str) -> None:
        fresh = self.folder / "fresh"
        fresh.write_text(password)
        fresh.chmod(0o400)
        fresh.rename(self.word)

    @property
    def proxy(self) -> dict[str, Any]:
        login = {"username": LOGIN, "password": {"file": str(self.word)}}
        return {"proxy": {"url": f"http://127.0.0.1:{self.port}", **login}}

    def settings(self, halo: int = 0) -> Path:
        world, desk = self.world, self.world.desk
        assert desk is not None
        secure, plain = {**self.proxy, "ca_file": self.ca_file}, {**self.proxy, "allow_insecure_http": True}
        world.vault_address = f"https://127.0.0.1:{self.fronts['vault']}"
        world.halo_url = f"https://127.0.0.1:{halo or self.fronts['halo']}"
        found: Path = world.write_settings(
            vault={**QUICK["vault"], "connect_timeout": "3s", "read_timeout": "5s", **secure},
            daemon=QUICK["daemon"] | {"lease": "30s", "socket": str(self.folder / "rotator.sock")},
            target={**QUICK["target"], "timeout": "3s", "deadline": "5s", **secure},
            defaults=QUICK["defaults"],
            desk={"url": desk.url, "audience": f"{desk.url}/auth/token", **QUICK["target"], **plain},
            hooks={"page": {"on": ["published"], "url": f"{self.hook.url}/hook", "secret": self.signing, **plain}},
        )
        return found

    def type(self, *words: str, code: int | None = 0, seconds: float = 120.0) -> str:
        ended = rotate(self.path, *words, seconds=seconds)
        shown = ended.stdout + ended.stderr
        assert PASSWORD not in shown
        assert code in (None, ended.returncode), f"rotate {' '.join(words)}: {ended.returncode}\n{shown[-2500:]}"
        return shown

    def goes_on(self) -> None:
        """Afterwards all is as before, and nothing was done to any credential meanwhile."""
        until("a rotation", lambda: rotate(self.path, "now", *NAMES, "--wait").returncode == 0, 120.0, 2.0)
        for name in NAMES:
            assert faults_of(self.world, name) == []

    def told(self, said: str) -> str:
        """A rotation is asked for in vain; what `explain` says is the proxy's, and no verdict."""
        self.type("now", "news", "--within", "5s", code=None)
        end = time.monotonic() + 60.0
        while said not in (shown := self.type("status", code=None) + self.type("explain", "news", code=None)):
            assert time.monotonic() < end, f"{said!r} is not in\n{shown}"
            time.sleep(1.0)
        assert "refused by the target" not in shown
        assert "value refused" not in shown
        return next(line.strip() for line in shown.splitlines() if said in line)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def tried(name: str) -> None:
    """Raises AssertionError, TimeoutError."""
    with ExitStack() as stack:
        trial = Trial(name, stack)
        address = f"the proxy http://127.0.0.1:{trial.port}"

        def started() -> Any:
            running = stack.enter_context(PROXIES[name](trial.place, trial.port, trial.closed))
            until(f"{name} to listen", lambda: listens(trial.port), 30.0)
            return running

        process = started()
        found = trial.type("check")
        say("\n".join(line for line in found.splitlines() if "proxy" in line))
        trial.type("now", *NAMES, "--wait")
        until("the hook to hear of both", lambda: len(trial.hook.calls) >= 2, 30.0)
        log = (trial.place / "access.log").read_text()
        assert str(trial.fronts["vault"]) in log
        assert str(trial.fronts["halo"]) in log
        with Daemon(trial.path) as daemon:
            daemon.ready()
            trial.write("another password")
            say(f"  {name}, a wrong password: {trial.told('refuses our login (40')}")
            trial.write(PASSWORD)
            trial.goes_on()

            trial.settings(halo=trial.closed)
            trial.type("reload")
            say(f"  {name}, a server that is down or forbidden: {trial.told(address)}")
            trial.settings()
            trial.type("reload")
            trial.goes_on()

            process.terminate()
            process.wait(20)
            said = trial.type("now", "news", "--within", "8s", code=75)
            assert f"{address} cannot be reached" in said, said
            say(f"  {name}, gone: {said.strip().splitlines()[-1][:200]}")
            started()
            trial.goes_on()
            assert PASSWORD not in daemon.log.read_text()


def main(names: list[str]) -> int:
    """The exit code."""
    failed = []
    for name in names or list(PROXIES):
        if shutil.which(name) is None:
            say(f"{name} is not here: apt-get install {name}")
            failed.append(name)
            continue
        try:
            tried(name)
        except (AssertionError, TimeoutError) as fault:
            say(f"  {name}: {fault}")
            failed.append(name)
    say(f"did not hold: {', '.join(failed)}" if failed else "everything held")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
