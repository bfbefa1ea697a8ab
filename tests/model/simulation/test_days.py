"""Ordinary days: each thing that people do and that once broke a promise is found by the model, and soon."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from rotator.engine import reconciler
from rotator.engine.foreign_journals import ForeignJournals
from rotator.engine.reconciler import Reconciler
from rotator.ports import StoreRefused
from rotator.rotation import (
    decide,
    explanation,
    foreign_journal,
    mint_attempts,
    observation,
    ownership,
    transitions,
    troubles,
)
from rotator.rotation import events as ev
from rotator.rotation.ownership import TokenOwners, living
from rotator.rotation.pause import covered
from rotator.rotation.procedures import operators
from rotator.rotation.procedures.calls import ReadOwners, RevokeToken
from rotator.rotation.retirement import Use
from rotator.rotation.token_names import stem
from rotator.vault.shared_documents import VaultRequests
from tests.kit.kinds import Kind
from tests.model.simulation import actors
from tests.model.simulation.actors import Process
from tests.model.simulation.campaign import run_seed
from tests.model.simulation.swarm import Swarm


@dataclass(frozen=True)
class Line:
    """What people do, the rules that see it, and how many seeds it may take."""

    does: Swarm
    rules: tuple[str, ...]
    seeds: int = 40
    without: Callable[[pytest.MonkeyPatch], None] | None = None  # takes the mend out

    def first(self, start: int = 0) -> tuple[int, str]:
        """The first seed that breaks a promise, counted from 1, and what it broke; 0 when none does."""
        for number in range(self.seeds):
            if text := run_seed(start + number, self.does)[1]:
                return number + 1, text
        return 0, ""


def day(*acts: str, **more) -> Swarm:
    """Fair weather but for what people do; the schedule asks for a rotation every two minutes."""
    return Swarm(**{"interval": 120.0, "active": 400.0, "grace": 30.0, "day": ("look", *acts), **more})


def _blind(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Process, "proof", lambda process, lock: ("", lambda other: False))


def _forgetful(patch: pytest.MonkeyPatch) -> None:
    """A request is kept by the process that was asked, and by nobody else."""

    async def put(requests, name, request):
        requests.kept = {**getattr(requests, "kept", {}), request.id: (name, request)}

    async def waiting(requests, name):
        return tuple(request for whose, request in getattr(requests, "kept", {}).values() if whose == name)

    async def remove(requests, name, request):
        requests.kept.pop(request.id, None)

    for verb in (put, waiting, remove):
        patch.setattr(VaultRequests, verb.__name__, verb)


def _one_budget(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(mint_attempts, "_budget", lambda emergency: "mints")


def _unseeing(patch: pytest.MonkeyPatch) -> None:
    async def watch(bench, record):
        return None

    patch.setattr(reconciler, "watch", watch)


def _one_vault(patch: pytest.MonkeyPatch) -> None:
    """Nobody takes names from the future for a sign of another journal."""
    patch.setattr(ForeignJournals, "objection", lambda others, credential, record, read_at: None)
    patch.setattr(foreign_journal, "own_stem", lambda record: "")


def _pathless(patch: pytest.MonkeyPatch) -> None:
    """What a configured path holds is nobody's word on whose a token is."""
    patch.setattr(TokenOwners, "_at_a_path", lambda owners, token, claims: None)


def _coarse(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Use, "latest", property(lambda use: use.last))


