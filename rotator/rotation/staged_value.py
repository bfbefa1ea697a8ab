"""A candidate as it stands in the staged slot, and the document it is written as."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rotator.rotation.answers import Document, Minted
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret
from rotator.rotation.token_handle import unfit

_TIMES = ("issued_at", "expires_at")


@dataclass(frozen=True, slots=True)
class StagedValue:
    """A candidate as it stands in the staged slot."""

    token: Token
    secret: Secret
    fields: dict[str, str | Secret]
    private: dict[str, Secret]
    version: int

    @property
    def minted(self) -> Minted:
        """As it came from the mint."""
        return Minted(self.token, self.secret, self.fields, self.private)


def write_staged(minted: Minted, nonce: str) -> dict[str, object]:
    """The staged document: all values text, as KV hands numbers back changed."""
    token = minted.token
    times = {key: stamp.isoformat() for key in _TIMES if (stamp := getattr(token, key)) is not None}
    plain = {key: text for key, text in minted.fields.items() if isinstance(text, str)}
    return {
        "schema": "1",
        "nonce": nonce,
        "token": {"id": token.id, "name": token.name, "serial": token.serial, **times},
        "fields": plain,
        "secrets": {key: text for key, text in minted.fields.items() if key not in plain},
        "private": dict(minted.private),
        "value": minted.secret,
    }


def read_staged(doc: Document) -> StagedValue | None:
    """The candidate in a staged document; None when there is none that we can read."""
    secret, handle = doc.secret("value"), (doc.values or {}).get("token")
    if secret is None or not isinstance(handle, dict) or not handle.get("id"):
        return None
    try:
        times = {key: datetime.fromisoformat(handle[key]) for key in _TIMES if handle.get(key)}
    except (TypeError, ValueError):
        return None
    token = Token(str(handle["id"]), str(handle.get("name", "")), str(handle.get("serial", "")), **times)
    if unfit(token):
        return None
    fields: dict[str, str | Secret] = {**_texts(doc, "fields"), **_secrets(doc, "secrets")}
    return StagedValue(token, secret, fields, _secrets(doc, "private"), doc.version)


def _texts(doc: Document, key: str) -> dict[str, str]:
    found = (doc.values or {}).get(key)
    return {name: text for name, text in found.items() if isinstance(text, str)} if isinstance(found, dict) else {}


def _secrets(doc: Document, key: str) -> dict[str, Secret]:
    return {name: Secret(text) for name, text in _texts(doc, key).items() if text}
