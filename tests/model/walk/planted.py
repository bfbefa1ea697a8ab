"""Planted bugs: a mistake of each kind that somebody could make in one pure function, and where a walk finds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from rotator.engine.context import RotationContext
from rotator.rotation import decide, lost_value, procedures, retirement, steps, transitions
from rotator.rotation import events as ev
from rotator.rotation.observation import Observation
from rotator.rotation.phases import SettledState
from rotator.rotation.procedures import consumer_path, install, publish, retire
from rotator.rotation.procedures.calls import FindTokens, ReadConsumer
from tests.model.walk.actor import Registrant
from tests.model.walk.target import FAMILIES
from tests.model.walk.walk import Rules, Walk

Planting = Callable[[], list[Any]]  # what is patched


@dataclass(frozen=True)
class Bug:
    """A mistake, the promise it breaks, and the smallest walk that shows it."""

    promise: str
    words: str
    plant: Planting
    faults: int = 0
    kinds: tuple[str, ...] = ()
    family: str = "named"
    mints: int = 3

    def walk(self) -> Walk:
        """Walk until a promise is broken."""
        patches = self.plant()
        for each in patches:
            each.start()
        try:
            family = replace(FAMILIES[self.family], mints=self.mints)
            return Walk(Rules(family, self.kinds), self.faults, until_first=True).run()
        finally:
            for each in reversed(patches):
                each.stop()


def _step(step: type, procedure: Any) -> Any:
    return patch.dict(procedures._PROCEDURES, {step: procedure})


# --- the mistakes ---------------------------------------------------------------------------------------------------


def _unproven(seen: Any, record: Any, step: Any) -> Iterator[Any]:
    doc, _ = yield from consumer_path.look(seen, record)
    return ev.Verified(seen.at, doc.version)


def _taken_for_dead(seen: Any, record: Any, step: Any) -> Iterator[Any]:
    yield from ()
    return ev.Retired(seen.at, "it was to be ended")


def _not_burned(seen: Any, record: Any, step: Any) -> Iterator[Any]:
    yield from ()
    return ev.Burned(seen.at, (), step.give_up)


def _second_thoughts(seen: Any, record: Any, step: Any) -> Iterator[Any]:
    return (yield from publish.verify(seen, record, steps.Verify()))


def _unasked(*_: Any) -> Iterator[Any]:
    yield from ()


def _unsettled(seen: Any, record: Any) -> None:
    return None


def _believed(*_: Any) -> Iterator[Any]:
    yield from ()
    return True, "the target says so"


def _newest(seen: Any, *_: Any, **__: Any) -> Iterator[Any]:
    doc = yield from ReadConsumer(seen.credential.place)
    return doc.secret(seen.credential.key)


def _alone(seen: Any, record: Any, proof: str) -> Iterator[Any]:
    yield from ()
    return ev.Retired(seen.at, proof)


async def _not_written(*_: Any) -> None:
    """The next token stays with this process."""


def _never_swept(record: Any, event: Any) -> Any:
    return replace(record, state=SettledState(), settled_at=event.at)


BUGS = (
    Bug("I1a", "a value is published that was never shown to the target", lambda: [_step(steps.Verify, _unproven)]),
    Bug(
        "I1",
        "what the target was told without an answer is taken for not told",
        lambda: [patch.object(install, "unsettled", _unsettled)],
        2,
        ("late", "refused"),
        "one-slot",
    ),
    Bug("I2", "a predecessor is called dead, and nobody asked", lambda: [_step(steps.Revoke, _taken_for_dead)]),
    Bug(
        "I3",
        "a failed attempt is left alive",
        lambda: [_step(steps.Burn, _not_burned)],
        1,
        ("refused",),
    ),
    Bug(
        "I4",
        "a mint without an answer is sent again without a look",
        lambda: [patch.object(decide, "_requested", lambda _, record, *__: steps.Mint(record.mint_name))],
        1,
        ("lost",),
    ),
    Bug(
        "I5",
        "the journal is told the value itself",
        lambda: [patch.object(Observation, "fingerprint", lambda _, secret: secret.reveal())],
    ),
    Bug(
        "I6",
        "attempts are not counted",
        lambda: [patch.object(decide, "may_mint", lambda *_: True)],
        1,
        ("refused",),
        mints=1,
    ),
    Bug(
        "I7",
        "what was rejected is given another chance",
        lambda: [_step(steps.Burn, _second_thoughts)],
        1,
        ("refused",),
    ),
    Bug(
        "I8",
        "what a person wrote is written over",
        lambda: [patch.object(publish, "objection", _unasked), patch.object(lost_value, "stops", lambda *_: None)],
        1,
        ("foreign",),
    ),
    Bug(
        "I9",
        "whatever bears the prefix is taken for ours",
        lambda: [
            patch.object(retire, "FindTokens", lambda target, _: FindTokens(target, "rotator-")),
            patch.object(retire, "is_stray", lambda *_: True),
        ],
        1,
        ("refused",),
    ),
    Bug(
        "I10",
        "a grace is over as soon as it begins",
        lambda: [patch.object(retirement, "earliest", lambda _, published_at, **__: published_at)],
    ),
    Bug(
        "I11",
        "an effect does not ask whether the lease is still ours",
        lambda: [patch.object(RotationContext, "still_ours", lambda _: None)],
        1,
        ("stall",),
    ),
    Bug(
        "I2",
        "a server's yes is believed",
        lambda: [patch.object(retire, "_is_dead", _believed)],
        family="by-value-deaf",
    ),
    Bug(
        "I9",
        "the published value is shown to end its predecessor",
        lambda: [patch.object(retire, "published_value", _newest)],
        family="by-value",
    ),
    Bug(
        "I1",
        "nobody looks whether the published value ended along",
        lambda: [patch.object(retire, "_with_the_published", _alone)],
        family="by-value-together",
    ),
    Bug(
        "I3",
        "the next registration token is not written down at once",
        lambda: [patch.object(Registrant, "keep", _not_written)],
        family="registered",
    ),
    Bug(
        "L",
        "what was cleared away is not noted",
        lambda: [patch.dict(transitions._ADVANCE, {ev.Swept: _never_swept})],
    ),
)
