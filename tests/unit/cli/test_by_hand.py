"""`rotate revoke` without a daemon, while Vault lets nobody in: verdicts, and what a person can do."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from click.testing import CliRunner

from rotator.app import control, standalone
from rotator.cli import base, operator_commands
from rotator.commands import rotate
from rotator.ports import Fault, StoreRefused, Transient
from tests.unit.app.test_by_hand import settings


async def _nobody(_socket: str) -> bool:
    return False


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        (Transient("sealed"), 75, "undecided: nothing could be written down in Vault, so nothing was begun: sealed"),
        (StoreRefused("login"), 1, "nothing could be written down in Vault, so nothing was begun: login"),
    ],
)
def test_there_is_a_verdict_and_what_to_end_by_hand(
    fault: Fault, code: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ended with the fault alone, after which nobody knew what became of the leak."""
    known: Any = settings()

    async def alone(_settings: Any, _wanted: Any, missed: Callable[[str], None]) -> AsyncGenerator[dict[str, Any]]:
        if isinstance(fault, Transient):
            missed(fault.reason)
        raise fault
        yield {}

    monkeypatch.setattr(base, "reach", lambda config: base.Reach(known, "nowhere"))
    monkeypatch.setattr(control, "answers", _nobody)
    monkeypatch.setattr(standalone, "rotate_alone", alone)
    monkeypatch.setattr(rotate, "within", lambda seconds, call: call())
    ended = CliRunner().invoke(operator_commands.revoke_command, ["bot", "--json"])
    assert ended.exit_code == code, ended.output
    told = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    assert [each["by_hand"] for each in told if "by_hand" in each] == ["bot"]
    [[verdict]] = [each["verdicts"] for each in told if "verdicts" in each]
    assert (verdict["credential"], verdict["exit"]) == ("bot", code)
    assert verdict["said"].startswith(words)


def test_two_lengths_are_one_too_many() -> None:
    ended = CliRunner().invoke(operator_commands.revoke_command, ["bot", "--wait", "--within", "5m"])
    assert ended.exit_code == 2


@pytest.mark.parametrize(
    ("events", "code", "said"),
    [
        (
            ["left"],
            1,
            "a new value is published, but the old one was not revoked: it is accepted until it expires (left)",
        ),
        (["left", "retired"], 0, "proven dead: retired"),
        (["retired"], 0, "proven dead: retired"),
    ],
)
def test_what_was_left_to_its_date_is_told_with_its_reason(
    events: list[str], code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def alone(_settings: Any, _wanted: Any, _missed: Any) -> AsyncGenerator[dict[str, Any]]:
        alive = [] if "retired" in events else ["left"]
        for each in events:
            yield {"credential": "bot", "event": f"predecessor.{each}", "said": each}
        yield {
            "verdicts": [{"credential": "bot", "answer": "done", "exit": 0, "said": "live", "live": alive}],
            "exit": 0,
        }

    known: Any = settings()
    monkeypatch.setattr(base, "reach", lambda config: base.Reach(known, "nowhere"))
    monkeypatch.setattr(control, "answers", _nobody)
    monkeypatch.setattr(standalone, "rotate_alone", alone)
    ended = CliRunner().invoke(operator_commands.revoke_command, ["bot"])
    assert ended.exit_code == code, ended.output
    assert f"bot: {said}" in ended.output
