"""I1 to I11, each stated once: over what the journal has said, what consumers read, and what lives on the target.

A predicate yields what is broken: the promise, and how. Whether it is to hold at a moment, after a Vault that went back
or at a person's word, is for the judge of each model to know: it does not ask where something excuses.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from rotator.rotation.ownership import known
from rotator.rotation.record import Phase, Record, Token
from tests.kit.kinds import CAN, Kind
from tests.kit.ledger import Ledger, Live, Target, ends, gives_up_the_old

Broken = Iterator[tuple[str, str]]

COUNTED_ON = frozenset({Phase.AWAITING, Phase.STAGED, Phase.INSTALLED, Phase.VERIFIED})
UNDER_WAY = frozenset({Phase.STAGED, Phase.AWAITING, Phase.INSTALLED, Phase.VERIFIED, Phase.REJECTED, Phase.HELD})
SECRETS = ("sek-", "canary-secret", "slot-canary")  # a part of every value that a model makes


def secret(text: str) -> bool:
    """Whether there is a value of a model's in it."""
    return any(part in text for part in SECRETS)


class Violation(AssertionError):  # noqa: N818 (the word of the field)
    """A promise is broken; the text begins with its number."""


def hold(broken: Broken) -> None:
    """Raises Violation at the first."""
    for promise, text in broken:
        raise Violation(f"{promise}: {text}")


# --- before a request leaves: the journal has authorised it ---------------------------------------------------------


def named(ledger: Ledger, mint_name: str) -> Broken:
    """I4: a value is made under a name that a record holds."""
    if not ledger.names(mint_name):
        yield "I4", f"mints {mint_name}, which no record names"


def counted(ledger: Ledger, mint_name: str) -> Broken:
    """I4: no more mint requests leave than records authorised."""
    if ledger.overdrawn(mint_name):
        yield "I4", f"more mint requests for {mint_name} than the journal authorised"


def stages(ledger: Ledger, mint_name: str) -> Broken:
    """I4: the slot is written for an attempt that a record names."""
    if not ledger.names(mint_name):
        yield "I4", f"stages {mint_name}, which no record names"


def tells(ledger: Ledger, token: str, *, durable: bool) -> Broken:
    """I4: the target is told what was staged and is in Vault, or once more what is published."""
    if token not in ledger.installable | ledger.put_back:
        yield "I4", f"tells the target {token}, which no record names"
    latest = ledger.latest
    candidate = latest.candidate.token.id if latest and latest.candidate else ""
    again = token in ledger.put_back and token != candidate  # it was read just now: somebody may have deleted it since
    if token in ledger.installable and not again and not durable:
        yield "I4", f"tells the target {token}, which is nowhere in Vault"


def writes(ledger: Ledger, fingerprint: str, over: int) -> Broken:
    """I4: a consumer path is written as a `verified` record says, or fenced."""
    if (fingerprint, over) not in ledger.publications and over not in ledger.fences:
        yield "I4", f"writes over version {over} without a `verified` record that says so"


def revokes(ledger: Ledger, token: Token) -> Broken:
    """I4: what is ended was condemned or rejected, or is a stray."""
    if not ledger.may_revoke(token):
        yield "I4", f"revokes {token.id}, which no record condemns"


def spares(record: Record | None, token: Token) -> Broken:
    """I9: what is current is not ended."""
    if record and record.current and record.current.token.id == token.id:
        yield "I9", f"revokes {token.id}, which is current"


def restores(ledger: Ledger, token: Token) -> Broken:
    """I7: a revocation is taken back at an operator's word only."""
    if token.id not in ledger.restorable:
        yield "I7", f"restores {token.id}, which nobody wants back"


def acts(silent: float, most: float) -> Broken:
    """I11: who has not heard of the journal for long does nothing to the target."""
    if silent >= most:
        yield "I11", f"acts {silent:.0f} s after the journal was last heard of"


# --- when it has its effect -----------------------------------------------------------------------------------------


def minted(number: int, most: int, rotation: int) -> Broken:
    """I6: a rotation makes so many values at most."""
    if number > most:
        yield "I6", f"mint {number} of rotation {rotation}"


def publishes(token: str, *, proven: bool, accepted: bool, barred: Collection[str]) -> Broken:
    """I1, I1a, I7: what is published was proven, is accepted, and was neither condemned nor rejected."""
    if not proven:
        yield "I1a", f"publishes {token}, which was never proven"
    if not accepted:
        yield "I1", f"publishes {token}, which the target does not accept"
    if token in barred:
        yield "I7", f"publishes {token}, which is condemned or rejected"


def numbers(was: int, now: int) -> Broken:
    """I8: rotation numbers never go back."""
    if now < was:
        yield "I8", f"the rotation number goes from {was} to {now}"


