"""The OpenBao of the cluster tests: a TLS listener beside the plain one, and two certificate authorities."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kit.certificates import Authority
from tests.sandbox.openbao import OpenBao, free_port


class TlsOpenBao(OpenBao):
    """Listens on TLS too, and asks clients for a certificate; set-up goes over the plain listener, as ever."""

    def __init__(self, authority: Authority) -> None:
        super().__init__()
        self._file = authority.issue("vault")
        self._tls_port = free_port()
        self.ca_file = authority.ca_file

    @property
    def tls_address(self) -> str:
        """The base URL over TLS."""
        return f"https://127.0.0.1:{self._tls_port}"

    def _configuration(self) -> dict[str, object]:
        made: dict[str, Any] = super()._configuration()
        here = {"address": f"127.0.0.1:{self._tls_port}", "tls_cert_file": self._file, "tls_key_file": self._file}
        return made | {"listener": [*made["listener"], {"tcp": here}]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="module")
def servers(folder: Path) -> Authority:
    """Signs for servers."""
    return Authority(folder, "server-authority")


@pytest.fixture(scope="module")
def clients(folder: Path) -> Authority:
    """Signs for clients; Vault's cert method trusts it."""
    return Authority(folder, "client-authority")


@pytest.fixture(scope="module")
def bao(servers: Authority) -> Iterator[TlsOpenBao]:
    with TlsOpenBao(servers) as server:
        yield server
