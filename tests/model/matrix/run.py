"""One run: a story, the faults that strike in it, what came of it, and in which word that is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from rotator.rotation import events as ev
from tests.model.matrix.faults import Cell, Trouble, impossible, strike
from tests.model.matrix.judge import Violation
from tests.model.matrix.stories import Story, opened, settle
from tests.model.matrix.wire import Call, Point, watched
from tests.model.matrix.world import TOKEN_LOST, Actor, Stuck, World

LONGER = 300.0  # seconds


@dataclass
class Run:
    """What came of it. `struck`: how many of the planned faults found their point; `broken`: the promise, if one."""

    story: Story
    struck: int = 0
    broken: str = ""
    stuck: str = ""
    kept: bool = False  # an undo was given up
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)
    left: bool = False
    ends: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    attempts: int = 0
    rotations: int = 0
    calls: dict[Point, Call] = field(default_factory=dict)


class Plan:
    """The faults to come, one after the other."""

    def __init__(self, run: Run, cells: Sequence[Cell]) -> None:
        self.run = run
        self.cells = list(cells)

    def __call__(self, world: World, actor: Actor, point: Point, call: Call) -> Any:
        """Stand at one call."""
        self.run.calls.setdefault(point, call)
        if not self.cells or self.cells[0].point != point or impossible(self.cells[0].trouble, call):
            return call.effect()
        cell = self.cells.pop(0)
        self.run.struck += 1
        return strike(world, actor, call, cell.trouble)


def perform(story: Story, *cells: Cell) -> Run:
    """Tell the story with these faults. Raises nothing that they may cause."""
    run = Run(story)
    world = opened(story)
    try:
        settle(world, story)
        world.strike = Plan(run, (*story.before, *cells))
        with watched(world.wire):
            story.tell(world)
    except Stuck as hold:
        run.stuck = f"{hold}, no way out"
    except Violation as broken:
        run.broken = str(broken)
    except Exception as bug:  # noqa: BLE001 (a bug in the engine is a finding like any other)
        run.broken = f"{type(bug).__name__}: {bug}"
    record = world.judge.latest
    run.left = world.judge.disowned and record is not None and any(world.judge.left_over(record))
    run.ends = world.ends
    run.events = [type(each.event).__name__ for each in world.told]
    run.seconds = world.time.seconds
    run.faults = [each.event.reason for each in world.told if isinstance(each.event, ev.Faulted)]
    undone = [each for each in world.told if each.before.undo and not each.after.undo]
    run.kept = any(not isinstance(each.event, ev.Published) for each in undone)
    run.attempts = max([each.after.attempt for each in world.told], default=0)
    run.rotations = sum(isinstance(each.event, ev.Requested) for each in world.told)
    run.struck -= len(story.before)
    return run


@cache
def rehearsal(story: Story) -> Run:
    """The story as it goes when nothing further goes wrong."""
    run = perform(story)
    assert not run.broken, f"{story.name}, {story.kind}: {run.broken}"
    return run


@cache
def rows(story: Story) -> list[tuple[Point, Call]]:
    """The points of a story that have a row in the table."""
    shown = story.shows or {point.step for point in rehearsal(story).calls}
    return [(point, call) for point, call in rehearsal(story).calls.items() if point.step in shown]


@cache
def cells(story: Story) -> list[Cell]:
    """Every cell of a story that is possible."""
    return [Cell(point, trouble) for point, call in rows(story) for trouble in Trouble if not impossible(trouble, call)]


def outcome(run: Run) -> str:
    """The one word that tells what the fault made of the story."""
    plain = rehearsal(run.story)
    if run.broken:
        return f"BROKEN {run.broken}"
    if run.stuck:
        return run.stuck
    held = [end for end in run.ends if end.startswith("held") and end not in plain.ends]
    if held:
        return held[0]
    if TOKEN_LOST in run.ends:
        return TOKEN_LOST
    if run.kept:
        return "not taken back"
    if run.left:
        return "next rotation, one left over"
    if run.rotations > plain.rotations:
        return "next rotation"
    if run.attempts > plain.attempts:
        return "next attempt"
    if any(run.ends.count(end) > plain.ends.count(end) for end in ("killed", "stopped", "overtaken")):
        return "another goes on"
    if Counter(run.faults) - Counter(plain.faults):
        return "step again"
    if any(run.ends.count(end) > plain.ends.count(end) for end in ("transient", "refused", "storerefused")):
        return "visit again"
    return "waits longer" if run.seconds > plain.seconds + LONGER else "goes on"
