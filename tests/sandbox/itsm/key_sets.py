"""The key sets of clients as a server sees them: read when first needed, and believed for a while.

What is checked with a key is left to `assertions`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jwt

from tests.sandbox.itsm.applications import Application
from tests.sandbox.itsm.refusals import oauth
from tests.sandbox.itsm.rules import Rules


@dataclass(frozen=True, slots=True)
class _Read:
    """A set as it was read."""

    at: float
    keys: dict[str, Any]


class KeySets:
    """Reads a client's JWK Set, and reads it anew when the rules say so."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        """Ages are judged by `clock`."""
        self._clock = clock
        self._known: dict[str, _Read] = {}

    def key(self, application: Application, kid: object, rules: Rules) -> Any:
        """The public key of this `kid`. Raises Refusal; a set that cannot be read has no keys."""
        now = self._clock().timestamp()
        known = self._known.get(application.id)
        lacks = known is not None and kid not in known.keys
        if known is None or application.rereads or now - known.at >= _patience(rules, lacks=lacks):
            known = self._known[application.id] = _Read(now, _keys(application))
        if kid not in known.keys:
            status, error = rules.unknown_key or (rules.status, "invalid_client")
            raise oauth(error, "No key of this kid", status)
        return known.keys[str(kid)]


def _patience(rules: Rules, *, lacks: bool) -> float:
    return min(rules.jwks_rests, rules.jwks_cache) if lacks and rules.jwks_asks_again else rules.jwks_cache


def _keys(application: Application) -> dict[str, Any]:
    try:
        told = json.loads(application.jwks() if application.jwks else "")["keys"]
        found = {
            each["kid"]: jwt.PyJWK({name: part for name, part in each.items() if name != "alg"}).key for each in told
        }
    except (OSError, ValueError, KeyError, TypeError, jwt.PyJWTError):
        return {}
    if any("d" in each for each in told):
        raise AssertionError("a private key lies in a public set")
    return found
