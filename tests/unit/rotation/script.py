"""A procedure played by a script: which calls it asks for, what is answered to each, and what it comes to."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import pytest

from rotator.rotation import events as ev
from rotator.rotation.answers import Accepted, Capabilities, Document, Installation, Minted, Rejected, write_staged
from rotator.rotation.credential import Credential, OnForeign
from rotator.rotation.faults import TargetNotConfigured, Transient
from rotator.rotation.observation import Observation
from rotator.rotation.ownership import TokenOwners
from rotator.rotation.procedures import outcome
from rotator.rotation.procedures.calls import (
    Call,
    DrawNonce,
    InstallValue,
    MintToken,
    Procedure,
    ProveDead,
    ReadConsumer,
    ReadOwners,
    ReadPath,
    ReadSlot,
    StillOurs,
    VerifyValue,
)
from rotator.rotation.record import Phase, Record, Token, Undo
from rotator.rotation.secret import Secret
from rotator.rotation.steps import Act, Burn, Mint
from rotator.rotation.token_names import mint_name
from tests.kit.records import replace
from tests.unit.rotation import builders
from tests.unit.rotation.builders import DAY, MINUTE, NOW, PLACE, SECOND, STEM, credential, published, token

HOME = Installation("home", b"key of the fingerprints")
NEW, OLD, THEIRS = Secret("canary-new"), Secret("canary-old"), Secret("canary-theirs")
NAMED = Capabilities(takes_token_name=True, can_list=True)
ONE_PLACE = Capabilities(needs_install=True, overlap=False)
LATE, AT = (
    NOW + MINUTE + SECOND,
    NOW + MINUTE,
)  # the later clock, which stamps events, and the earlier one, that decides


def mark(secret: Secret) -> str:
    """Its fingerprint."""
    return secret.fingerprint(HOME.fingerprint_key)


def observation(can: Capabilities = NAMED, wanted: Credential | None = None, **changes: Any) -> Observation:
    """What was seen when the step begins: nothing but two clocks. Settings know the target `blog` alone."""

    def capabilities(target: str) -> Capabilities:
        if target != "blog":
            raise TargetNotConfigured(f"a token lives on target {target!r}, which the settings no longer have")
        return can

    seen = Observation(wanted or credential(), HOME, capabilities, LATE, AT, AT)
    return replace(seen, **changes)


def record(phase: Phase, **changes: Any) -> Record:
    """As the builders make it, of the values OLD and NEW."""
    made = builders.record(phase, **changes)
    if made.candidate and made.candidate.fingerprint.startswith("print-"):
        made = replace(made, candidate=replace(made.candidate, fingerprint=mark(NEW)))
    for name in ("current", "predecessor", "retired"):
        if (each := getattr(made, name)) and each.fingerprint.startswith("print-"):
            made = replace(made, **{name: replace(each, fingerprint=mark(OLD if each.rotation == 1 else NEW))})
    return made


def doc(secret: Secret | None, version: int = 1, **more: Any) -> Document:
    """A version of the consumer path."""
    key = more.pop("key", "token")
    if secret is None:
        return Document(version, None, **more)
    return Document(version, {key: secret.reveal(), "rotation": "1", "note": "kept", **more})


def slot(secret: Secret = NEW, of: Token | None = None, version: int = 2) -> Document:
    """A version of the staged slot."""
    written = write_staged(Minted(of or token(2), secret), "nonce")
    return Document(version, {**written, "value": secret.reveal()})


NOTHING = Document(0)
STAGED, PUBLISHED_OLD, PUBLISHED_NEW = (ReadSlot, slot()), (ReadConsumer, doc(OLD)), (ReadConsumer, doc(NEW, 2))
PROVEN, OURS, NONCE = (VerifyValue, Accepted()), (StillOurs, None), (DrawNonce, "nonce")

NAME = mint_name(STEM, 2, 1)
OVERWRITE = credential(on_foreign=OnForeign.OVERWRITE)
FOREIGN, DELETED = (ReadConsumer, doc(THEIRS, 3)), (ReadConsumer, doc(None, 3, deleted=True))
NOBODYS = (ReadOwners, TokenOwners({}, {}, (), "rotator-home"))
GONE = (ReadSlot, NOTHING)
BUSY = Transient("503", retry_after=7.0)
USED = replace(NAMED, reports_last_use=True)
EXPIRES = replace(NAMED, can_revoke=False)
ENDED_BY_MINT = Capabilities(mint_ends_predecessor=True, can_revoke=False)
MADE = Minted(token(2), NEW, {"id": "t2.1", "second": THEIRS})
MINT, BURN = Mint(NAME), Burn(NAME, give_up=False)
REQUESTED, SETTLED = record(Phase.REQUESTED), record(Phase.SETTLED)
REJECTED, PENDING = record(Phase.REJECTED), record(Phase.STAGED)
ELSEWHERE = published(1, target="shop")
MINTED = (MintToken("blog", NAME, LATE + 90 * DAY, (token(1),)), MADE)
DEAD, ALIVE, NOT_YET = (ProveDead, True), (ProveDead, False), (VerifyValue, Rejected("401"))
OLD_READ, INSTALLED = (ReadPath(PLACE, 1, strong=True), doc(OLD)), (InstallValue, token(2))
BACK_FROM_DEATH = record(Phase.UNDOING, undo=Undo("ada", NOW, Phase.CONDEMNED))


def faulted(step: str, reason: str, retry_after: float | None = None, **more: object) -> ev.Faulted:
    """The event of a step that did not get through."""
    return ev.Faulted(LATE, step, reason, retry_after, since=AT, **more)  # type: ignore[arg-type]  # its own fields


@dataclass(frozen=True)
class Row:
    """One play. `said`: what stands in the text of the event, where one has a text."""

    step: Act
    record: Record
    script: list[tuple[Any, Any]]  # the calls, by their types or as they are, and their answers or faults
    event: object  # as it is, or its type
    said: str = ""
    can: Capabilities = NAMED
    wanted: Credential = field(default_factory=credential)
    seen: dict[str, Any] = field(default_factory=dict)


def _same(call: Call[Any], expected: Call[Any]) -> bool:
    """Whether they are equal; two secrets are if their values are."""
    mine, other = (
        {each.name: getattr(it, each.name) for each in fields(it) if not isinstance(getattr(it, each.name), Secret)}
        for it in (call, expected)
    )
    shown, wanted = (getattr(it, "secret", None) for it in (call, expected))
    alike = shown.matches(wanted) if isinstance(shown, Secret) and isinstance(wanted, Secret) else shown is wanted
    return type(call) is type(expected) and mine == other and alike


def follow(procedure: Procedure[Any], script: list[tuple[Any, Any]], seen: Observation | None = None) -> Any:
    """Play it to its end. Raises what it raises."""
    value, left = None, list(script)
    while True:
        try:
            call = procedure.send(value)
        except StopIteration as end:
            assert not left, f"it ended without {left[0][0]}"
            return end.value
        assert left, f"it ends, and did not: {call}"
        expected, value = left.pop(0)
        assert isinstance(call, Call)
        alike = _same(call, expected) if isinstance(expected, Call) else type(call) is expected
        assert alike, f"not {expected}: {call}"
        if seen and isinstance(call, ReadConsumer | ReadSlot) and isinstance(value, Document):
            setattr(seen, "consumer" if isinstance(call, ReadConsumer) else "slot", value)


def play(row: Row) -> None:
    """OnHold a row to what it says."""
    seen = observation(row.can, row.wanted, **row.seen)
    event = follow(outcome(seen, row.record, row.step), row.script, seen)
    if isinstance(row.event, type):
        assert type(event) is row.event, event
    else:
        assert event == row.event
    assert row.said in repr(event)


def rows(*tables: dict[str, Row]) -> list[Any]:
    """Each row of some tables, under the name of its step and its own."""
    named = [(f"{type(row.step).__name__}: {name}", row) for table in tables for name, row in table.items()]
    return [pytest.param(row, id=name) for name, row in named]
