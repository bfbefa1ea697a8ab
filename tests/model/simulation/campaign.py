"""Runs of many seeds over two processes; what they come to is summary.py's."""

from __future__ import annotations

import gc
import logging
import signal
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import structlog

from tests.model.simulation.history import History
from tests.model.simulation.summary import Summary
from tests.model.simulation.swarm import Swarm

WORKERS = 2
CHUNK = 50
EVERY = 60.0  # seconds between two words on how far it is
Say = Callable[[str], None]


def run_seed(seed: int, swarm: Swarm | None = None) -> tuple[History, str]:
    """One history and what broke in it, if anything. Without a swarm the seed draws its own."""
    history = History(seed, swarm)
    try:
        history.run()
    except Exception as broken:  # noqa: BLE001 (a bug in the engine is a finding like any other)
        return history, f"{type(broken).__name__}: {broken}"
    finally:
        for process in history.processes:
            process.close()
    return history, ""


def digest(seed: int) -> str:
    """The hash of one history's trace."""
    return run_seed(seed)[0].world.digest()


def run_chunk(seeds: Iterable[int]) -> Summary:
    """Some seeds, one after the other."""
    summary = Summary()
    gc.disable()  # a chunk's garbage fits into memory; looking for it all the time costs a tenth
    for seed in seeds:
        history, text = run_seed(seed)
        summary.seeds += 1
        summary.pairs.update(history.world.pairs)
        summary.counts.update(history.world.counts)
        for window in history.checks.cut_over.windows:
            summary.apart[window.whose].append(window.seconds)
        if text:
            summary.failed.append((seed, text))
        _let_go(history)
    gc.enable()
    gc.collect()
    return summary


def _let_go(history: History) -> None:
    """Cut the circles: what is not reached any more is free at once, and the collector finds next to nothing."""
    for part in (history.world, history.checks, history):
        vars(part).clear()


def campaign(first: int, seeds: int, workers: int = WORKERS, say: Say = lambda text: None) -> Summary:
    """Seeds `first` and following, over `workers` processes."""
    chunks = [range(at, min(at + CHUNK, first + seeds)) for at in range(first, first + seeds, CHUNK)]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_prepare) as pool:
        return gather(pool.map(run_chunk, chunks), first, seeds, say)


def gather(
    parts: Iterable[Summary], first: int, seeds: int, say: Say, clock: Callable[[], float] = time.monotonic
) -> Summary:
    """Add up what comes, in the order of seeds: violations are told at once, progress every minute.

    Ctrl-C ends it with what there is so far; whatever ends it early, it says with which seed to go on.
    """
    summary = Summary()
    began = said = clock()
    try:
        for part in parts:
            summary.add(part)
            now = clock()
            summary.seconds = now - began
            for seed, text in part.failed:
                say(f"seed {seed}: {text}")
            if now - said >= EVERY:
                said = now
                say(f"{summary.pace()}, {seeds - summary.seeds} to go from {first + summary.seeds}")
    except KeyboardInterrupt:
        pass
    finally:
        if summary.seeds < seeds:
            say(f"stopped; go on with FROM={first + summary.seeds} SEEDS={seeds - summary.seeds}")
    return summary


def _prepare() -> None:
    """A worker's start: Ctrl-C is the parent's to hear, what is imported is no garbage, and what is told is no news."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
