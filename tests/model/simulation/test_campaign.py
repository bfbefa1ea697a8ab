"""A campaign of hours tells what it does, what it finds at once, and where to go on when it was stopped."""

from __future__ import annotations

import itertools

import pytest

from tests.model.simulation import __main__ as command
from tests.model.simulation import campaign
from tests.model.simulation.campaign import gather, run_chunk
from tests.model.simulation.summary import Summary


def parts(*failed: tuple[int, str]):
    """Three chunks of a hundred seeds; the second one has these violations."""
    return [Summary(100), Summary(100, failed=list(failed)), Summary(100)]


def stopped_by(end: BaseException):
    """The first chunk, and then this."""
    yield Summary(100)
    raise end


def test_progress_is_told_once_a_minute():
    said: list[str] = []
    times = itertools.count(0, 40)
    gather(parts(), 0, 300, said.append, lambda: float(next(times)))
    assert said == ["200 seeds in 80.0 s (150 a minute), 0 violations, 100 to go from 200"]


def test_a_violation_is_told_at_once_and_the_campaign_goes_on():
    said: list[str] = []
    summary = gather(parts((150, "Violation: I1")), 0, 300, said.append, lambda: 0.0)
    assert said == ["seed 150: Violation: I1"]
    assert (summary.seeds, summary.failed) == (300, [(150, "Violation: I1")])


def test_a_campaign_that_is_interrupted_sums_up_and_says_where_to_go_on():
    said: list[str] = []
    summary = gather(stopped_by(KeyboardInterrupt()), 7000, 300, said.append, lambda: 0.0)
    assert said == ["stopped; go on with FROM=7100 SEEDS=200"]
    assert summary.seeds == 100


def test_a_campaign_whose_worker_dies_fails_and_says_where_to_go_on():
    said: list[str] = []
    with pytest.raises(OSError, match="gone"):
        gather(stopped_by(OSError("gone")), 0, 300, said.append, lambda: 0.0)
    assert said == ["stopped; go on with FROM=100 SEEDS=200"]


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        pytest.param(Summary(300), 0, id="every seed held"),
        pytest.param(Summary(200), 1, id="stopped early"),
        pytest.param(Summary(300, failed=[(0, "Violation: I1")]), 1, id="a violation"),
    ],
)
def test_the_exit_code_is_zero_only_if_every_seed_that_was_asked_for_held(monkeypatch, capsys, outcome, code):
    monkeypatch.setattr(command.signal, "signal", lambda *_: None)
    monkeypatch.setattr(command, "campaign", lambda *_, **__: outcome)
    monkeypatch.setattr(command.sys, "argv", ["simulation", "--seeds", "300"])
    assert command.main() == code
    assert f"{outcome.seeds} seeds" in capsys.readouterr().out


def test_a_chunk_goes_on_after_a_violation_and_names_its_seed(monkeypatch):
    def run_seed(seed: int):
        return whole(seed)[0], "Violation: I1" if seed == 1 else ""

    whole = campaign.run_seed
    monkeypatch.setattr(campaign, "run_seed", run_seed)
    summary = run_chunk(range(3))
    assert (summary.seeds, summary.failed) == (3, [(1, "Violation: I1")])
    assert summary.pairs
