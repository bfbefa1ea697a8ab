"""Random histories hold every promise, replay to the same trace, and visit nearly every (phase, fault) pair."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from tests.model.simulation.campaign import campaign, digest, run_seed
from tests.model.simulation.coverage import reachable

SEEDS = 7_000


@pytest.mark.timeout(900)
def test_random_histories_hold_every_promise(capsys):
    summary = campaign(0, SEEDS)
    with capsys.disabled():
        print(f"\n{summary.text()}")  # noqa: T201 (a bare number of seeds says nothing)
    assert summary.failed == []
    assert summary.seeds == SEEDS
    assert len(summary.unvisited()) <= 0.05 * len(reachable())


def test_a_seed_replays_to_the_same_trace_in_another_process():
    seeds = range(0, 1000, 50)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:  # another hash seed, too
        elsewhere = list(pool.map(digest, seeds))
    assert [digest(seed) for seed in seeds] == elsewhere
    assert len(set(elsewhere)) == len(elsewhere)


def test_a_history_is_long_enough_to_mean_something():
    history, text = run_seed(3)
    assert text == ""
    assert sum("journal:" in line for line in history.world.lines) > 10
