"""The stories: what is wanted of one world, so that every step is reached; faults strike while it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from rotator.rotation.credential import Limits
from rotator.rotation.procedures import operators
from tests.model.matrix.faults import Cell, Trouble
from tests.model.matrix.judge import SLOT
from tests.model.matrix.kinds import Kind
from tests.model.matrix.wire import Point, watched
from tests.model.matrix.world import World

SETTLE = Limits(settle=timedelta(seconds=10))


@dataclass(frozen=True, slots=True)
class Story:
    """`shows`: the steps that it is told for; empty: all. `before`: what goes wrong in it anyway."""

    name: str
    kind: Kind
    begin: Callable[[World], None]
    prelude: Callable[[World], None] = lambda world: None
    shows: frozenset[str] = frozenset()
    before: tuple[Cell, ...] = ()
    limits: Limits = SETTLE

    def tell(self, world: World) -> None:
        """From a credential that was rotated once to one that rests again. Raises Violation."""
        self.begin(world)
        world.settle()
        world.judge.rest()


def opened(story: Story) -> World:
    """A world in which nothing has happened yet."""
    return World(story.kind, story.limits)


def settle(world: World, story: Story) -> None:
    """Publish the first value, and what the story's prelude says. Raises Violation."""
    with watched(world.wire):
        world.settle()
    world.judge.rest()
    world.time.move(5400 if story.kind is Kind.EXPIRING else 60)
    with watched(world.wire):
        story.prelude(world)
    world.told.clear()
    world.ends.clear()


def _ask(world: World) -> None:
    world.wish()


def _by_hand(world: World) -> None:
    world.truth.provider.person = "install"
    world.wish()


def _in_grace(world: World) -> None:
    world.wish()
    world.reconcile()
    world.time.move(30)


def _emergency(world: World) -> None:
    world.wish(emergency=True)


def _rotated(world: World) -> None:
    world.wish()
    world.settle()
    world.time.move(60)


def _undo(world: World) -> None:
    world.say(operators.undo("ada", emergency=False))


def _spoiled(world: World) -> None:
    """The first candidate will not be accepted."""
    if world.kind in (Kind.NAMED, Kind.BY_VALUE):
        world.spoils = True
    else:
        world.truth.spoil()
    world.wish()


def _deaf(world: World) -> None:
    """The target says yes to each revocation, and ends nothing."""
    world.truth.target.deaf = True
    world.time.move(5400)


def _together(world: World) -> None:
    """The target ends the published value along with its predecessor."""
    world.truth.target.together = True


def _unstaged(world: World) -> None:
    """When the process dies before it publishes, somebody empties the staged slot."""
    world.crashed = lambda: (world.vault.forget(SLOT), world.judge.lost.add("staged"))
    world.wish()


LOST_MINT = (Cell(Point("Mint", "mint"), Trouble.LOST_AFTER),)
DIES = (Cell(Point("Publish", "write consumer"), Trouble.KILL_BEFORE),)
DIES_EARLY = (Cell(Point("Publish", "read consumer"), Trouble.KILL_BEFORE),)
OLD_PROOF = Limits(settle=timedelta(seconds=10), proof_life=timedelta(seconds=20))
NO_MORE = Limits(settle=timedelta(seconds=10), mints_per_day=1)


def _stories() -> tuple[Story, ...]:
    whole = tuple(Story("a rotation", kind, _ask) for kind in Kind if kind not in (Kind.PERSON, Kind.REGISTERED))
    looked, burned = frozenset({"Look"}), frozenset({"Burn"})
    return (
        *whole,
        Story("a rotation", Kind.REGISTERED, _ask, shows=frozenset({"Install", "Revoke"})),
        Story("a person enters the value", Kind.PERSON, _by_hand, shows=frozenset({"Install", "Poll", "Verify"})),
        Story("a mint without an answer", Kind.NAMED, _ask, shows=looked | burned | {"Sweep"}, before=LOST_MINT),
        Story("a mint without an answer", Kind.EXPIRING, _ask, shows=looked | burned, before=LOST_MINT),
        Story("a value made without an answer", Kind.ONE_SLOT, _ask, shows=looked, before=LOST_MINT),
        Story("a candidate is refused", Kind.NAMED, _spoiled, shows=burned | {"Verify"}),
        Story("a candidate is refused", Kind.ONE_SLOT, _spoiled, shows=burned | {"Verify"}),
        Story("a candidate is refused", Kind.TWO_SLOTS, _spoiled, shows=burned | {"Verify"}),
        Story("a candidate is refused", Kind.BY_VALUE, _spoiled, shows=burned),
        Story("a server ends nothing", Kind.BY_VALUE, _ask, _deaf, shows=frozenset({"Revoke"})),
        Story("a server ends all tokens", Kind.BY_VALUE, _ask, _together, shows=frozenset({"Revoke"})),
        Story(
            "a verified candidate is gone", Kind.NAMED, _unstaged, shows=frozenset({"Publish", "Fence"}), before=DIES
        ),
        Story("a verified candidate is gone", Kind.ONE_SLOT, _unstaged, shows=frozenset({"Fence"}), before=DIES),
        Story("a proof grows old", Kind.NAMED, _ask, shows=frozenset({"Publish"}), before=DIES_EARLY, limits=OLD_PROOF),
        Story(
            "a proof grows old", Kind.ONE_SLOT, _ask, shows=frozenset({"Publish"}), before=DIES_EARLY, limits=OLD_PROOF
        ),
        Story(
            "an emergency in the grace",
            Kind.NAMED,
            _emergency,
            _in_grace,
            shows=frozenset({"Escalate", "Condemn", "Revoke"}),
        ),
        Story("an undo", Kind.NAMED, _undo, _rotated, shows=frozenset({"Restore", "Verify", "Publish"})),
        Story("a mint too many", Kind.NAMED, _ask, shows=frozenset({"Hold"}), limits=NO_MORE),
    )


STORIES = _stories()
