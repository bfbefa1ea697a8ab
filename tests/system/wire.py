"""A connection of the tests' own to a server, past every proxy."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit


class Wire:
    """It is kept, and opened anew after a fault."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = HTTPConnection(parts.hostname or "", parts.port, timeout=10)

    def ask(self, method: str, path: str, headers: dict[str, str], body: str = "") -> tuple[int, bytes]:
        """Status and body. Raises OSError or HTTPException."""
        try:
            self._connection.request(method, path, body or None, headers)
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (OSError, HTTPException):
            self.close()
            raise

    def close(self) -> None:
        """Hang up; the next call opens it anew."""
        self._connection.close()
