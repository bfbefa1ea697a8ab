"""The search for canaries: every secret, in every usual encoding, down to twelve characters of it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from html import unescape
from urllib.parse import quote, quote_plus, unquote

_UNIT = re.compile(r"\\u([0-9A-Fa-f]{4})")
_DEEPEST = 4  # escapes within escapes
WINDOW = 12  # characters: less than that can be chance


class Search:
    """Looks for what it was told of. Feed it every secret, then every sink."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._windows: dict[str, str] = {}
        self._count = 0
        for secret in secrets:
            self._count += 1
            for encoding, form in forms(secret):
                for at in range(len(form) - WINDOW + 1):
                    self._windows.setdefault(form[at : at + WINDOW], encoding)

    def __len__(self) -> int:
        return self._count

    def hits(self, sink: str, text: str) -> list[str]:
        """Where, and in which encoding; never the secret itself."""
        found = {
            self._windows[reading[at : at + WINDOW]]
            for reading in readings(text)
            for at in range(len(reading) - WINDOW + 1)
            if reading[at : at + WINDOW] in self._windows
        }
        return [f"{sink}: a secret as {encoding}" for encoding in sorted(found)]


def readings(text: str) -> Iterator[str]:
    """The text, then without its escapes, and without those that they hid."""
    yield text
    for _ in range(_DEEPEST):
        plain = unquote(unescape(_UNIT.sub(lambda found: chr(int(found[1], 16)), text)), errors="surrogateescape")
        if plain == text:
            return
        text = plain
        yield text


def forms(secret: str) -> Iterator[tuple[str, str]]:
    """The secret as it may stand in a text."""
    raw = secret.encode(errors="surrogatepass")  # a hostile answer may have half a character
    yield "plain text", secret
    for shift in range(3):
        # Within a longer base64 text a secret looks different at each of three alignments; the edges mix with others.
        padded = base64.b64encode(b"x" * shift + raw).decode().rstrip("=")[4 if shift else 0 : -2]
        yield "base64", padded
        yield "URL-safe base64", padded.replace("+", "-").replace("/", "_")
    yield "hex", raw.hex()
    yield "a quoted URL", quote(secret, safe="", errors="surrogatepass")
    yield "a quoted form", quote_plus(secret, errors="surrogatepass")
    yield "JSON", json.dumps(secret)[1:-1]
    yield "JSON with escaped slashes", json.dumps(secret)[1:-1].replace("/", "\\/")
    yield "reversed text", secret[::-1]
