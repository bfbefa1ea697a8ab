"""The plain request and response that sandbox sites speak in.

How they travel is left to `http`, what they mean to each site.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl

HTML = "text/html;charset=UTF-8"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Request:
    """One request, read whole. `path` is still percent-encoded; header names are lower-case.

    Headers and body hold secrets, so the repr leaves them out.
    """

    method: str
    path: str
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    certificate: bytes = field(default=b"", repr=False)  # of the caller, as TLS took it (DER)

    @property
    def target(self) -> str:
        """Path and query as sent."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def origin(self) -> str:
        """The site's address as this caller sees it."""
        return f"http://{self.headers.get('host', 'localhost')}"

    @property
    def media_type(self) -> str:
        """The body's media type without parameters; empty when none was declared."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def parameters(self, name: str) -> list[str]:
        """All query values of one name, decoded."""
        return [value for key, value in parse_qsl(self.query, keep_blank_values=True) if key == name]


@dataclass(frozen=True, slots=True)
class Response:
    """One answer. `caller` names who asked, for the call feed; it never holds a secret."""

    status: int
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    caller: str = ""

    @classmethod
    def document(cls, value: Any, status: int = 200, media_type: str = JSON) -> Response:
        """An answer with a JSON body."""
        body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        return cls(status, (("Content-Type", media_type),), body)


class Site(Protocol):
    """What the server serves: answering is synchronous, so every effect happens whole or not at all."""

    def answer(self, request: Request) -> Response:
        """Do what is asked and answer."""
        ...

    def stand_in(self, request: Request, status: int, retry_after: str | int | None) -> Response:
        """What an injected failure of this status looks like at this site."""
        ...
