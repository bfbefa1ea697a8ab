"""The public keys as others may fetch them: read where they are kept, and remembered while Vault is away.

There is no second truth: what is shown is what the daemon wrote, cut down to public members.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

import anyio
import msgspec

from rotator.observe.status import PublicKeySet
from rotator.ports import Clock, Transient
from rotator.providers.http.auth import SecretResolver
from rotator.providers.keys.jwks_store import places_of
from rotator.providers.oauth.config import AssertionKeyOptions
from rotator.settings import Settings

_FRESH = 5.0  # seconds for which a set is shown again without a look: strangers cannot make us ask Vault all the time
_SOON = 2.0  # seconds for which a caller waits for a newer set, when there is one that can be shown
_KIND = "assertion-key"


class Actor(Protocol):
    """Who works now, and knows settings and Vault."""

    settings: Settings
    clock: Clock

    @property
    def secret_resolver(self) -> SecretResolver:
        """Where documents are."""
        ...


class JwksEndpoint:
    """Sets of keys by credential. Before an actor attends, and after it left, it shows what it knows."""

    def __init__(self) -> None:
        self._actor: Actor | None = None
        self._known: dict[str, PublicKeySet] = {}
        self._tried: dict[str, float] = {}  # when it was last looked for
        self._reading: dict[str, anyio.Lock] = {}

    def attend(self, actor: Actor) -> None:
        """From now on, this one is asked."""
        self._actor = actor

    async def find(self, name: str) -> PublicKeySet | str | None:
        """The set of a credential; None when it has none, words when it was never read and cannot be now."""
        actor = self._actor
        if actor is None:
            return self._remembered(name)
        credential = actor.settings.credentials.get(name)
        if credential is None or credential.kind != _KIND:
            self._known.pop(name, None)
            return None
        if self._is_fresh(name, actor):
            return self._remembered(name)
        async with self._reading.setdefault(name, anyio.Lock()):  # who comes meanwhile shares what is read
            if not self._is_fresh(name, actor):
                options = msgspec.convert(dict(credential.options), AssertionKeyOptions)
                with suppress(Transient), anyio.move_on_after(_SOON if name in self._known else None):
                    keys = await places_of(options, actor.secret_resolver)[0].read()
                    self._known[name] = PublicKeySet(keys.shown(), int(options.jwks_cache.total_seconds()))
                self._tried[name] = actor.clock.monotonic()
        return self._remembered(name)

    def _is_fresh(self, name: str, actor: Actor) -> bool:
        tried = self._tried.get(name)
        return tried is not None and actor.clock.monotonic() - tried < _FRESH

    def _remembered(self, name: str) -> PublicKeySet | str:
        known = self._known.get(name)
        return known if known else "the set of keys cannot be read now"
