"""JWK Sets (RFC 7517): public keys joining and leaving one, and what may be shown of it. Pure.

Where a set is kept is left to jwks_store.py, which keys belong in it to the kinds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rotator.ports import Refused
from rotator.rotation.token_names import begins

MARK = "rotator"  # a further member, which RFC 7517, section 4, lets everybody ignore: our mint name
_MEND = "mend it, and keep the keys that bear our mark, as one of them is published"
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})  # RFC 7518, section 6
_PUBLIC = ("kty", "use", "key_ops", "alg", "kid", "n", "e", "crv", "x", "y", "x5u", "x5c", "x5t", "x5t#S256")

Jwk = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class KeySet:
    """A JWK Set. Keys and members of others stay as they are."""

    keys: tuple[Jwk, ...] = ()
    beside: Mapping[str, Any] = field(default_factory=dict)

    def having(self, jwk: Jwk) -> KeySet:
        """With this key, in the place of one of the same `kid`."""
        if any(each.get("kid") == jwk["kid"] for each in self.keys):
            return replace(self, keys=tuple(jwk if each.get("kid") == jwk["kid"] else each for each in self.keys))
        return replace(self, keys=(*self.keys, jwk))

    def without(self, kid: str) -> KeySet:
        """Without the key of this `kid`."""
        return replace(self, keys=tuple(each for each in self.keys if each.get("kid") != kid))

    def marked(self, prefix: str) -> dict[str, str]:
        """The mint names of our keys that begin so, by `kid`."""
        named = {str(each.get("kid", "")): str(each.get(MARK, "")) for each in self.keys}
        return {kid: name for kid, name in named.items() if kid and name and begins(name, prefix)}

    def kids(self) -> set[str]:
        """The `kid` of every key that has one."""
        return {str(each["kid"]) for each in self.keys if each.get("kid")}

    def __contains__(self, kid: object) -> bool:
        return any(each.get("kid") == kid for each in self.keys)

    def text(self) -> str:
        """As it is kept: the whole set, which servers read as it stands."""
        return json.dumps({**self.beside, "keys": [dict(each) for each in self.keys]}, indent=1)

    def shown(self) -> str:
        """As strangers see it: nothing but registered public members, of nothing but asymmetric keys."""
        fit = [each for each in self.keys if each.get("kty") in ("RSA", "EC", "OKP")]
        keys = [{name: each[name] for name in _PUBLIC if name in each} for each in fit]
        return json.dumps({"keys": keys}, separators=(",", ":"))


def parse(text: str) -> KeySet:
    """The set in a text; an empty text is an empty set. Raises Refused without quoting it."""
    if not text.strip():
        return KeySet()
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise Refused("holds no JSON, where a JWK Set should be", remedy=_MEND) from None
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or not all(isinstance(each, dict) for each in keys):
        raise Refused("holds no JWK Set, which is an object with an array `keys` of objects", remedy=_MEND)
    if any(_PRIVATE & each.keys() for each in keys):
        raise Refused("holds a private or symmetric key, which whatever servers read must not", remedy=_MEND)
    return KeySet(tuple(keys), {name: value for name, value in document.items() if name != "keys"})
