"""The first steps at the target: mint and stage, look for a lost mint, burn a failed attempt."""

from __future__ import annotations

from dataclasses import replace

from rotator.rotation import events as ev
from rotator.rotation import foreign_journal
from rotator.rotation.answers import Document, Minted, read_staged, unfit, write_staged
from rotator.rotation.faults import Conflict, Duplicate, MinterRefused, NeedsPerson, Refused, StoreRefused, Transient
from rotator.rotation.observation import Observation
from rotator.rotation.ownership import known
from rotator.rotation.phases import RejectedState
from rotator.rotation.procedures import install, publish
from rotator.rotation.procedures.calls import (
    DrawNonce,
    FindTokens,
    InspectToken,
    MintToken,
    Procedure,
    ProveDead,
    ReadOwners,
    ReadSlot,
    ReceiveValue,
    RevokeToken,
    StillOurs,
    WriteSlot,
)
from rotator.rotation.record import Candidate, HoldReason, Record, Token
from rotator.rotation.secret import Secret
from rotator.rotation.steps import Burn, Look, Mint
from rotator.rotation.token_names import parse
from rotator.rotation.wording import when


def mint(seen: Observation, record: Record, step: Mint) -> Procedure[ev.Event]:
    """Mint under the journalled name and put the value into the staged slot before anything else."""
    brings = seen.brings
    try:
        minted = yield from _mint(seen, record, step.name)
    except NeedsPerson as fault:
        return ev.Awaited(seen.at, fault.reason)
    except Duplicate:
        return (yield from _taken(seen, record, step.name))
    except MinterRefused:
        raise
    except Refused as fault:
        return ev.MintRefused(seen.at, fault.reason)
    if wrong := unfit(minted.token):  # we could not ask for it later; it is burned by its name
        return ev.MintLost(seen.at, f"the target's answer cannot be used: {wrong}")
    pending = seen.capabilities(record.target).needs_install
    staged = yield from stage(seen, record, minted, pending=pending)
    if isinstance(staged, ev.MintLost) and _revokes_by_value(seen, record):
        return replace(staged, reason=f"{staged.reason}; {(yield from _given_up(record, minted.token, minted.secret))}")
    return replace(staged, supplied=brings) if isinstance(staged, ev.Staged) else staged


def _given_up(record: Record, token: Token, secret: Secret) -> Procedure[str]:
    """Revoke a value while we have it; what became of it, in words. Where that fails, it ends by its date."""
    try:
        yield from StillOurs()  # it may have been staged after all, and published by another process
        yield from RevokeToken(record.target, token, secret)
    except (Transient, Refused) as fault:
        end = f" at {when(token.expires_at)}" if token.expires_at else ""
        return f"it is expected to end by itself{end}, as it cannot be revoked: {fault.reason}"
    return "it was revoked"


def _taken(seen: Observation, record: Record, name: str) -> Procedure[ev.Event]:
    """The name is taken: by an earlier request of ours, or by another journal if this reconcile began the attempt."""
    if seen.begun_here == (record.rotation, record.attempt) and foreign_journal.own_stem(record):
        listed = yield from FindTokens(record.target, name)
        if found := [token for token in listed if token.name == name]:
            return seen.held(HoldReason.TWO_VAULTS, foreign_journal.said(found[0], foreign_journal.TAKEN))
    return ev.MintLost(seen.at, "the name is taken on the target")


def _mint(seen: Observation, record: Record, name: str) -> Procedure[Minted]:
    lifetime, keep = seen.credential.lifetime, _spared(record)
    expires_at = seen.at + lifetime if lifetime else None
    if not seen.brings:
        return (yield from MintToken(record.target, name, expires_at, keep))
    said = seen.brought_until  # by the word of the person, who sees what the target shows
    minted = yield from ReceiveValue(record.target, name, said or expires_at, keep)
    return replace(minted, token=replace(minted.token, expires_at=said)) if said else minted


def _spared(record: Record) -> tuple[Token, ...]:
    """The tokens at the same target that the mint must keep alive, even refused ones: a refusal may pass."""
    return tuple(each.token for each in (record.current, record.predecessor) if each and each.target == record.target)


def stage(seen: Observation, record: Record, minted: Minted, *, pending: bool) -> Procedure[ev.Event]:
    """Write a value to the staged slot. `pending`: the target was not told of it yet."""
    token = replace(minted.token, name=minted.token.name or record.mint_name)
    document = write_staged(replace(minted, token=token), (yield from DrawNonce()))
    version = record.slot_version
    for _ in range(2):  # the second try follows a look at who wrote in between
        try:
            version = yield from WriteSlot(document, version)
        except Conflict:
            slot = yield from ReadSlot()
            if attempt_in(slot, record) >= (record.rotation, record.attempt):
                raise
            version = slot.version
        except (Transient, StoreRefused) as fault:
            return ev.MintLost(seen.at, f"could not be staged: {fault.reason}")
        else:
            return ev.Staged(seen.at, _candidate(seen, replace(minted, token=token), version, pending=pending))
    return ev.MintLost(seen.at, "could not be staged: the slot is written by others")


def _candidate(seen: Observation, minted: Minted, version: int, *, pending: bool) -> Candidate:
    """The candidate for the record, with the keys published beside the value, which an undo needs."""
    fields, mark = minted.fields, seen.fingerprint(minted.secret)
    public = tuple(sorted(key for key, text in fields.items() if isinstance(text, str)))
    return Candidate(minted.token, mark, version, pending, tuple(sorted(fields)), public, seen.credential.key)


