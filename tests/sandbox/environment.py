"""A whole small world on loopback: a real OpenBao, a sandbox Halo CMS as a process, and the settings of a daemon.

    with World() as world:
        world.add("blog-ci", roles=["role-template-view-posts"])
        path = world.write_settings(daemon={"lease": "5s"})
        ...                                                    # rotate --config path run

The demo, the system tests and the benchmark run in it. It ends what it started, by process id.
"""

from __future__ import annotations

import base64
import json
import secrets
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Self

from rotator.rotation.secret import Secret
from tests.sandbox.itsm_process import Desk
from tests.sandbox.openbao import OpenBao, Storage

ADMIN = "rotator-admin"
_PATS = "/apis/uc.api.security.halo.run/v1alpha1/personalaccesstokens"
_TOKEN = "security.halo.run/access-token"
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Halo:
    """The sandbox Halo CMS in a process of its own."""

    def __init__(self, folder: Path, version: str) -> None:
        self.password = Secret(secrets.token_hex(16))
        self._folder = folder
        self._version = version
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self) -> None:
        """Start it and wait until it answers. Raises RuntimeError when it does not."""
        seed = self._folder / "halo-users.json"
        user = {"name": ADMIN, "password": self.password.reveal(), "roles": ["super-role"]}
        seed.write_text(json.dumps({"users": [user]}))
        seed.chmod(0o600)
        command = [sys.executable, "-m", "tests.sandbox.halo_cms", "--version", self._version, "--basic"]
        with (self._folder / "halo.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--seed-file", str(seed)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log
            )
        line = self._process.stdout.readline() if self._process.stdout else b""
        if not line:
            raise RuntimeError(f"the sandbox Halo did not start; see {self._folder / 'halo.log'}")
        self.url = json.loads(line)["url"]

    def stop(self) -> None:
        """End it by its process id."""
        if self._process:
            self._process.terminate()
            self._process.wait(10)
            if self._process.stdout:
                self._process.stdout.close()
            self._process = None

    def call(self, method: str, path: str, body: object = None, *, token: Secret | None = None) -> tuple[int, Any]:
        """One call as the administrator, or with a token: status and decoded body."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        pair = base64.b64encode(f"{ADMIN}:{self.password.reveal()}".encode()).decode()
        request.add_header("Authorization", f"Bearer {token.reveal()}" if token else f"Basic {pair}")
        request.add_header("Accept", "application/json")
        request.add_header("X-Requested-With", "XMLHttpRequest")
        if data is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with _OPENER.open(request, timeout=10) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, None

    def mint(self, name: str, roles: list[str]) -> Secret:
        """A token made by hand, as an administrator would in the console."""
        status, document = self.call("POST", _PATS, {"spec": {"name": name, "roles": roles}})
        if status != 200:
            raise RuntimeError(f"the sandbox Halo answered {status} to a mint")
        return Secret(document["metadata"]["annotations"][_TOKEN])

    def tokens(self) -> list[dict[str, Any]]:
        """Every record of the administrator, as Halo lists it."""
        return list(self.call("GET", _PATS)[1])

    def accepts(self, token: Secret) -> bool:
        """Whether the token may list its user's tokens: 200 for nobody without one."""
        return self.call("GET", _PATS, token=token)[0] == 200

    def fault(self, **rule: Any) -> int:
        """Put a rule of the fault panel in force; returns its number."""
        return int(self.call("POST", "/_sandbox/faults", rule)[1]["number"])


