"""Owns the public keys as others may fetch them: read where they are kept, and remembered while Vault is away.

There is no second truth: what is shown is what the daemon wrote, cut down to public members.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from rotator.ports import Clock, Transient
from rotator.providers.auth import Keyring
from rotator.providers.jwks_places import places_of
from rotator.providers.oauth_keys import AssertionKeyKeys
from rotator.settings import Settings
from rotator.status import Shown

_FRESH = 5.0  # seconds for which a set is shown again without a look: strangers cannot make us ask Vault all the time
_KIND = "assertion-key"


class Actor(Protocol):
    """Who works now, and knows settings and Vault."""

    settings: Settings
    clock: Clock

    @property
    def keychain(self) -> Keyring:
        """Where documents are."""
        ...


class Keyhouse:
    """Sets of keys by credential. Before an actor attends, and after it left, it shows what it knows."""

    def __init__(self) -> None:
        self._actor: Actor | None = None
        self._known: dict[str, tuple[float, Shown]] = {}

    def attend(self, actor: Actor) -> None:
        """From now on, this one is asked."""
        self._actor = actor

    async def find(self, name: str) -> Shown | str | None:
        """The set of a credential; None when it has none, words when it was never read and cannot be now."""
        actor = self._actor
        if actor is None:
            return self._remembered(name)
        credential = actor.settings.credentials.get(name)
        if credential is None or credential.kind != _KIND:
            self._known.pop(name, None)
            return None
        now, known = actor.clock.monotonic(), self._known.get(name)
        if known and now - known[0] < _FRESH:
            return known[1]
        options = msgspec.convert(dict(credential.options), AssertionKeyKeys)
        try:
            keys = await places_of(options, actor.keychain)[0].read()
        except Transient:
            return self._remembered(name)
        shown = Shown(keys.shown(), int(options.jwks_cache.total_seconds()))
        self._known[name] = (now, shown)
        return shown

    def _remembered(self, name: str) -> Shown | str:
        known = self._known.get(name)
        return known[1] if known else "the set of keys cannot be read now"
