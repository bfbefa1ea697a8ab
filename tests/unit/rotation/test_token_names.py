"""Mint names: plain enough for any target, and readable again by us."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.rotation.token_names import Parsed, begins, family, mint_name, parse, stem
from tests.unit.rotation.builders import steady

NUMBERS = st.integers(1, 10**6)
WORDS = st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("blog/bot", "blog-bot"),
        ("Blog  Bot", "blog-bot"),
        ("--dashes--", "dashes"),
        ("größe", "gr-e"),
        ("x" * 39 + "/y", "x" * 39),
        ("x" * 60, "x" * 40),
    ],
)
def test_a_stem_holds_the_readable_part_of_the_name(name: str, slug: str) -> None:
    assert stem("rotator", "home", name, "l1") == f"rotator-home-{slug}-l1"


@steady
@given(st.text(min_size=1), WORDS, WORDS, NUMBERS, NUMBERS)
def test_a_mint_name_is_lower_case_letters_digits_and_dashes_and_parses_back(name, home, lineage, rotation, attempt):
    start = stem("rotator", home, name, lineage)
    minted = mint_name(start, rotation, attempt)
    assert re.fullmatch(r"[a-z0-9-]+", minted)
    assert minted.startswith(family("rotator", home))
    assert parse(minted) == Parsed(start, rotation, attempt)


@steady
@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_two_attempts_never_share_a_name(rotation, attempt, other_rotation, other_attempt) -> None:
    same = (rotation, attempt) == (other_rotation, other_attempt)
    assert (mint_name("s", rotation, attempt) == mint_name("s", other_rotation, other_attempt)) is same


def test_a_new_lineage_makes_names_that_the_old_one_never_used() -> None:
    assert mint_name(stem("rotator", "home", "bot", "l1"), 1, 1) != mint_name(
        stem("rotator", "home", "bot", "l2"), 1, 1
    )


@pytest.mark.parametrize(
    "name", ["", "somebody-elses", "stem-r1", "stem-a1", "stem-r1-a1-more", "-r1-a1", "stem-rx-a1"]
)
def test_a_name_that_is_not_ours_is_not_taken_apart(name: str) -> None:
    assert parse(name) is None


@pytest.mark.parametrize(
    ("name", "prefix", "yes"),
    [
        ("x-r1-a1", "x-r1-a1", True),
        ("x-r1-a1", "x-r1", True),
        ("x-r12-a1", "x-r1", False),
        ("x-r1-a12", "x-r1-a1", False),
        ("x-r1-a1", "x-", True),
        ("x-r1-a1", "y", False),
        ("x-r1-a1", "", True),
    ],
)
def test_a_prefix_never_cuts_a_number(name: str, prefix: str, yes: bool) -> None:
    assert begins(name, prefix) is yes
