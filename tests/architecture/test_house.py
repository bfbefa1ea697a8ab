"""The zeros and ones of `make house`. Its other counts are for people to read, so that later work may add modules."""

from __future__ import annotations

from tests.tools import house


def test_no_module_is_loose_and_no_name_is_a_metaphor_or_an_empty_word() -> None:
    assert house.loose() == []
    assert house.banned() == [], "say what it is in the words of the field"


def test_one_place_saves_the_journal_and_one_composes_an_actor() -> None:
    assert sum(house.calls("save").values()) == 1
    assert sum(house.calls("Actor").values()) == 1


def test_every_count_is_printed() -> None:
    labels = [line.partition(":")[0] for line in house.report() if not line.startswith(" ")]
    assert len(labels) == len(set(labels)) == 11
