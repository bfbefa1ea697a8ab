"""Who asks a daemon hears what became of the hooks that had to hear of it: after the verdict, with exit code 4."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from rotator.commands import outcomes
from rotator.commands.outcomes import HookOutcome
from rotator.host.cron import SystemClock
from rotator.host.exit_codes import Exit

pytestmark = pytest.mark.anyio


class Hooks:
    """What hooks owe, and what they gave up."""

    def __init__(self) -> None:
        self.owed: list[str] = []
        self.given_up: dict[str, int] = {"reload": 3}

    def owing(self, names: object) -> list[str]:
        return self.owed

    def undelivered(self, names: object) -> dict[str, int]:
        return dict(self.given_up)


@pytest.fixture
async def app() -> Any:
    worker_pool = SimpleNamespace(stopping="")
    return SimpleNamespace(clock=SystemClock(), worker_pool=worker_pool, hooks=Hooks(), passing=False)


async def told(outcome: HookOutcome, code: int = 0, by: float = 0.0) -> list[dict[str, Any]]:
    with anyio.fail_after(5):
        return [line async for line in outcome.lines(code, by)]


async def test_nothing_is_said_where_all_was_taken_also_of_failures_before(app: Any) -> None:
    assert await told(HookOutcome(app, ["bot"])) == []


async def test_a_hook_that_fails_meanwhile_is_waited_for_and_told(app: Any) -> None:
    outcome, app.hooks.owed = HookOutcome(app, ["bot"]), ["reload"]
    async with anyio.create_task_group() as group:

        async def fail() -> None:
            await anyio.sleep(0.2)
            app.hooks.owed = []
            app.hooks.given_up["reload"] += 1

        group.start_soon(fail)
        [line] = await told(outcome)
    assert (line["hooks_failed"], line["exit"]) == (["reload"], Exit.HOOK_FAILED)
    assert line["said"].startswith("hook reload failed")


async def test_what_is_still_tried_when_the_time_is_over_is_no_success(app: Any, monkeypatch) -> None:
    monkeypatch.setattr(outcomes, "LEAST", 0.1)
    monkeypatch.setattr(outcomes, "_SIGN", 0.0)
    outcome, app.hooks.owed = HookOutcome(app, ["bot"]), ["reload"]
    *signs, line = await told(outcome)
    assert signs[0] == {"waiting": 1, "said": "hook reload has not answered yet"}
    assert (line["exit"], line["said"].split(";")[0]) == (4, "hook reload did not succeed yet and is still tried")


@pytest.mark.parametrize("graver", [Exit.FAILED, Exit.HELD, Exit.UNDECIDED])
async def test_what_is_not_done_counts_more_than_who_was_not_told(app: Any, graver: Exit) -> None:
    outcome = HookOutcome(app, ["bot"])
    app.hooks.given_up["reload"] += 1
    [line] = await told(outcome, graver)
    assert line["exit"] == graver


async def test_a_stop_ends_the_wait_and_a_command_without_a_daemon_has_its_own(app: Any) -> None:
    outcome, app.hooks.owed = HookOutcome(app, ["bot"]), ["reload"]
    app.worker_pool.stopping = "the daemon is stopping"
    assert (await told(outcome, by=1e9))[-1]["exit"] == 4
    app.passing = True
    assert await told(HookOutcome(app, ["bot"])) == []
