"""`/jwks/NAME`: the public keys of a credential, for servers that fetch them; where the set is kept is others'.

It is served at an address of its own, where nothing else is found.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import unquote

from rotator.observe.status.routes import StatusResponse

_JWKS, _TEXT = "application/jwk-set+json", "text/plain; charset=utf-8"  # RFC 7517, section 8.5.2


@dataclass(frozen=True, slots=True)
class PublicKeySet:
    """A set as strangers may see it, and for how many seconds they may believe it."""

    text: str
    seconds: int


@dataclass(frozen=True, slots=True)
class JwksRoutes:
    """`find` gives the set of a credential: None when it has none, words when it cannot be read now."""

    find: Callable[[str], Awaitable[PublicKeySet | str | None]]

    async def respond(self, path: str) -> StatusResponse:
        """What is found there. The query is not looked at."""
        before, _, name = path.partition("?")[0].partition("/jwks/")
        found = None if before else await self.find(unquote(name))
        if found is None:
            return StatusResponse(404, _TEXT, b"no such set of keys\n")
        if isinstance(found, str):
            return StatusResponse(503, _TEXT, b"the keys cannot be read now\n")
        return StatusResponse(200, _JWKS, found.text.encode(), f"public, max-age={found.seconds}")
