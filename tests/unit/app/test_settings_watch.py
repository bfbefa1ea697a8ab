"""When changed settings are read again: once for each content, and not while somebody writes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rotator.app.settings_watch import SettingsWatch
from rotator.settings.files import digest, join
from rotator.settings.table_reader import FaultList

# What the files are, look by look; whether the settings on disk were refused; when they are read again.
LOOKS = [
    ("aaaa", False, ""),
    ("abbb", False, "  x"),
    ("abcb", False, ""),
    ("abbcc", False, "  x x"),
    ("abbaa", False, "  x "),
    ("abbaa", True, "  x x"),
    ("bbaba", False, " x"),
]


@pytest.mark.parametrize(("looks", "refused", "expected"), LOOKS)
def test_a_content_is_told_once_when_two_looks_have_found_it(looks: str, refused: bool, expected: str) -> None:
    """Settings are in force as `a`; where they were refused, the content before is news, too."""
    watch = SettingsWatch("a")
    told = "".join("x" if watch.tells(each, "" if refused else "a") else " " for each in looks)
    assert told.rstrip() == expected.rstrip()


def test_what_a_reload_has_taken_already_is_no_news() -> None:
    watch = SettingsWatch("a")
    assert not watch.tells("b", "b")
    assert not watch.tells("b", "b")
    assert not watch.tells("c", "b")
    assert watch.tells("c", "b")


def test_the_digest_is_that_of_the_settings_and_follows_a_link_that_is_swapped(tmp_path: Path) -> None:
    """A volume of a config map: each file is a link through `..data`, which the kubelet swaps."""
    for name, text in (("one", "[vault]\n"), ("two", "[daemon]\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rotator.toml").write_text(text)
    data, main = tmp_path / "..data", tmp_path / "rotator.toml"
    data.symlink_to("one")
    main.symlink_to("..data/rotator.toml")
    before = digest(main)
    assert before == join(main, FaultList()).digest
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").replace(data)
    after = digest(main)
    assert after == join(main, FaultList()).digest != before
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "team.toml").write_text("")
    assert digest(main) == join(main, FaultList()).digest != after
    data.unlink()
    assert digest(main) == join(main, FaultList()).digest, "what cannot be read is told by the reload"
