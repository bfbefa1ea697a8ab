"""A Halo PAT record as the server tells it, and the mark by which ours are known; client.py makes the calls."""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from rotator.ports import InventoryItem, Transient
from rotator.providers.config import HaloPatOptions
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret
from rotator.rotation.token_names import begins

_WHERE = "security.halo.run/access-token"
_MARK = "rotator:"
_FORM = re.compile(r"pat_[A-Za-z0-9._~+/-]+=*")  # Halo takes no other Bearer value for a personal access token
_Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class Metadata(msgspec.Struct, frozen=True, rename="camel"):
    """The part that every Halo object has. Annotations are not read here: a mint's holds the token."""

    name: str
    creation_timestamp: _Instant | None = None
    deletion_timestamp: _Instant | None = None


class Spec(msgspec.Struct, frozen=True, rename="camel"):
    """What a token may do, whose it is, and how it fares."""

    token_id: str
    username: str = ""
    description: str | None = None
    roles: tuple[str, ...] | None = None
    revoked: bool = False
    revokes_at: _Instant | None = None
    expires_at: _Instant | None = None
    last_used: _Instant | None = None


class PatRecord(msgspec.Struct, frozen=True):
    """One personal access token's record."""

    metadata: Metadata
    spec: Spec

    @property
    def living(self) -> bool:
        """Whether it is neither revoked nor waiting to be collected."""
        return not self.spec.revoked and self.metadata.deletion_timestamp is None

    @property
    def mark(self) -> str:
        """The mint name in our mark, or nothing. Before 2.20.19 the description is all that survives a mint."""
        words = (self.spec.description or "").split()
        return words[-1].removeprefix(_MARK) if words and words[-1].startswith(_MARK) else ""

    def is_of(self, token: Token) -> bool:
        """Whether it is this token's record: a name may be used again, a tokenId is not."""
        return self.metadata.name == token.id and token.serial in ("", self.spec.token_id)

    def token(self, name: str) -> Token:
        """The handle of this record, minted under `name`."""
        spec = self.spec
        return Token(self.metadata.name, name, spec.token_id, self.metadata.creation_timestamp, spec.expires_at)

    def holding(self) -> InventoryItem:
        """What it is to whoever looks for what nobody uses."""
        meta, spec = self.metadata, self.spec
        words = (spec.description or "").removesuffix(f"{_MARK}{self.mark}").strip()
        made, used = meta.creation_timestamp, spec.last_used
        return InventoryItem(meta.name, self.mark, words, spec.roles or (), made, used, spec.expires_at)

    def named(self, prefix: str) -> str:
        """The name it was minted under when that begins with `prefix`, or nothing."""
        return next((name for name in (self.mark, self.metadata.name) if begins(name, prefix)), "")


class _Claims(msgspec.Struct, frozen=True):
    jti: str
    pat_name: str


class _Role(msgspec.Struct, frozen=True):
    metadata: Metadata


class _Permissions(msgspec.Struct, frozen=True):
    roles: tuple[_Role, ...]


def wish(name: str, expires_at: datetime | None, options: HaloPatOptions) -> dict[str, Any]:
    """The body of a mint. Never finalizers: nothing would ever remove them, and the record could not be collected."""
    spec: dict[str, Any] = {
        "name": name,
        "description": f"{options.description} {_MARK}{name}".strip(),
        "roles": list(options.roles),
        "scopes": list(options.scopes),
    }
    if expires_at is not None:
        spec["expiresAt"] = expires_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return {"metadata": {"name": name, "labels": {"rotator/mint": name}}, "spec": spec}


def read(document: Any) -> PatRecord:
    """Raises Transient when this is not a PAT record: whether the call had its effect is not known."""
    try:
        return msgspec.convert(document, PatRecord)
    except msgspec.ValidationError:
        raise Transient("the answer is no personal access token record") from None


def read_list(document: Any) -> list[PatRecord]:
    """Raises Transient when this is not a list of PAT records."""
    try:
        return msgspec.convert(document, list[PatRecord])
    except msgspec.ValidationError:
        raise Transient("the answer is no list of personal access tokens") from None


def is_pat(secret: Secret) -> bool:
    """Whether the value has the form of a personal access token."""
    return _FORM.fullmatch(secret.reveal()) is not None


def is_value_of(secret: Secret, token: Token) -> bool:
    """Whether the value says that it is this token; one that does not say (none did not, up to 2.26.0) may be.

    The signature is Halo's to check. This must be asked beside it: every token of a user may read all the user's
    records, so that a 200 proves no more than the user.
    """
    said = spoken(secret)
    return said is None or (said.id == token.id and token.serial in ("", said.serial))


def spoken(secret: Secret) -> Token | None:
    """The handle that the value tells: `pat_name` is the record's name, `jti` its tokenId. None: it has none."""
    try:
        payload = secret.reveal().split(".")[1]
        claims = msgspec.json.decode(urlsafe_b64decode(payload + "=="), type=_Claims)
    except (IndexError, binascii.Error, UnicodeError, ValueError, msgspec.MsgspecError):
        return None
    return Token(claims.pat_name, "", claims.jti)


def take_token(document: Any) -> str:
    """The token's value, removed from the answer of a mint. Raises Transient when it is not there."""
    try:
        text = document["metadata"]["annotations"].pop(_WHERE)
    except (TypeError, KeyError, AttributeError):
        raise Transient("the answer of the mint shows no token") from None
    if not isinstance(text, str) or not text:
        raise Transient("the answer of the mint shows no token")
    return text


def read_roles(document: Any) -> set[str]:
    """The names of the roles in an answer about permissions. Raises Transient when it is none."""
    try:
        return {role.metadata.name for role in msgspec.convert(document, _Permissions).roles}
    except msgspec.ValidationError:
        raise Transient("the answer does not tell the minter's roles") from None
