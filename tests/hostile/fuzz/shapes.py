"""The strange shapes: JSON values that nobody meant, and documents with such values in them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

WORDS = st.sampled_from(
    [
        *(
            "",
            " ",
            "0",
            "1",
            "-1",
            "2",
            "true",
            "none",
            "NaN",
            "9" * 30,
            "9" * 5000,
            "1e999",
            "\ud800",
            "\x00",
            "é",
            "💥",
        ),
        *("9999-12-31T23:59:59.999999-14:00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2026-03-01T12:00:00"),
        *("1970-01-01T00:00:00+00:00", "2026-03-01T12:00:00Z", "P1D", "PT1H", "P999999999D", "-P9D", "../../sys/seal"),
        *("settled", "requested", "staged", "verified", "published", "condemned", "rejected", "held", "a" * 70000),
    ]
)
NUMBERS = (
    st.sampled_from([0, 1, -1, 2**31, 2**63, 10**30, 1.5, -0.0, 1e308]) | st.integers() | st.floats(allow_nan=False)
)
LEAVES = st.one_of(WORDS, NUMBERS, st.none(), st.booleans(), st.text(max_size=12))
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def edited(draw: st.DrawFn, sound: dict[str, Any]) -> dict[str, Any]:
    """A document after a hand has been at it: some values, at any depth, replaced, taken away or added."""
    document = dict(sound)
    for _ in range(draw(st.integers(1, 3))):
        _edit(draw, document)
    return document


def _edit(draw: st.DrawFn, document: dict[str, Any]) -> None:
    key = draw(st.sampled_from(sorted(document) or ["new"]) | st.text(min_size=1, max_size=8))
    inner = document.get(key)
    if isinstance(inner, dict) and inner and draw(st.booleans()):
        document[key] = dict(inner)
        _edit(draw, document[key])
    elif key in document and draw(st.integers(0, 4)) == 0:
        del document[key]
    else:
        document[key] = draw(VALUES)
