"""The two worlds a contract runs in: the fake, and a real OpenBao with an operator's hands on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from rotator.host.cron import SystemClock
from rotator.rotation.credential import VaultPath
from rotator.rotation.secret import Secret
from rotator.vault.kv import Kv
from rotator.vault.login import Login, token
from rotator.vault.session import Session
from rotator.vault.transport import VaultConnection
from tests.sandbox.openbao import OpenBao, OpenBaoError
from tests.sandbox.openbao_binary import is_openbao

only_openbao = pytest.mark.skipif(not is_openbao(), reason="the server in VAULT_BINARY is no OpenBao")


def enable_auth(bao: OpenBao, method: str, namespace: str = "") -> None:
    """Mount an auth method of this type; skips the test where the server was built without it."""
    try:
        bao.call("POST", f"{namespace}/sys/auth/{method}".strip("/"), {"type": method})
    except OpenBaoError:
        pytest.skip(f"this server was built without the {method} method")


class Operator:
    """What a person may do to documents on the real server; FakeVault has the same verbs."""

    def __init__(self, bao: OpenBao) -> None:
        self.bao = bao

    def delete(self, place: VaultPath) -> None:
        self.bao.call("DELETE", f"{place.mount}/data/{place.path}")

    def undelete(self, place: VaultPath, version: int) -> None:
        self.bao.call("POST", f"{place.mount}/undelete/{place.path}", {"versions": [version]})

    def forget(self, place: VaultPath) -> None:
        self.bao.call("DELETE", f"{place.mount}/metadata/{place.path}")

    def overwrite(self, place: VaultPath, values: Mapping[str, object]) -> int:
        answer = self.bao.call("POST", f"{place.mount}/data/{place.path}", {"data": values})
        return int(answer["data"]["version"])

    def configure(self, place: VaultPath, *, max_versions: int) -> None:
        self.bao.call("POST", f"{place.mount}/metadata/{place.path}", {"max_versions": max_versions})


def session_on(
    bao: OpenBao,
    mount: str = "secret",
    login: Login | None = None,
    clock: SystemClock | None = None,
    **settings: object,
) -> Session:
    """A session, as root unless another login is given."""
    wishes: dict[str, Any] = {"mount": mount, "instance": "test", **settings}
    connection = VaultConnection(bao.address, **wishes)
    return Session(connection, login or token(lambda: bao.root), clock or SystemClock())


def kv_on(bao: OpenBao, mount: str, **wishes: Any) -> Kv:
    """A store on the real server."""
    return Kv(session_on(bao, mount, **wishes))


def canary(name: str) -> Secret:
    """A test secret that can be searched for."""
    return Secret(f"canary-{name}-7c1f9e3b5a2d")
