"""Answers of Vault and of targets as data, the capabilities of a kind, and the identity of an installation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from rotator.rotation.record import Token
from rotator.rotation.secret import Secret

LONGEST = 512  # characters; it stands in addresses, log lines and journal documents
_WORD = re.compile(rf"[!-~]{{1,{LONGEST}}}")


def unfit(token: Token) -> str:
    """Why a handle from a target or from Vault cannot be used; empty: it can."""
    if not _WORD.fullmatch(token.id):
        return f"the id of the token is no word of 1 to {LONGEST} printable ASCII characters"
    if token.serial and not _WORD.fullmatch(token.serial):
        return f"the serial of the token is no word of up to {LONGEST} printable ASCII characters"
    if len(token.name) > LONGEST or not token.name.isprintable():
        return f"the name of the token is longer than {LONGEST} characters, or not printable"
    return ""


@dataclass(frozen=True, slots=True)
class Installation:
    """What tells this installation from others at the same target: made once, kept in Vault."""

    lineage: str
    fingerprint_key: bytes = field(repr=False)
    prefix: str = "rotator"


@dataclass(frozen=True, slots=True)
class Document:
    """One version of a KV document. `version` 0: it never existed. `deleted`: the newest version was deleted."""

    version: int
    values: Mapping[str, object] | None = field(default=None, repr=False)
    deleted: bool = False
    written_at: datetime | None = None  # by Vault's clock, if it told the time
    vanishes_at: datetime | None = None  # when Vault itself deletes this version (delete_version_after)

    def secret(self, key: str) -> Secret | None:
        """The value under `key` if it is a non-empty text, else None."""
        value = (self.values or {}).get(key)
        return Secret(value) if isinstance(value, str) and value else None

    def text(self, key: str) -> str:
        """The text under `key`, or an empty text."""
        value = (self.values or {}).get(key)
        return value if isinstance(value, str) else ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a kind of target can do; declared, not discovered by failure. `rotate conformance` tries what is said
    here.
    """

    takes_token_name: bool = False  # `mint` gives the token the name that we choose
    can_list: bool = False  # tokens can be listed, so strays can be found
    needs_install: bool = False  # `mint` makes the value here, and `install` puts it on the target later
    overlap: bool = True  # the predecessor stays valid while the successor is published; else installing ends it
    mint_ends_predecessor: bool = False  # a mint ends the predecessor: a cut-over until the successor is published
    can_revoke: bool = True  # `revoke` ends a token; else it ends by its date
    revokes_by_value: bool = False  # `revoke` needs the value: a token whose value Vault has lost ends by its date
    shared_grant: bool = False  # all tokens of a credential are of one grant, with which a target may end them together
    can_restore: bool = False  # `restore` takes a revocation back
    reports_last_use: bool = False  # `inspect` reports when a token was last used
    last_use_resolution: timedelta = timedelta(0)  # after a recorded use, the target may leave out others for so long
    old_is_safe_to_present: bool = True  # presenting a revoked secret to the target does no harm

    @property
    def revokes_by_handle(self) -> bool:
        """Whether a token can be ended by whoever has lost its value."""
        return self.can_revoke and not self.revokes_by_value


@dataclass(frozen=True, slots=True)
class Minted:
    """A new token: its handle, its value, fields to publish beside it, and fields that are staged but not published."""

    token: Token
    secret: Secret
    fields: Mapping[str, str | Secret] = field(default_factory=dict)
    private: Mapping[str, Secret] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The target accepted the secret, and its identity and rights are the configured ones."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The target refused the secret, or its identity or rights are wrong. `final`: waiting does not help."""

    reason: str
    final: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """The target did not say whether it accepts the secret."""

    reason: str
    retry_after: float | None = None


Verdict = Accepted | Rejected | Unknown


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the target knows of a token. `last_used` None means unknown; it never means unused."""

    exists: bool
    revoked: bool = False
    last_used: datetime | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


class Outcome(StrEnum):
    """The result of a revocation, restoration or deletion. An unknown result is no Outcome but raises Transient."""

    DONE = "done"
    ALREADY = "already"


_TIMES = ("issued_at", "expires_at")


@dataclass(frozen=True, slots=True)
class StagedValue:
    """A candidate as stored in the staged slot."""

    token: Token
    secret: Secret
    fields: dict[str, str | Secret]
    private: dict[str, Secret]
    version: int

    @property
    def minted(self) -> Minted:
        """The candidate in the form that `mint` returned."""
        return Minted(self.token, self.secret, self.fields, self.private)


def write_staged(minted: Minted, nonce: str) -> dict[str, object]:
    """The document for the staged slot. All values are text, because KV changes numbers."""
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
    """The candidate in a staged document; None if there is none or it cannot be read."""
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
