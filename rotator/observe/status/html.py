"""Making HTML in which whatever is not markup by its type is escaped, and shown as the text that it is."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from rotator.rotation.printable import visible


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def el(name: str, /, *inside: object, **attributes: str | bool | None) -> Html:
    """An element. None, False and empty things inside are left out; `class_` is written `class`, `_` is written `-`."""
    said = "".join(_attribute(key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    if name in ("link", "meta", "br"):
        return Html(f"<{name}{said}>")
    return Html(f"<{name}{said}>{_text(inside)}</{name}>")


def join(*parts: object) -> Html:
    """Parts one after the other."""
    return Html(_text(parts))


def _attribute(name: str, value: str | bool | None) -> str:
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(visible(value))}"'


def _text(parts: Iterable[object]) -> str:
    return "".join(
        part if isinstance(part, Html) else escape(visible(str(part)))
        for part in parts
        if part is not None and part is not False
    )
