"""A token that is kept in a Vault document, which each use may replace and the server may refuse."""

from __future__ import annotations

from rotator.ports import Document
from rotator.rotation.secret import Secret

REFUSED = "refused_version"  # of the document: the server refused the token in it


def present(document: Document, key: str) -> Secret | None:
    """The token, without closing line ends: a person may have written it from a file."""
    text = document.text(key).rstrip("\r\n")
    return Secret(text) if text else None


def is_refused(document: Document) -> bool:
    """Whether the server refused the token in it, and nobody has written another one since."""
    return document.text(REFUSED) == str(document.version)


def refused(document: Document) -> dict[str, object]:
    """What marks the token in it as refused, once it is written over this version."""
    return {**(document.values or {}), REFUSED: str(document.version + 1)}