def overwrites(old: Mapping[str, Any], new: Mapping[str, Any], *, foreign: bool) -> Broken:
    """I8: what a person wrote is not written over, and keys of others stay."""
    if lost := [key for key in old if key.startswith("theirs") and new.get(key) != old[key]]:
        yield "I8", f"foreign keys are gone: {lost}"
    if foreign:
        yield "I8", "overwrites what a person wrote or deleted"


def graces(token: str, *, early: bool) -> Broken:
    """I10: what consumers had lives on for its grace, unless an emergency takes that away."""
    if early:
        yield "I10", f"{token} is ended in its grace"


def estranges(token: str, *, stranger: bool) -> Broken:
    """I9: what others have made is not ended."""
    if stranger:
        yield "I9", f"the stranger {token} is ended"


def keeps(by: str, token: str, *, read: bool) -> Broken:
    """I1: what consumers read is not ended, but in a cut-over that the journal has begun."""
    if read:
        yield "I1", f"{by} ends {token}, which consumers read"


def learns(record: Record, ended: str) -> Broken:
    """I1: at a target where the published value ends along, only a predecessor is ended, and after the first none."""
    if record.predecessor is None or record.predecessor.token.id != ended:
        yield "I1", f"the published value ends with {ended}, which is no predecessor"
    if record.ends_together and record.ends_together == record.target:
        yield "I1", "the published value ends with its predecessor, which the record knew"


def loses(what: str, *, answers: int) -> Broken:
    """I3: what each change replaces is lost with the answer to a change only."""
    if not answers:
        yield "I3", f"{what} in Vault is spent, and every answer was written down"


def destroys(record: Record, token: str) -> Broken:
    """I4: a staged candidate that the journal counts on is not destroyed."""
    if record.candidate and token == record.candidate.token.id and record.phase in COUNTED_ON:
        yield "I4", f"destroys the candidate {token} in phase {record.phase}"


# --- what is written down -------------------------------------------------------------------------------------------


def secretless(what: str, text: str) -> Broken:
    """I5: neither record nor event holds a secret, nor their words."""
    if secret(text):
        yield "I5", f"{what} holds a secret"


def claims(ledger: Ledger, after: Record, target: Target) -> Broken:
    """I2, I3, I8, P: what the newest record claims is so, when it takes the place of the one before."""
    before = ledger.latest
    if before is None or before.lineage != after.lineage:
        return
    began = before.phase is Phase.SETTLED and after.phase is Phase.REQUESTED
    if before.paused and before.paused.until is None and after.paused and began and not after.emergency:
        yield "P", "a rotation begins although it is paused"
    yield from numbers(before.rotation, after.rotation)
    left = {each.value.token.id for each in after.lasting}
    if before.predecessor and after.predecessor is None and before.predecessor.token.id not in left:
        old = before.predecessor.token.id
        yield from (("I2", f"{x.id} is called dead and is alive") for x in _alive(target) if x.id == old)
    forgotten = (x for x in _alive(target) if x.id in ledger.leaked - known(after))
    if lives := [x.id for x in forgotten if CAN[target.kind(x.credential)].can_revoke]:
        yield "I2", f"{lives} leaked and live, and count as dead"
    if before.phase is Phase.REJECTED and after.phase in (Phase.REQUESTED, Phase.SETTLED):
        name, since, stays = before.mint_name, ledger.rejected_at[before.mint_name], gives_up_the_old(before, after)
        ended = (x for x in _alive(target) if x.name == name and x.minted_at < since and ends(x, before, target))
        burned = (x for x in ended if not (stays and target.kind(x.credential) is Kind.ONE_SLOT))
        yield from (("I3", f"{x.id} is called burned and is alive") for x in burned)


def _alive(target: Target) -> Iterator[Live]:
    return (x for x in target.tokens.values() if target.alive(x) and not x.deleted)


# --- at every moment, and at rest -----------------------------------------------------------------------------------


def reads(who: str, token: str, *, accepted: bool) -> Broken:
    """I1: what consumers read, and have read just now, is accepted."""
    if not accepted:
        yield "I1", f"{who} read {token}, which the target refuses"


def lingers(record: Record, now: datetime) -> Broken:
    """I2: the predecessor is dead, unless what took its place was refused, or it ends by a date that is to come."""
    to_come = record.ends_at is not None and record.ends_at > now
    if record.predecessor and not record.refused_at and not to_come:
        yield "I2", f"the predecessor {record.predecessor.token.id} lives on"


def strays(record: Record, ours: Iterable[Live], target: Target) -> Broken:
    """I3: of ours nothing lives that the record does not know, but what ends by itself or with the next value."""
    lost = (x for x in ours if target.alive(x) and x.id not in known(record) and ends(x, record, target))
    yield from (("I3", f"{x.id} ({x.name}) lives and nobody knows it") for x in lost)
