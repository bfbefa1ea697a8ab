"""The faults: where each can strike, and what it does there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from rotator.ports import Document, Duplicate, Fault, MinterRefused, Refused, StoreRefused, Transient
from rotator.rotation.procedures import operators
from tests.model.matrix.judge import CONSUMER, JOURNAL, SLOT
from tests.model.matrix.registered import REGISTRATION, TIMELY
from tests.model.matrix.wire import Call, Point
from tests.model.matrix.world import Actor, Crash, World

LATE, SEALED, RETRY_AFTER, JUMP = 4.0, 60.0, 20.0, 3600.0  # seconds
PAUSED = timedelta(minutes=15)


class Trouble(StrEnum):
    """What goes wrong at one call."""

    LOST_BEFORE = "no answer, no effect"
    LOST_AFTER = "no answer, effect done"
    LATE = "no answer, late effect"
    REFUSED = "4xx"
    FORBIDDEN = "403"
    DUPLICATE = "name taken"
    MINTER = "401 for the minter"
    BUSY = "429 with Retry-After"
    BROKEN = "5xx"
    GARBAGE = "2xx, garbage"
    LOST_CAS = "lost check-and-set"
    LAGGING = "lagging standby"
    SEALED = "Vault sealed"
    WIPED = "document wiped"
    DELETED = "document deleted"
    FOREIGN = "foreign write"
    AHEAD = "clock jumps ahead"
    BACK = "clock jumps back"
    KILL_BEFORE = "killed before"
    KILL_AFTER = "killed after"
    STOPPED = "stopped, wakes late"
    OVERTAKEN = "slow, overtaken"
    RELOAD = "settings reloaded"
    EMERGENCY = "emergency asked for"
    PAUSE = "paused by a person"
    STOP = "daemon stops"


class Cell(NamedTuple):
    """A fault at a point."""

    point: Point
    trouble: Trouble

    def __str__(self) -> str:
        return f"{self.point}, {self.trouble}"


IDEMPOTENT_READS = frozenset({"read", "find", "verify", "inspect", "is_dead"})

# why a fault cannot strike a call: the first that applies; the table shows the letter
_IMPOSSIBLE: dict[str, tuple[str, Callable[[Trouble, Call], bool]]] = {
    "a": (
        "a call that only asks has no effect: done or late are no different from lost",
        lambda trouble, call: trouble in (Trouble.LOST_AFTER, Trouble.LATE) and call.verb in IDEMPOTENT_READS,
    ),
    "b": (
        "only a target takes names: the call is no mint, or no name is chosen",
        lambda trouble, call: trouble is Trouble.DUPLICATE and call.verb != "mint",
    ),
    "c": (
        "Vault knows no minter, and a proof is made with the value itself",
        lambda trouble, call: trouble is Trouble.MINTER and (bool(call.document) or call.verb == "verify"),
    ),
    "d": (
        "only writes are check-and-set",
        lambda trouble, call: trouble is Trouble.LOST_CAS and call.verb != "write",
    ),
    "e": (
        "a strong read does not lag, nor does a write or the target: the port's contract",
        lambda trouble, call: trouble is Trouble.LAGGING and (call.verb != "read" or call.strong),
    ),
}
REASONS = {letter: text for letter, (text, _) in _IMPOSSIBLE.items()}


def impossible(trouble: Trouble, call: Call) -> str:
    """The letter of the reason why it cannot be; empty when it can."""
    return next((letter for letter, (_, applies) in _IMPOSSIBLE.items() if applies(trouble, call)), "")


def strike(world: World, actor: Actor, call: Call, trouble: Trouble) -> Any:
    """Let it happen at this call."""
    return _STRIKES[trouble](world, actor, call)


Struck = Callable[[World, Actor, Call], Any]


def _lost(world: World, actor: Actor, call: Call) -> Any:
    raise Transient("no answer")


def _after(reason: str) -> Struck:
    def struck(world: World, actor: Actor, call: Call) -> Any:
        call.effect()
        raise Transient(reason)

    return struck


def _late(world: World, actor: Actor, call: Call) -> Any:
    world.time.later(LATE, lambda: _quietly(call.effect))
    raise Transient("no answer")


def _quietly(effect: Callable[[], object]) -> None:
    """Nobody hears of the refusal of a late effect."""
    try:
        effect()
    except Fault:
        return


def _refused(reason: str) -> Struck:
    def struck(world: World, actor: Actor, call: Call) -> Any:
        if call.verb == "verify":
            return reason  # a verdict: final
        raise StoreRefused(reason) if call.document else Refused(reason)

    return struck


def _duplicate(world: World, actor: Actor, call: Call) -> Any:
    raise Duplicate("the name is taken")


def _minter(world: World, actor: Actor, call: Call) -> Any:
    raise MinterRefused("401 for the minter")


def _busy(world: World, actor: Actor, call: Call) -> Any:
    if not call.document:
        world.busy_until, world.busy_written, actor.hushed = world.time.seconds + RETRY_AFTER, False, True
    raise Transient("429", retry_after=RETRY_AFTER)


def _broken(world: World, actor: Actor, call: Call) -> Any:
    raise Transient("503")


def _lost_cas(world: World, actor: Actor, call: Call) -> Any:
    """Somebody writes in between, and means no harm."""
    assert call.place
    doc = world.vault.get(call.place)
    if call.place == JOURNAL:
        world.vault.overwrite(
            call.place, {**(doc.values or {}), "nonce": "theirs"} if doc.values else {"notes": "theirs"}
        )
    else:
        world.vault.overwrite(call.place, {**(doc.values or {}), "theirs-note": "a person's"})
    return call.effect()


def _lagging(world: World, actor: Actor, call: Call) -> Any:
    """A standby that has not heard of that version yet."""
    return Document(0)


def _sealed(world: World, actor: Actor, call: Call) -> Any:
    world.vault.sealed = True
    world.time.later(SEALED, lambda: setattr(world.vault, "sealed", False))
    return call.effect()


def _wiped(world: World, actor: Actor, call: Call) -> Any:
    """Versions and metadata are gone; at the target: those of the staged slot."""
    place = call.place or SLOT
    world.vault.forget(place)
    world.judge.lost.add(_document(place))
    if place == JOURNAL:
        world.judge.forget()
    return call.effect()


def _deleted(world: World, actor: Actor, call: Call) -> Any:
    """The newest version is deleted; at the target: that of the consumer path."""
    place = call.place or world.judge.place
    key = world.vault.keys.get(place)
    if key and key.newest:
        world.vault.delete(place)
        world.judge.lost.add(_document(place))
        if place == JOURNAL:
            version = key.newest
            world.reading.append(lambda: world.vault.undelete(place, version))
    return call.effect()


def _foreign(world: World, actor: Actor, call: Call) -> Any:
    """Somebody writes what is theirs; at the target: to the consumer path."""
    place = call.place or world.judge.place
    before = world.vault.get(place).values
    if place == JOURNAL:
        world.vault.overwrite(place, {"notes": "a person's"})
        if before:
            world.reading.append(lambda: world.vault.overwrite(place, before))
        else:
            world.reading.append(lambda: world.vault.forget(place))
    else:
        world.vault.overwrite(place, {"token": "foreign-value", "theirs-note": "a person's"})
    world.judge.lost.add(_document(place))
    return call.effect()


_DOCUMENTS = {JOURNAL: "journal", SLOT: "staged", CONSUMER: "consumer", REGISTRATION: "registration"}


def _document(place: Any) -> str:
    return _DOCUMENTS.get(place, "consumer")


def _jump(seconds: float) -> Struck:
    def struck(world: World, actor: Actor, call: Call) -> Any:
        actor.clock.ahead = seconds
        return call.effect()

    return struck


def _kill_before(world: World, actor: Actor, call: Call) -> Any:
    raise Crash


def _kill_after(world: World, actor: Actor, call: Call) -> Any:
    call.effect()
    raise Crash


def _stopped(world: World, actor: Actor, call: Call) -> Any:
    """SIGSTOP before the request leaves; another process takes over; SIGCONT."""
    world.session(world.host())
    if call.verb in TIMELY:  # a client does not send what its deadline is over for
        raise Transient("no answer in time")
    return call.effect()


def _overtaken(world: World, actor: Actor, call: Call) -> Any:
    """The answer takes so long that another process takes over meanwhile."""
    result = call.effect()
    world.session(world.host())
    return result


def _between(said: Callable[[World], None]) -> Struck:
    """Something is wanted while the call is under way: the visit ends at its next boundary, and then it is heard."""

    def struck(world: World, actor: Actor, call: Call) -> Any:
        said(world)
        actor.stopping = True
        return call.effect()

    return struck


def _stop(world: World, actor: Actor, call: Call) -> Any:
    """SIGTERM; another process is started."""
    actor.stopping = True
    world.words.append(lambda _: world.stop())
    world.woken = True
    return call.effect()


_STRIKES: dict[Trouble, Struck] = {
    Trouble.LOST_BEFORE: _lost,
    Trouble.LOST_AFTER: _after("no answer"),
    Trouble.LATE: _late,
    Trouble.REFUSED: _refused("400"),
    Trouble.FORBIDDEN: _refused("403: the right is missing"),
    Trouble.DUPLICATE: _duplicate,
    Trouble.MINTER: _minter,
    Trouble.BUSY: _busy,
    Trouble.BROKEN: _broken,
    Trouble.GARBAGE: _after("an answer that cannot be read"),
    Trouble.LOST_CAS: _lost_cas,
    Trouble.LAGGING: _lagging,
    Trouble.SEALED: _sealed,
    Trouble.WIPED: _wiped,
    Trouble.DELETED: _deleted,
    Trouble.FOREIGN: _foreign,
    Trouble.AHEAD: _jump(JUMP),
    Trouble.BACK: _jump(-JUMP),
    Trouble.KILL_BEFORE: _kill_before,
    Trouble.KILL_AFTER: _kill_after,
    Trouble.STOPPED: _stopped,
    Trouble.OVERTAKEN: _overtaken,
    Trouble.RELOAD: _between(lambda world: world.move_path()),
    Trouble.EMERGENCY: _between(lambda world: world.wish(emergency=True)),
    Trouble.PAUSE: _between(lambda world: world.say(operators.pause("ada", "a change", PAUSED))),
    Trouble.STOP: _stop,
}