def attempt_in(slot: Document, record: Record) -> tuple[int, int]:
    """Rotation and attempt of the candidate in the slot; (0, 0) if it has none of this credential."""
    staged = read_staged(slot)
    name = parse(staged.token.name) if staged else None
    return (name.rotation, name.attempt) if name and name.stem == record.stem else (0, 0)


def look(seen: Observation, record: Record, step: Look) -> Procedure[ev.Event]:
    """Find out what became of a mint whose answer was lost."""
    slot = yield from ReadSlot()
    staged, pending = read_staged(slot), seen.capabilities(record.target).needs_install
    if staged and staged.token.name == step.name and slot.version > record.slot_version:
        return ev.Staged(seen.at, _candidate(seen, staged.minted, slot.version, pending=pending))
    found = yield from FindTokens(record.target, step.name)
    if any(token.name == step.name for token in found):
        return ev.MintLost(seen.at, "minted, but its secret was lost")
    return ev.NotMinted(seen.at, step.resend)


def burn(seen: Observation, record: Record, step: Burn) -> Procedure[ev.Event]:
    """End whatever is alive under the attempt's name."""
    can = seen.capabilities(record.target)
    if not can.overlap:
        return (yield from install.put_back(seen, record, step))
    if _revokes_by_value(seen, record):
        return (yield from _burn_by_value(seen, record, step))
    if not can.revokes_by_handle:  # only we have seen the candidate, and it ends by its own date
        return _left(seen, record, step, _TOGETHER if can.revokes_by_value else "")
    if waiting := install.unsettled(seen, record):
        return waiting
    listed = yield from FindTokens(record.target, step.name)
    found = {token.id: token for token in listed if token.name == step.name}
    mine = record.candidate.token.id if record.candidate else ""
    for token in found.values():
        if token.id != mine and (why := (yield from _anothers(seen, record, token))):
            return seen.held(HoldReason.TWO_VAULTS, foreign_journal.said(token, why))
    if record.candidate:
        found[record.candidate.token.id] = record.candidate.token
    keep = known(replace(record, state=RejectedState()))
    return (yield from _ended(seen, record, step, [token for token in found.values() if token.id not in keep]))


def _revokes_by_value(seen: Observation, record: Record) -> bool:
    """Whether a candidate can be ended by its value, and nothing else ends with it.

    RFC 7009, section 2.1: a server may end all tokens of the same grant, the published one among them.
    """
    can = seen.capabilities(record.target)
    return can.revokes_by_value and not can.shared_grant and record.ends_together != record.target


_BURNS = 3  # tries to revoke a candidate that ends by its date as well


def _burn_by_value(seen: Observation, record: Record, step: Burn) -> Procedure[ev.Event]:
    """Revoke the candidate by its staged value. Where that is lost or has no effect, it ends by its date."""
    candidate, staged = record.candidate, (yield from publish.unstage(seen, record))
    if candidate is None or known(replace(record, state=RejectedState())) & {candidate.token.id}:
        return ev.Burned(seen.at, (), step.give_up)
    if staged is None:
        return _left(seen, record, step, "only its value ends it, and that is gone from Vault")
    trouble, retry_after = "not proven dead", None
    try:
        yield from RevokeToken(record.target, staged.token, staged.secret)
        if (yield from ProveDead(record.target, staged.token, staged.secret)):
            return ev.Burned(seen.at, (candidate.token.id,), step.give_up)
    except (Transient, Refused) as fault:
        trouble, retry_after = f"not revoked: {fault.reason}", fault.retry_after
    if record.failures + 1 < _BURNS or retry_after:  # the next attempt does not wait longer
        return seen.faulted("burn", f"{trouble}: {candidate.token.id}", retry_after, of_target=False)
    return _left(seen, record, step, trouble)


_TOGETHER = "its revocation might end the published value with it"


def _left(seen: Observation, record: Record, step: Burn, why: str) -> ev.Burned:
    """The event of a candidate that ends by its own date, and why."""
    said = ""
    if record.candidate:
        token = record.candidate.token
        end = f" at {when(token.expires_at)}" if token.expires_at else ""
        said = f"{token.id} is left to its date and ends by itself{end}{why and f' ({why})'}"
    return ev.Burned(seen.at, (), step.give_up, left=said)


def _ended(seen: Observation, record: Record, step: Burn, doomed: list[Token]) -> Procedure[ev.Event]:
    for token in doomed:
        yield from RevokeToken(record.target, token)
    alive = []
    for token in doomed:
        if not (yield from ProveDead(record.target, token, None)):
            alive.append(token.id)  # noqa: PERF401 (no comprehension may ask for a call)
    if alive:
        return seen.faulted("burn", f"not proven dead: {', '.join(alive)}", of_target=False)
    return ev.Burned(seen.at, tuple(token.id for token in doomed), step.give_up)


def _anothers(seen: Observation, record: Record, token: Token) -> Procedure[str]:
    """Why the token of the current attempt belongs to another journal, in words; empty if it may be ours."""
    if foreign_journal.earlier(record, token):
        return foreign_journal.made_before(token)
    if not seen.capabilities(record.target).reports_last_use:
        return ""
    inspected = yield from InspectToken(record.target, token)
    return foreign_journal.USED if foreign_journal.used(record, token, inspected.last_used) else ""


def reap(seen: Observation, record: Record, tokens: tuple[Token, ...]) -> Procedure[tuple[str, ...]]:
    """Revoke strays that no configured path publishes. Returns their ids."""
    keep = known(record)
    doomed = [token for token in tokens if token.id not in keep]
    if doomed:
        owners = yield from ReadOwners()
        doomed = [token for token in doomed if not owners.spares(token, seen.now)]
    for token in doomed:
        yield from RevokeToken(record.target, token)
    return tuple(token.id for token in doomed)
