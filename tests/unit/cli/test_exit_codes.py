"""One table of exit codes: the code, `--help`, the man page, README and runbook say the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from config.manpage import page
from rotator.cli import rotate
from rotator.host.exit_codes import GRAVITY, IN_WORDS, MEANINGS, Exit, gravest
from rotator.rotation.credential_state import GRAVEST_EXIT
from tests.architecture.source import HOUSE


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("path", [HOUSE / "README.md", HOUSE / "config" / "runbook.md"], ids=lambda path: path.name)
def test_the_documents_name_every_code_in_the_words_of_the_table(path: Path) -> None:
    assert f"Exit codes: {IN_WORDS}." in flat(path.read_text())


def test_help_and_the_man_page_show_the_table() -> None:
    assert f"Exit codes: {IN_WORDS}." in flat(CliRunner().invoke(rotate, ["--help"]).output)
    written = page("1.2").partition("EXIT STATUS")[2]
    assert all(said.replace("-", "\\-") in written or said in written for said in MEANINGS.values())


def test_every_code_has_its_meaning_and_every_code_that_is_used_is_one() -> None:
    assert set(MEANINGS) == set(Exit)
    assert set(GRAVEST_EXIT) <= set(Exit)


def test_what_is_not_done_counts_more_than_a_hook_that_failed() -> None:
    assert gravest([0, 4, 75]) == 75
    assert gravest([0, 4]) == 4
    assert gravest([]) == 0
    assert GRAVITY.index(Exit.HOOK_FAILED) == len(GRAVITY) - 2
