"""The two worlds a contract runs in: the fake, and a real OpenBao with an operator's hands on it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest

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


class WallClock:
    """The real clock, for tests of a real edge."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


class QuickClock(WallClock):
    """Sleeping costs no time but moves `monotonic`: patience ends without waiting. Sleeps are written down.

    After `naps` of them, `done` is set and the next one never ends.
    """

    def __init__(self, naps: int = 10**9) -> None:
        self.ahead = 0.0
        self.slept: list[float] = []
        self.naps = naps
        self.done = anyio.Event()

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead

    async def sleep(self, seconds: float) -> None:
        if len(self.slept) == self.naps:
            self.done.set()
            await anyio.sleep_forever()
        self.slept.append(seconds)
        self.ahead += seconds
        await anyio.lowlevel.checkpoint()


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
    bao: OpenBao, mount: str = "secret", login: Login | None = None, clock: WallClock | None = None, **settings: object
) -> Session:
    """A session, as root unless another login is given."""
    wishes: dict[str, Any] = {"mount": mount, "instance": "test", **settings}
    connection = VaultConnection(bao.address, **wishes)
    return Session(connection, login or token(lambda: bao.root), clock or WallClock())


def kv_on(bao: OpenBao, mount: str, **wishes: Any) -> Kv:
    """A store on the real server."""
    return Kv(session_on(bao, mount, **wishes))


def canary(name: str) -> Secret:
    """A test secret that can be searched for."""
    return Secret(f"canary-{name}-7c1f9e3b5a2d")
