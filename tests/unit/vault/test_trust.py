"""TLS with Vault: whom we believe and what we show is read when it changes, and connections made before that end."""

from __future__ import annotations

import os
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest

from rotator.host import tls_files
from rotator.host.cron import SystemClock
from rotator.rotation.secret import Secret
from rotator.vault.hvac_adapter import HardenedAdapter
from rotator.vault.login import Login, LoginGrant
from rotator.vault.session import Session
from rotator.vault.transport import VaultConnection
from tests.kit.certificates import self_signed
from tests.unit.vault.hostile import answer, raw_server

pytestmark = pytest.mark.anyio
OK = answer(200, {"data": {}})


def opened(place: VaultConnection) -> Session:
    return Session(place, Login("test", lambda client: LoginGrant(Secret("canary-trust-2b9f"), 900.0)), SystemClock())


def look(client: Any) -> Any:
    adapter: HardenedAdapter = client.adapter
    return adapter.get("/v1/secret/data/x")


def replaced(path: str, other: str) -> None:
    """As a renewal does it: another file takes the place."""
    fresh = Path(f"{path}.new")
    fresh.write_bytes(Path(other).read_bytes())
    os.replace(fresh, path)  # noqa: PTH105 (the verb that is meant)


def folders(tmp_path: Path, *names: str) -> list[Path]:
    made = [tmp_path / name for name in names]
    for each in made:
        each.mkdir()
    return made


async def test_a_client_certificate_that_is_renewed_closes_the_connections_of_the_old_one(tmp_path: Path) -> None:
    """Logins got 500 for minutes: the pool went on with what the old certificate had opened."""
    here, old, new = folders(tmp_path, "server", "old", "new")
    tls, ca = self_signed(here, "127.0.0.1")
    _, certificate = self_signed(old, "127.0.0.1")
    _, other = self_signed(new, "127.0.0.1")
    tls.verify_mode = ssl.CERT_OPTIONAL
    for each in (certificate, other):
        tls.load_verify_locations(each)
    with raw_server(OK, tls) as server:
        pair = (certificate, str(old / "key.pem"))
        session = opened(VaultConnection(server.address, ca_file=ca, client_cert=pair))
        await session.ask(look)
        await session.ask(look)
        assert server.connections == 1
        replaced(str(old / "key.pem"), str(new / "key.pem"))
        replaced(certificate, other)
        await session.ask(look)
        assert server.connections == 2
        await session.close()


async def test_a_ca_file_that_is_replaced_is_believed_at_the_next_call(tmp_path: Path) -> None:
    here, there = folders(tmp_path, "first", "second")
    tls, ca = self_signed(here, "127.0.0.1")
    _, stranger = self_signed(there, "127.0.0.1")
    believed = tmp_path / "ca.pem"
    replaced(str(believed), stranger)
    with raw_server(OK, tls) as server:
        session = opened(VaultConnection(server.address, ca_file=str(believed)))
        with pytest.raises(Exception, match="not issued by an authority in ca_file"):
            await session.ask(look)
        replaced(str(believed), ca)
        await session.ask(look)
        await session.close()


async def test_without_a_ca_file_the_system_decides_and_not_a_bundle_of_a_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls, ca = self_signed(tmp_path, "127.0.0.1")
    log = tmp_path / "keys.log"
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    paths = ssl.get_default_verify_paths()._replace(openssl_cafile=ca, openssl_capath="/nowhere")
    monkeypatch.setattr(tls_files, "_BUILT", paths)
    with raw_server(OK, tls) as server:
        session = opened(VaultConnection(server.address))
        await session.ask(look)
        await session.close()
    assert not log.exists()


def test_any_thread_may_ask(tmp_path: Path) -> None:
    _, ca = self_signed(tmp_path, "127.0.0.1")
    believed = tls_files.Trust(ca)
    found: list[ssl.SSLContext] = []
    threads = [threading.Thread(target=lambda: found.append(believed.context())) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(set(map(id, found))) == 1
