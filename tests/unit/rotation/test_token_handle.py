"""A handle that nothing could be asked about later is of no use, whoever gave it."""

from __future__ import annotations

import pytest

from rotator.rotation.answers import LONGEST, unfit
from rotator.rotation.record import Token


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (Token("pat-x7", "rotator-home-bot-r1-a1", "0f6c2a3e"), ""),
        (Token("12/new_apikey1/rotator-home", "made by hand"), ""),
        (Token("a" * LONGEST), ""),
        (Token(""), "the id"),
        (Token("a" * (LONGEST + 1)), "the id"),
        (Token("a b"), "the id"),
        (Token("a\n"), "the id"),
        (Token("é"), "the id"),
        (Token("a", "", "b" * 70_000), "the serial"),
        (Token("a", "", "\x1b[31m"), "the serial"),
        (Token("a", "n" * (LONGEST + 1)), "the name"),
        (Token("a", "n\u202e"), "the name"),
    ],
)
def test_a_handle_is_a_word_of_a_bearable_length(token: Token, said: str) -> None:
    assert unfit(token).startswith(said)
    assert bool(unfit(token)) is bool(said)
