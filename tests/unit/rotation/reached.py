"""Every state that the rules can reach, by a search from the empty record through every event that they allow."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from rotator.rotation import adoption, lost_value, steps, undo
from rotator.rotation import events as ev
from rotator.rotation.credential import Limits
from rotator.rotation.credential_state import state
from rotator.rotation.explanation import explain
from rotator.rotation.mint_attempts import minted
from rotator.rotation.pause import pause_on
from rotator.rotation.record import HoldReason, Phase, Record
from rotator.rotation.rotation_request import RotationRequest
from tests.kit.records import replace
from tests.unit.rotation.builders import DAY, PLACE, SECOND, STEM, credential
from tests.unit.rotation.test_walks import _ANSWERS, Walk, _minted

_MOST = 20_000  # shapes; more than the rules need
FEW = Limits(mints_per_rotation=2, mints_per_day=2)


@dataclass(frozen=True, slots=True)
class Reached:
    """A record that the rules can reach, the credential it is of, and the time."""

    walk: Walk
    record: Record


@lru_cache(maxsize=1)
def reachable() -> tuple[Reached, ...]:
    """One record for each shape, the earliest first."""
    found: dict[tuple[object, ...], Reached] = {}
    ahead: deque[Walk] = deque(
        Walk(credential(limits=FEW), expires=expires, installs=installs)
        for expires in (False, True)
        for installs in (False, True)
    )
    while ahead and len(found) < _MOST:
        walk = ahead.popleft()
        if (shape := _shape(walk)) in found:
            continue
        found[shape] = Reached(walk, walk.record)
        ahead.extend(_after(walk))
    assert not ahead, "the search was cut short"
    return tuple(found.values())


def _after(walk: Walk) -> Iterator[Walk]:
    """Where one event, or some time, leads to."""
    for event in (*_answers(walk), *_words(walk)):
        again = replace(walk, now=walk.now + SECOND, lived=[])
        again.live(replace(event, at=again.now))
        yield again
    wait = walk.step()
    if isinstance(wait, steps.Wait) and wait.until:
        yield replace(walk, now=max(wait.until, walk.now + SECOND), lived=[])
    current = walk.record.current
    if current and current.token.expires_at and current.token.expires_at > walk.now:
        yield replace(walk, now=current.token.expires_at, lived=[])


def _answers(walk: Walk) -> Iterator[ev.Event]:
    asks = (None, RotationRequest(walk.now, "ada"), RotationRequest(walk.now, "ada", emergency=True))
    for step in {replace(walk, ask=ask, lived=[]).step(): None for ask in asks}:
        if isinstance(step, steps.Wait):
            continue
        there = walk.record.current.version if walk.record.current else 0
        for event in _ANSWERS[type(step)](replace(walk, lived=[], published=there), step):
            left = isinstance(event, ev.LeftToPerson) or (isinstance(event, ev.LeftToExpire) and event.reason)
            if not left:  # it stands beside any state: test_left_to_person.py, test_left_to_date.py have its words
                yield event
        if not isinstance(step, steps.Escalate | steps.Hold):
            yield ev.Faulted(walk.now, type(step).__name__.lower(), "503")


def _words(walk: Walk) -> Iterator[ev.Event]:
    """What a person, a probe or a restart may do to it."""
    record, now = walk.record, walk.now
    if record.phase is Phase.REQUESTED:
        yield ev.Resumed(now)
    if record.phase is Phase.HELD:
        yield ev.Released(now, "ada")
    if record.phase is Phase.AWAITING and record.candidate is None:
        yield _minted(walk)
    if record.phase in (Phase.SETTLED, Phase.PUBLISHED) and record.current and not record.refused_at:
        yield ev.Disproved(now, "the probe was refused: 401")
    if record.phase in lost_value.WATCHED and record.current:
        yield ev.Returned(now, PLACE) if record.lost else ev.Lost(now, HoldReason.DELETED, PLACE, "it was deleted")
    yield ev.Unpaused(now, "ada") if record.paused else ev.Paused(now, "ada", "a freeze", now + 400 * DAY)
    if not undo.objection(walk.credential, record, now):
        yield ev.UndoBegun(now, "ada", False, PLACE, now + SECOND)
    if not walk.expires and not adoption.objection(record):
        yield ev.Adopted(now, "ada", replace(walk).found(1), STEM, now + walk.credential.retire.after)


def _shape(walk: Walk) -> tuple[object, ...]:
    """What its words may depend on."""
    record, now = walk.record, walk.now
    pair = (record.current, record.predecessor)
    over = [each and each.token.expires_at and each.token.expires_at <= now for each in pair]
    held = record.held and (record.held.reason, record.held.state.phase)
    candidate = record.candidate and record.candidate.pending
    flags = (
        record.lost,
        record.uncertain,
        record.emergency,
        record.undo,
        record.cut_over_at,
        record.refused_at,
        record.abandoned,
    )
    ahead = tuple(each and each > now for each in (record.ends_at, record.grace_ends if pair[1] else None))
    at_rest = record.phase in (Phase.SETTLED, Phase.PUBLISHED, Phase.CONDEMNED)
    untidy = record.phase is Phase.SETTLED and (record.slot_full or record.strays)
    resting = (bool(record.retry_at and record.retry_at > now), untidy)
    return (
        *(*resting, walk.expires, walk.installs, record.phase, held, candidate, *over, *map(bool, flags), *ahead),
        *(
            bool(record.rotation),
            at_rest and bool(pause_on(walk.credential, record, now)),
            at_rest and minted(walk.credential, record, now, emergency=False),
        ),
    )


# --- the table of sentences -----------------------------------------------------------------------------------------

TABLE = Path(__file__).with_name("sentences.txt")
_PLAIN = (
    (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\dZ", "TIME"),
    (STEM + r"-r\d+-a\d+", "NAME"),
    (r"-r\d+-a\d+|by-hand-[\d-]+", "TOKEN"),
    (r"(rotation|attempt|version) \d+", r"\1 N"),
    (r"\d+ mints", "N mints"),
)


def plain(text: str) -> str:
    """The text without what differs from one record to the next."""
    for pattern, word in _PLAIN:
        text = re.sub(pattern, word, text)
    return text


def table(reached: Iterable[Reached]) -> str:
    """Every sentence once, for a person to read: states by word, where a record stands, what else explain says."""
    words, standing, others = set(), set(), set()
    for each in reached:
        seen = state(each.walk.credential, each.record, each.walk.now)
        words.add(plain(f"{seen.word}: {seen.said}"))
        first, *more = explain(each.walk.credential, each.record, each.walk.now)
        standing.add(plain(first))
        others.update(map(plain, more))
    parts = {"WORDS": words, "WHERE IT STANDS": standing, "WHAT ELSE EXPLAIN SAYS": others}
    return "\n\n".join("\n".join((head, *sorted(lines))) for head, lines in parts.items()) + "\n"


if __name__ == "__main__":
    TABLE.write_text(table(reachable()))