class World:
    """OpenBao, Halo, a Vault policy and login, a minter, and the settings that fit them."""

    def __init__(
        self,
        *,
        version: str = "2.26.0",
        storage: Storage = Storage.MEMORY,
        mount: str = "secret",
        applications: tuple[str, ...] = (),
        token_life: float = 3600.0,
    ) -> None:
        """`applications`: those of a sandbox HaloITSM beside it, see itsm_process.py; none: there is no HaloITSM. Its
        access tokens live for `token_life` seconds."""
        self.folder = Path(tempfile.mkdtemp(prefix="rotator-world-"))
        self.bao = OpenBao(storage)
        self.halo = Halo(self.folder, version)
        self.desk = Desk(self.folder, *applications, token_life=token_life) if applications else None
        self.mount = mount
        self.vault_address = ""  # what the daemon is told; a test may put a proxy in between
        self.halo_url = ""
        self.credentials: dict[str, dict[str, Any]] = {}
        self.minter: dict[str, Any] = {"pat": {"vault": f"{mount}/minters/halo#token"}}

    def __enter__(self) -> Self:
        try:
            self.bao.__enter__()
            self.bao.enable_kv(self.mount)
            self.halo.start()
            if self.desk:
                self.desk.start()
            self._plant()
        except BaseException:
            self.close()
            raise
        self.vault_address, self.halo_url = self.bao.address, self.halo.url
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End both servers and remove the folder."""
        self.halo.stop()
        if self.desk:
            self.desk.stop()
        self.bao.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _plant(self) -> None:
        minter = self.halo.mint("minter", ["super-role"])
        self.bao.call("POST", f"{self.mount}/data/minters/halo", {"data": {"token": minter}})
        login = self.bao.approle("rotator", policy_text(self.mount))
        self.role_id = login.role_id
        self.secret_id = self.folder / "secret-id"
        self.secret_id.write_text(login.secret_id.reveal())
        self.secret_id.chmod(0o400)

    def add(self, name: str, **settings: Any) -> None:
        """A credential, published at `apps/NAME/halo`."""
        self.credentials[name] = {"target": "halo", "path": f"apps/{name}/halo", **settings}

    def write_settings(self, **sections: dict[str, Any]) -> Path:
        """Write rotator.toml for a daemon in this world; sections given here add to the defaults."""
        auth = {"method": "approle", "role_id": self.role_id, "secret_id": {"file": str(self.secret_id)}}
        document = {
            "vault": {"address": self.vault_address, "mount": self.mount, "auth": auth} | sections.get("vault", {}),
            "daemon": {"socket": str(self.folder / "control.sock"), "instance": "host-a"} | sections.get("daemon", {}),
            "targets": {
                "halo": {"kind": "halo-cms", "url": self.halo_url, "minter": self.minter, "username": ADMIN}
                | sections.get("target", {}),
                **({"desk": self.desk.target(**sections.get("desk", {}))} if self.desk else {}),
            },
            "defaults": sections.get("defaults", {}),
            "credentials": self.credentials,
        } | {name: sections[name] for name in ("status", "audit", "hooks", "ping", "tracing") if name in sections}
        path: Path = self.folder / sections.get("file", {}).get("name", "rotator.toml")
        path.write_text(to_toml(document))
        return path

    def answers(self, published: Mapping[str, Any]) -> int:
        """The status that a consumer gets who uses what is published for it, on either target."""
        if self.desk and "token" not in published:
            return self.desk.answers(published)
        return self.halo.call("GET", _PATS, token=Secret(published["token"]))[0]

    def published(self, name: str, key: str = "token") -> Secret:
        """The value on the consumer path. Raises OpenBaoError (404) when there is none."""
        place = f"{self.mount}/data/{self.credentials[name]['path']}"
        return Secret(self.bao.call("GET", place)["data"]["data"][key])


def policy_text(mount: str) -> str:
    """The shipped policy for this world's paths, and a line for the minter."""
    policy = Path(str(resources.files("rotator"))).parent / "config" / "vault" / "rotator.hcl"
    text = policy.read_text().replace('path "secret/', f'path "{mount}/')
    return text + f'\npath "{mount}/data/minters/halo" {{ capabilities = ["read"] }}\n'


def to_toml(document: dict[str, Any]) -> str:
    """A settings document as TOML: tables, and inline tables below the second level."""
    lines: list[str] = []
    for section, content in document.items():
        groups = content.items() if section in ("targets", "credentials", "hooks") else [("", content)]
        for name, table in groups:
            lines.append(f'[{section}."{name}"]' if name else f"[{section}]")
            lines += [f"{key} = {_inline(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def _inline(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_inline(each)}" for key, each in value.items()) + "}"
    return json.dumps(value)
