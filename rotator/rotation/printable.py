"""Texts of others made fit to be shown: on one line, without control characters, of a bearable length. Pure."""

from __future__ import annotations

import re

LONGEST = 4000  # characters of one line; the longest honest one is what a person has to do, with a public key
CELL = 300  # of one cell in a table

# What a public key is copied from keeps its lines; there is no room in it for words.
_PEM = re.compile(r"(\n?-----BEGIN [A-Z ]{1,40}-----\n(?:[A-Za-z0-9+/=]{1,100}\n){1,200}-----END [A-Z ]{1,40}-----)")


def visible(text: str, longest: int = LONGEST) -> str:
    """The text as it may be shown: whatever is not printable is spelt out, as in `\\x1b` or `\\u202e`.

    A terminal obeys control characters, shows what follows a line end as a line of ours, and turns the order of words
    at a bidirectional override.
    """
    left = len(text) - longest
    if left > 0:
        text = f"{text[:longest]}… ({left} more characters)"
    if text.isprintable():
        return text
    parts = _PEM.split(text)
    return "".join(part if number % 2 else _spelt(part) for number, part in enumerate(parts))


def _spelt(text: str) -> str:
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
