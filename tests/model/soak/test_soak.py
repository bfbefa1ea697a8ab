"""Hours in seconds: nothing comes late, nothing expires under a consumer, nothing is left behind in the process.

The command is run as it stands, in a process of its own: in this one every secret is remembered, which is a growth.
"""

from __future__ import annotations

import itertools
import random
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.model.soak.meter import MIB, PAGE, trend
from tests.model.soak.run import HICCUP, HOUR, _pass, grows
from tests.model.soak.scenarios import house


def soak(*arguments: str) -> tuple[int, str]:
    """The exit code and what was said."""
    command = [sys.executable, "-m", "tests.model.soak", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    return done.returncode, done.stdout + done.stderr


SHORT = {
    "--scenario assertions --credentials 8 --warm-up 0.2 --hours 0.8": 8 * 90,
    "--scenario mixed --credentials 20 --warm-up 0.5 --hours 1.5": 400,
    "--scenario yearly --credentials 6 --warm-up 168 --days 14 --reconcile 10800": 2 * (21 + 3),
}


@pytest.mark.system
@pytest.mark.parametrize("arguments", SHORT)
def test_a_short_soak_passes_without_a_late_value_an_expired_one_or_growth(arguments: str) -> None:
    code, said = soak(*arguments.split())
    assert code == 0, said
    publications = re.search(r"(\d+) publications", said)
    assert publications
    assert int(publications[1]) >= SHORT[arguments], "an empty soak shows nothing"


@pytest.mark.system
def test_whoever_watches_a_long_soak_sees_each_virtual_hour() -> None:
    _, said = soak("--scenario", "mixed", "--credentials", "4", "--warm-up", "0.5", "--hours", "2.5")
    assert re.findall(r"^(\d)\.\d of 3 h after \d+ s: \d+ publications", said, re.MULTILINE) == ["1", "2", "3"]


MISTAKES = {
    "leaks": ("--scenario assertions --credentials 5 --warm-up 0.2 --hours 0.5", "objects pile up"),
    "opens": ("--scenario assertions --credentials 1 --warm-up 0.1 --hours 0.5", "descriptors come and stay"),
    "forgets": ("--scenario mixed --credentials 8 --warm-up 0.1 --hours 2.5", "was still to come"),
}


@pytest.mark.system
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_soak_with_a_mistake_in_it_fails(mistake: str) -> None:
    arguments, words = MISTAKES[mistake]
    code, said = soak(*arguments.split(), "--plant", mistake)
    assert code == 1
    assert words in said


@pytest.mark.anyio
async def test_vault_hiccups_but_is_never_away_for_long_however_seldom_it_is_asked(tmp_path: Path) -> None:
    made = house("yearly", 2, tmp_path, timedelta(hours=3))
    at: list[float] = []
    fail = made.store.fail

    def noted(*how: Any) -> None:
        at.append(made.clock.moved)
        fail(*how)

    made.store.fail = noted  # type: ignore[method-assign]  # to hear when it hiccups
    async with anyio.create_task_group() as group:
        group.start_soon(made.worker_pool.run)
        made.worker_pool.look_at(*made.worker_pool.credentials)
        await _pass(made, 24 * HOUR)
        group.cancel_scope.cancel()
    assert len(at) > 5
    assert min(after - before for before, after in itertools.pairwise(at)) >= HICCUP


def rising(hour: float) -> float:
    return 1000 * hour


def one_jump(hour: float) -> float:
    return 5e6 if hour > 9 else 0.0


def flat(hour: float) -> float:
    return 0.0


@pytest.mark.parametrize(("course", "grows"), [(rising, True), (one_jump, False), (flat, False)])
def test_a_steady_rise_is_told_from_a_jump_and_from_noise(course: Callable[[float], float], grows: bool) -> None:
    chance = random.Random(5)
    hours = [hour / 2 for hour in range(48)]
    found = trend(hours, [course(hour) + chance.gauss(0, 300) for hour in hours])
    assert (found.low > 0) is grows


@pytest.mark.parametrize(("step", "verdict"), [(PAGE, False), (MIB // 8, True)], ids=["a page", "128 KiB"])
def test_a_page_a_day_is_what_an_allocator_does_and_an_eighth_of_a_mebibyte_a_day_is_a_leak(
    step: int, verdict: bool
) -> None:
    hours = [each / 2 for each in range(14 * 48)]
    found = trend(hours, [55 * MIB + step * (hour // 24) for hour in hours])
    assert found.low > 0, "both are steady"
    assert grows(found, 14.0) is verdict
