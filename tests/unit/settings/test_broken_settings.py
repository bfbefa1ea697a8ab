"""Each broken settings file gives exactly one fault, at its line, with its key and a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from rotator.settings import SettingsError
from rotator.settings.parsers import FaultAt
from tests.unit.settings.broken import END, ROWS, Broken
from tests.unit.settings.files import SOUND, faults, line_of, write


def _broken_text(row: Broken) -> str:
    if row.old == END:
        return SOUND + row.new + "\n"
    assert SOUND.count(row.old) == 1
    return SOUND.replace(row.old, row.new)


@pytest.mark.parametrize("row", ROWS, ids=[row.sentence for row in ROWS])
def test_is_refused_at_its_place(row: Broken, tmp_path: Path) -> None:
    text = _broken_text(row)
    path = write(tmp_path, text)
    found = faults(path)
    assert [fault.key for fault in found] == [row.key], [str(fault) for fault in found]
    assert row.phrase in found[0].text
    assert found[0].file == str(path)
    assert found[0].line == line_of(text, row.blamed)


def test_the_sound_file_is_sound(tmp_path: Path) -> None:
    assert faults(write(tmp_path, SOUND)) == ()


def test_no_sentence_stands_for_two_rows() -> None:
    assert len({row.sentence for row in ROWS}) == len(ROWS)


def test_of_many_faults_that_say_the_same_the_first_is_told_and_the_others_are_counted() -> None:
    many = [FaultAt("f.toml", line, f"credentials.c{line}.target", "there is no target `x`") for line in range(1, 1001)]
    few = [FaultAt("f.toml", 2000 + line, f"credentials.d{line}.path", "must begin with a letter") for line in range(3)]
    told = SettingsError([*many, *few]).faults
    assert [each.line for each in told] == [1, 2000, 2001, 2002]
    more = "(999 more say the same, the last is credentials.c1000.target)"
    assert told[0].text == f"there is no target `x` {more}"
