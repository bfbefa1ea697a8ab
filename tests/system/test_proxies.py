"""Vault, two targets and a hook, each behind a proxy of its own with a login; the environment names a dead one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.kit.certificates import self_signed
from tests.kit.http_server import Listener
from tests.sandbox.environment import World
from tests.system.daemon import Daemon, until
from tests.system.kinds import KINDS
from tests.system.quick import DEFAULTS as QUICK
from tests.system.truth import faults_of, settled
from tests.system.watched import EVENT
from tests.unit.providers.forward_proxy import ForwardProxy, forward_proxy, tls_front

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

DEAD = "http://127.0.0.1:9"
NOWHERE = "https://127.0.0.1:{}"  # ports on which nothing listens: only a proxy knows the way
NAMES = ("news", "token")


class Network:
    """The proxies, by whom they lead to, and the settings that name them."""

    def __init__(self, world: World, stack: ExitStack) -> None:
        self.world, self.folder, self._stack = world, world.folder, stack
        assert world.desk is not None
        context, self.ca_file = self_signed(self.folder, "127.0.0.1")
        self.hook = stack.enter_context(Listener())
        self.proxies = {each: stack.enter_context(self._proxy(each)) for each in ("vault", "halo", "desk", "hook")}
        ends = {"vault": world.bao.address, "halo": world.halo.url, "desk": world.desk.url, "hook": self.hook.url}
        self.urls = {"desk": "http://desk.invalid:81", "hook": "http://hook.invalid:82"}
        for number, name in enumerate(("vault", "halo"), 2):
            self.urls[name] = NOWHERE.format(number)
            front = stack.enter_context(tls_front(ends[name], context))
            self.proxies[name].hosts[f"127.0.0.1:{number}"] = front
        for name in ("desk", "hook"):
            self.proxies[name].hosts[f"{name}.invalid"] = int(ends[name].rpartition(":")[2])

    @contextmanager
    def _proxy(self, name: str) -> Iterator[ForwardProxy]:
        with forward_proxy((name, f"canary-password-of-{name}-Xq7Zt4kP9w")) as running:
            self.write(name, running.login[1] if running.login else "")
            yield running

    def write(self, name: str, password: str) -> None:
        """A password, as a rename puts it there."""
        fresh = self.folder / "fresh"
        fresh.write_text(password)
        fresh.chmod(0o400)
        fresh.rename(self.folder / f"{name}-password")

    def move(self, name: str) -> None:
        """The way leads through another proxy, says a person; the one before lets nobody through."""
        before, path = self.proxies[name], self.folder / "rotator.toml"
        other = self.proxies[name] = self._stack.enter_context(forward_proxy(before.login))
        other.hosts, before.deed = before.hosts, "403"
        path.write_text(path.read_text().replace(before.url, other.url))

    def of(self, name: str) -> dict[str, Any]:
        """The keys of one section."""
        login = {"username": name, "password": {"file": str(self.folder / f"{name}-password")}}
        safe = {"ca_file": self.ca_file} if self.urls[name].startswith("https") else {"allow_insecure_http": True}
        return {"proxy": {"url": self.proxies[name].url, **login}, **safe}

    def settings(self) -> Path:
        """Everybody is met through a proxy or not at all."""
        world, secret = self.world, self.folder / "signing"
        secret.write_text("canary-signing-Xq7Zt4kP9w-canary-signing")
        secret.chmod(0o400)
        assert world.desk is not None
        hook = {"on": ["published"], "url": f"{self.urls['hook']}/hook", "secret": {"file": str(secret)}}
        world.vault_address, world.halo_url = self.urls["vault"], self.urls["halo"]
        desk = {"url": self.urls["desk"], "audience": f"{world.desk.url}/auth/token", **QUICK["target"]}
        path: Path = world.write_settings(
            vault={**QUICK["vault"], **self.of("vault")},
            daemon=QUICK["daemon"] | {"socket": str(self.folder / "rotator.sock")},
            target={**QUICK["target"], **self.of("halo")},
            defaults=QUICK["defaults"],
            desk={**desk, **self.of("desk")},
            hooks={"page": {**hook, **self.of("hook"), "ca_file": self.ca_file}},
            audit={"file": str(self.folder / "receipts.jsonl")},
        )
        return path


@pytest.fixture
def dead_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, DEAD)
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("NO_PROXY", "")


def rotate(path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rotator", "-c", str(path), *words]
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, env=dict(os.environ)
    )


@pytest.mark.usefixtures("dead_environment")
def test_the_cli_and_the_daemon_rotate_through_proxies_alone() -> None:
    with World(applications=("token",)) as world, ExitStack() as stack:
        world.add("news", roles=[])
        KINDS["oauth-token"].add(world, "token")
        net = Network(world, stack)
        path = net.settings()
        outputs: list[str] = []

        found = rotate(path, "check")
        outputs.append(found.stdout + found.stderr)
        assert found.returncode == 0, found.stdout + found.stderr
        for name, said in (
            ("vault", "opens a tunnel to 127.0.0.1, with a login"),
            ("target halo", "opens a tunnel to 127.0.0.1, with a login"),
            ("target desk", "is reached, with a login; plain http is forwarded by it"),
            ("hook page", "is reached, with a login; plain http is forwarded by it"),
        ):
            proxy = net.proxies[name.rpartition(" ")[2].replace("page", "hook")]
            assert f"ok        {name}: proxy: the proxy {proxy.url} {said}" in found.stdout
        assert net.hook.calls == []

        done = rotate(path, "now", *NAMES, "--wait")
        outputs.append(done.stdout + done.stderr)
        assert done.returncode == 0, done.stdout + done.stderr
        until("both told to the hook", lambda: len(net.hook.calls) >= 2)

        outputs += _with_a_daemon(net, path)
        for name in NAMES:
            assert faults_of(world, name) == []

        assert len(net.hook.calls) >= 5
        assert all(proxy.asked for proxy in net.proxies.values())
        heads = "".join(each.head for each in (*net.proxies["vault"].asked, *net.proxies["halo"].asked))
        assert {each.method for each in net.proxies["vault"].asked} == {"CONNECT"}
        assert "X-Vault-Token" not in heads
        assert "\nAuthorization" not in heads
        assert not [call for call in net.hook.calls if "proxy-authorization" in call.headers]
        assert "canary-password" not in json.dumps(outputs)


def _with_a_daemon(net: Network, path: Path) -> list[str]:
    """Passwords change, and a proxy refuses for a while. What was printed and logged."""
    outputs: list[str] = []
    with Daemon(path, watched=True) as daemon:
        daemon.ready()
        net.move("halo")
        assert rotate(path, "reload").returncode == 0
        net.proxies["vault"].login = ("vault", "canary-password-renewed-Zq8RtW2mLx5Kp")
        net.write("vault", "canary-password-renewed-Zq8RtW2mLx5Kp")
        assert [reply["exit"] for reply in daemon.ask(*NAMES) if "exit" in reply][-1] == 0

        until("at rest", lambda: settled(net.world, "news", 2), 60)
        net.proxies["halo"].deed = "407"
        net.proxies["halo"].abort()  # else a tunnel that is open serves on
        held = rotate(path, "now", "news", "--within", "4s")
        outputs.append(held.stdout + held.stderr)
        assert held.returncode == 75, held.stdout + held.stderr
        until("its fault is logged", lambda: "refuses our login (407)" in daemon.log.read_text(), 60)
        status = rotate(path, "status")
        outputs.append(status.stdout + rotate(path, "explain", "news").stdout)
        assert f"the proxy {net.proxies['halo'].url} refuses our login (407)" in outputs[-1]
        assert "refused by" not in status.stdout
        net.proxies["halo"].deed = ""
        until("the rotation went on by itself", lambda: settled(net.world, "news", 3), 90)
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0
        outputs.append(daemon.log.read_text())
        assert daemon.heard(EVENT) == [], "a file that settings name may hang, and the loop with it"
    return outputs