def _timeless(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(troubles, "_CHECKS", tuple(check for check in troubles._CHECKS if check is not troubles._expired))


def _settled(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(explanation, "stands", lambda record, now: "Settled: one value is published, nothing is in flight.")


def _by_dates(patch: pytest.MonkeyPatch) -> None:
    """Every time in a record is believed, and none is watched."""
    patch.setattr(transitions, "put_right", lambda record, seen: record)
    patch.setattr(decide, "_rest", lambda since, until, now, rested: None if until <= now else until)


def _untended(patch: pytest.MonkeyPatch) -> None:
    """What was asked for a credential that left the settings is nobody's."""

    async def give_up(app):
        pass

    patch.setattr(actors, "give_up", give_up)


def _acting(patch: pytest.MonkeyPatch) -> None:
    """What settings say of a copy is not heeded."""
    start = Process.start

    def acting(process: Process) -> None:
        process.read_only = False
        start(process)

    patch.setattr(Process, "start", acting)


def _known_then(patch: pytest.MonkeyPatch) -> None:
    """A pause of everything holds for the names that there were."""
    patch.setattr(
        actors, "covered", lambda credential, found: covered(credential, () if "x" in credential.name else found)
    )


def _unsaved(patch: pytest.MonkeyPatch) -> None:
    """What Vault does not take is noted later."""
    save = Reconciler._save

    async def saved(reconciler, entry, record, *, release):
        try:
            return await save(reconciler, entry, record, release=release)
        except StoreRefused:
            return replace(entry, record=record)

    patch.setattr(Reconciler, "_save", saved)


def _untold(patch: pytest.MonkeyPatch) -> None:
    """What a person ends as it was proposed is not told."""

    def ended(seen, token, by):
        if not (yield from ReadOwners()).spares(token, seen.now):
            yield from RevokeToken(seen.credential.target, token)

    patch.setattr(operators, "_ended", ended)


def _left(patch: pytest.MonkeyPatch) -> None:
    """Of what left the settings only the newest value is told."""
    patch.setattr(ownership, "living", lambda record, now: living(record, now)[:1])


def _same_names(patch: pytest.MonkeyPatch) -> None:
    """A journal that begins anew uses the names of the one before again."""
    patch.setattr(
        observation, "stem", lambda prefix, installation, name, lineage: stem(prefix, installation, name, "l")
    )


def _unclaimed(patch: pytest.MonkeyPatch) -> None:
    """A claim lifts the hold, and that is all."""
    claimed = transitions._ADVANCE[ev.Claimed]
    patch.setitem(
        transitions._ADVANCE,
        ev.Claimed,
        lambda record, event: replace(claimed(record, event), lineage=record.lineage, stem=record.stem),
    )


LINES = {
    "a wall clock a hundred days ahead, and back": Line(day("clock_ahead"), ("L1", "I2"), without=_by_dates),
    "a copy of Vault that is read-only": Line(day("copy", interval=60.0), ("RO",), without=_acting),
    "a request for a credential that left the settings": Line(
        day("rename", "request", acts=("ask",), slow=0.5), ("W1",), 12, without=_untended
    ),
    "everything is paused, and a credential joins": Line(
        day("fleet", "rename", interval=40.0, active=900.0, overwrite=True), ("P",), 15, _known_then
    ),
    "a login that runs out": Line(day("login", acts=("ask", "emergency"), slow=0.5), ("I",), without=_unsaved),
    "a leftover is ended by a person": Line(
        day("remove", "tidy", credentials=2, kinds=(Kind.TOKENS, Kind.TOKENS)), ("R",), without=_untold
    ),
    "a credential leaves the settings": Line(
        day("remove", credentials=2, interval=60.0, grace=90.0), ("W2 unmanaged",), without=_left
    ),
    "a Vault is emptied": Line(day("empty"), ("I",), without=_same_names),
    "a Vault is restored, and claimed": Line(
        day("restore", "claim", active=800.0), ("W1", "I", "L"), without=_unclaimed
    ),
    "a kill between a request and its rotation": Line(
        day("request", acts=("ask", "emergency"), kill=0.04, interval=1e6), ("W1",), without=_forgetful
    ),
    "an emergency when the day's mints are used up": Line(
        day(acts=("emergency",), mints_per_day=6, interval=40.0, refused=0.3, active=600.0),
        ("W1", "I6"),
        without=_one_budget,
    ),
    "a restart every half minute": Line(
        day(restarts=30.0, actors=1, slow=0.5, followed=True), ("L1", "W2 gone"), without=_blind
    ),
    "consumers that go on with the old value": Line(
        day(lazy=True, quiet=20.0, grace=10.0, interval=300.0, active=1200.0), ("I2",), without=_coarse
    ),
    "what has expired": Line(
        day("broken_file", kill=0.03, interval=40.0, lifetime=60.0, actors=1), ("W2 expired",), without=_timeless
    ),
    "nothing was ever published": Line(day(refused=1.0), ("W2 nothing",), without=_settled),
    "the consumer path is deleted or overwritten": Line(
        day(acts=("soft_delete", "foreign_write"), interval=1e6), ("W2 path",), without=_unseeing
    ),
    "a Vault is restored": Line(day("restore", active=800.0), ("I", "L", "W2"), without=_one_vault),
    "a Vault is copied": Line(day("copy", acts=("ask",), active=1500.0), ("I9",), without=_one_vault),
    "a rename, and what is proposed is typed": Line(day("rename", "tidy"), ("W3",), without=_pathless),
    "a lost journal, and what is proposed is typed": Line(
        day("tidy", acts=("journal_metadata",)), ("W3",), without=_pathless
    ),
    "two targets that are one, and what is proposed is typed": Line(
        day("tidy", credentials=2, kinds=(Kind.TOKENS, Kind.TOKENS), two_targets=True), ("W3",)
    ),
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_an_ordinary_day_breaks_no_promise(line: Line) -> None:
    number, text = line.first()
    assert not number, f"seed {number - 1}: {text}"


@pytest.mark.parametrize("name", [name for name, line in LINES.items() if line.without])
def test_without_its_mend_it_is_found(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    line = LINES[name]
    line.without(monkeypatch)
    number, text = line.first()
    assert number, "no seed finds it"
    assert text.removeprefix("Violation: ").startswith(line.rules), text
