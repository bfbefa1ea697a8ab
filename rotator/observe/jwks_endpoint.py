"""`/jwks/NAME`: the public keys of a credential, for servers that fetch them, at an address of their own.

The keys are read where the daemon keeps them, reduced to their public members, and remembered while Vault is away.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import unquote

import anyio

from rotator.observe.status import StatusResponse
from rotator.ports import Clock, Transient
from rotator.providers.http.auth import SecretResolver
from rotator.providers.keys.jwks import places_of
from rotator.providers.oauth.config import AssertionKeyOptions
from rotator.settings import Settings

_JWKS, _TEXT = "application/jwk-set+json", "text/plain; charset=utf-8"  # RFC 7517, section 8.5.2
_FRESH = 5.0  # seconds for which a set is shown again unread: callers cannot make us ask Vault all the time
_SOON = 2.0  # seconds for which a caller waits for a newer set, if an older one can be shown


@dataclass(frozen=True, slots=True)
class PublicKeySet:
    """A public key set, and for how many seconds clients may cache it."""

    text: str
    seconds: int


@dataclass(frozen=True, slots=True)
class JwksRoutes:
    """`find` returns the key set of a credential: None when it has none, words when it cannot be read now."""

    find: Callable[[str], Awaitable[PublicKeySet | str | None]]

    async def respond(self, path: str) -> StatusResponse:
        """The answer for a path. The query is ignored."""
        before, _, name = path.partition("?")[0].partition("/jwks/")
        found = None if before else await self.find(unquote(name))
        if found is None:
            return StatusResponse(404, _TEXT, b"no such set of keys\n")
        if isinstance(found, str):
            return StatusResponse(503, _TEXT, b"the keys cannot be read now\n")
        return StatusResponse(200, _JWKS, found.text.encode(), f"public, max-age={found.seconds}")


class RunningActor(Protocol):
    """The actor that works now, with settings and Vault."""

    settings: Settings
    clock: Clock

    @property
    def secret_resolver(self) -> SecretResolver:
        """Resolves documents."""
        ...


class JwksEndpoint:
    """Key sets by credential. Without an actor it shows the sets that it remembers."""

    def __init__(self) -> None:
        self._actor: RunningActor | None = None
        self._known: dict[str, PublicKeySet] = {}
        self._tried: dict[str, float] = {}  # when it was last read
        self._reading: dict[str, anyio.Lock] = {}

    def attend(self, actor: RunningActor) -> None:
        """Use this actor from now on."""
        self._actor = actor

    async def find(self, name: str) -> PublicKeySet | str | None:
        """The key set of a credential; None when it has none, words when it was never read and cannot be read now."""
        actor = self._actor
        if actor is None:
            return self._remembered(name)
        credential = actor.settings.credentials.get(name)
        options = credential.options if credential else None
        if not isinstance(options, AssertionKeyOptions) or not options.reads_set:
            self._known.pop(name, None)
            return None
        if self._is_fresh(name, actor):
            return self._remembered(name)
        async with self._reading.setdefault(name, anyio.Lock()):  # callers that come meanwhile share the result
            if not self._is_fresh(name, actor):
                with suppress(Transient), anyio.move_on_after(_SOON if name in self._known else None):
                    keys = await places_of(options, actor.secret_resolver)[0].read()
                    self._known[name] = PublicKeySet(keys.shown(), int(options.cached.total_seconds()))
                self._tried[name] = actor.clock.monotonic()
        return self._remembered(name)

    def _is_fresh(self, name: str, actor: RunningActor) -> bool:
        tried = self._tried.get(name)
        return tried is not None and actor.clock.monotonic() - tried < _FRESH

    def _remembered(self, name: str) -> PublicKeySet | str:
        known = self._known.get(name)
        return known if known else "the set of keys cannot be read now"
