"""`rotate targets`: what is said of the targets of the settings, and of what is on one of them."""

from __future__ import annotations

import pytest

from rotator.cli.targets import _overview, _show
from rotator.commands.targets import TargetSummary
from rotator.providers.base import TargetTable

ROW = {"id": "7", "name": "", "system": True, "scopes": ("all", "admin"), "agent": None, "filled": ()}


def test_a_table_is_in_plain_words_and_ends_with_the_line_for_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    _show([TargetTable("API applications", (ROW,), 'application = "7"\nclient_id = "c"', said="as chief")])
    assert capsys.readouterr().out.splitlines() == [
        "API applications",
        "ID  NAME  SYSTEM  SCOPES      AGENT      FILLED",
        "7   -     yes     all, admin  not shown  none",
        "as chief",
        "in [credentials.NAME] of the settings, such as:",
        '  application = "7"',
        '  client_id = "c"',
    ]


def test_nothing_there_and_nothing_to_be_listed_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    _show([TargetTable("roles"), TargetTable("desk", said="a target of the kind manual has no list")])
    assert capsys.readouterr().out == "roles\nnone\n\ndesk\na target of the kind manual has no list\n"


def test_the_overview_says_why_a_target_is_not_reached(capsys: pytest.CaptureFixture[str]) -> None:
    _overview([TargetSummary("blog", "halo-cms", "https://b", 2, True), TargetSummary("x", "y", "z", 0, False, "shut")])
    _, blog, shut, _, hint = capsys.readouterr().out.splitlines()
    assert blog.split() == ["blog", "halo-cms", "https://b", "2", "yes"]
    assert shut.endswith("no: shut")
    assert "rotate targets NAME" in hint
    _overview([])
    assert "no target" in capsys.readouterr().out
