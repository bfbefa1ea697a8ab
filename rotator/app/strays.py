"""Tokens that no record knows: finding and revoking them; and living values of credentials that left the settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from rotator.app.composition import Actor
from rotator.engine import strays
from rotator.engine.strays import SweepResult, left_behind
from rotator.engine.strays import sweep as search
from rotator.observe import logs
from rotator.ports import Fault, MinterRefused, Refused, Transient
from rotator.providers import Server
from rotator.rotation.credential import Credential
from rotator.rotation.ownership import ENDABLE, Owner, TokenState, Unmanaged, tokens, unmanaged, without
from rotator.rotation.record import Record, Token
from rotator.rotation.token_names import family, parse

_PATIENCE, _AGAIN = 60.0, 0.5  # seconds


@dataclass(frozen=True, slots=True)
class Leftover:
    """A living token without owner, or one that cannot be judged. `last_used` None: unknown, never unused."""

    target: str
    token: Token
    owner: Owner
    last_used: datetime | None = None


def plainly(target: str, reason: str) -> str:
    """The reason of a fault, without the target's name in front."""
    return reason.removeprefix(f"target {target}: ")


async def sweep(actor: Actor, target: str, by: str = "") -> SweepResult:
    """Find strays on one target by one listing; revoke them, and delete what was revoked long ago.

    Raises MinterRefused, Transient.
    """
    ours = _on(actor, target)
    if not ours:
        return SweepResult((), (), (), ())

    async def end(credential: Credential, token: Token) -> bool:
        return await _reap(actor, credential, token, by)

    remembered = {name: record for name, seen in actor.worker_pool.seen.items() if (record := seen.record)}
    server, tokens = await _listing(actor, ours.values())
    actor.worker_pool.guard.others.take(target, tokens)
    mine = family(actor.installation.prefix, actor.installation.lineage)
    elsewhere = {record.stem for name, record in remembered.items() if name not in ours}
    known = tuple(each for each in tokens if each.name.startswith(mine) and _stem(each) not in elsewhere)
    swept = await search(known, ours, actor.journal, remembered=remembered, reap=end)
    await _prune(actor, target, server, (record.stem for record in swept.records))
    return swept


async def prune(actor: Actor, target: str) -> None:
    """Delete what was revoked long ago. Raises Fault."""
    ours = _on(actor, target)
    if ours and not actor.worker_pool.stopping:
        records = [(await actor.journal.load(name)).record for name in ours]
        server, _ = await _listing(actor, ours.values())
        await _prune(actor, target, server, (record.stem for record in records if record))


async def leftovers(actor: Actor) -> tuple[list[Leftover], list[str]]:
    """Living tokens that no record knows; and, in words, what could not be looked at.

    Several targets may reach one account: a token is listed once. Raises Transient, StoreRefused.
    """
    listed: dict[tuple[str, str], tuple[str, Token, datetime | None]] = {}
    silent: list[str] = []
    for target in actor.settings.targets:
        ours = _on(actor, target)
        if actor.worker_pool.stopping:
            silent.append(f"target {target} not looked at: {actor.worker_pool.stopping}")
            continue
        try:
            server, tokens = await _listing(actor, ours.values()) if ours else (None, ())
            used = {each.id: each.last_used for each in (await server.inventory() or ()) if tokens} if server else {}
        except Fault as fault:
            silent.append(f"target {target} not listed: {plainly(target, fault.reason)}")
            continue
        for token in tokens:
            listed.setdefault((token.id, token.name), (target, token, used.get(token.id)))
    if not listed:
        return [], silent
    owners, now = await actor.owners(), actor.clock.now()
    found = [Leftover(target, token, owners.of(token, now), last) for target, token, last in listed.values()]
    found.sort(key=lambda each: each.owner.state is not TokenState.STRAY)
    return [each for each in found if each.owner.state in ENDABLE or _doubtful(each.owner)], silent


async def revoke_leftover(actor: Actor, leftover: Leftover, by: str) -> bool:
    """Revoke one, if that is still allowed, as a transition of the credential that it was minted for.

    Raises Fault.
    """
    token, owner = leftover.token, leftover.owner
    _go_on(actor, token)
    mine = actor.settings.credentials.get(owner.credential)
    if owner.state is TokenState.STRAY and mine is not None:
        return await _reap(actor, mine, token, by)
    some = await _finding(actor, leftover)
    name = owner.credential or _stem(token).removeprefix(family(actor.installation.prefix, actor.installation.lineage))
    reconciler = actor.worker_pool.guard.reconciler
    return await strays.disown(
        reconciler, replace(some, name=name), actor.dependencies(some), token, by, journalled=bool(owner.credential)
    )


async def _finding(actor: Actor, leftover: Leftover) -> Credential:
    """A credential on its target whose kind finds such tokens; another kind would report it dead.

    Raises Refused when there is none, and what a provider's `find` raises.
    """
    token = leftover.token
    for each in _on(actor, leftover.target).values():
        if any(found.id == token.id for found in await actor.dependencies(each).provider.find(token.name)):
            return each
    raise Refused(f"no kind that settings have on target {leftover.target} knows {token.id}: end it there by hand")


def _doubtful(owner: Owner) -> bool:
    return owner.state is TokenState.IN_FLIGHT and bool(owner.said)


def _stem(token: Token) -> str:
    return parsed.stem if (parsed := parse(token.name)) else token.name


def _on(actor: Actor, target: str) -> dict[str, Credential]:
    return {name: each for name, each in actor.settings.credentials.items() if each.target == target}


def _go_on(actor: Actor, token: Token) -> None:
    """Raise Refused when no more work may begin."""
    if actor.worker_pool.stopping:
        raise Refused(f"{token.id} is left: {actor.worker_pool.stopping}")


async def _reap(actor: Actor, credential: Credential, token: Token, by: str) -> bool:
    _go_on(actor, token)
    async with actor.worker_pool.aside(credential.name):
        return await strays.reap(
            actor.worker_pool.guard.reconciler, credential, actor.dependencies(credential), token, by
        )


async def _prune(actor: Actor, target: str, server: Server, of: Iterable[str]) -> None:
    keep = getattr(actor.settings.targets[target].config, "keep", None)
    stems = tuple(f"{stem}-r" for stem in of if stem)
    if keep is not None and stems:
        await server.prune(lambda name: name.startswith(stems), keep)


async def _listing(actor: Actor, credentials: Iterable[Credential]) -> tuple[Server, tuple[Token, ...]]:
    """One listing of a target, by the first minter that works."""
    refusal: MinterRefused | None = None
    tried = set()
    for credential in credentials:
        if (name := actor.minter_name(credential)) in tried:
            continue
        tried.add(name)
        pause, reason = actor.worker_pool.guard.pause(credential)
        if pause:
            refusal = refusal or MinterRefused(f"not called, it is paused: {reason}")
            continue
        server = actor.server(credential)
        try:
            return server, await server.list_tokens()
        except MinterRefused as fault:
            actor.worker_pool.guard.refused(credential, fault.reason)
            refusal = fault
    raise refusal or Transient("nobody to list with")


async def note_unmanaged(actor: Actor) -> None:
    """Look for living values of credentials that left the settings, and log new ones.

    It begins when every credential was read, because one of them may have taken over another's value. While Vault does
    not answer, the known ones stay.
    """
    worker_pool, patience = actor.worker_pool, actor.clock.monotonic() + _PATIENCE
    while any(name not in worker_pool.seen and name not in worker_pool.broken for name in actor.settings.credentials):
        if actor.clock.monotonic() > patience:
            return
        await actor.clock.sleep(_AGAIN)
    try:
        left, unreadable = await left_behind(actor.journal, actor.settings.credentials)
    except Fault as fault:  # the policy forbids listing the journal, or Vault is away: try again later
        logs.warn("unmanaged.missed", said=fault.reason)
        return
    for name, reason in unreadable.items():
        logs.warn("unmanaged.missed", credential=name, said=reason)
    await _note_ended(actor, left)
    records = [seen.record for seen in worker_pool.seen.values() if seen.record]
    before = {each.token for each in living_unmanaged(actor, worker_pool.left, records)}
    worker_pool.left = _but_ended(actor, left)
    for each in living_unmanaged(actor, left, records):
        if each.token not in before:
            said = f"it left the settings; {each.token} at {each.path} lives on, and nobody rotates it"
            told = {"credential": each.credential, "target": each.target, "token": each.token}
            logs.warn("credential.unmanaged", **told, said=f"{said}; {each.next}")


def living_unmanaged(actor: Actor, left: Mapping[str, Record], records: Iterable[Record]) -> list[Unmanaged]:
    """Living values of credentials that left the settings. `records`: those of the credentials in the settings."""
    places = {each.place: each.retire.after for each in actor.settings.credentials.values()}
    return unmanaged(_but_ended(actor, left), records, actor.clock.now(), places)


def _but_ended(actor: Actor, left: Mapping[str, Record]) -> dict[str, Record]:
    """Their records, without the tokens that a person has ended."""
    return {name: without(each, actor.ended_by_hand, actor.clock.now()) for name, each in left.items()}


async def _note_ended(actor: Actor, left: Mapping[str, Record]) -> None:
    """Find out which tokens a person has ended at their target. A target that does not answer proves nothing."""
    there = {each.target: each for each in actor.settings.credentials.values()}
    for target, token in [each for record in left.values() for each in tokens(record, actor.clock.now())]:
        if target not in there or token.id in actor.ended_by_hand:
            continue
        try:
            provider = actor.dependencies(there[target]).provider
            if not (provider.capabilities.can_list and provider.capabilities.can_revoke):
                continue  # it knows no more of a token than its date
            found = await provider.inspect(token)
        except Fault:
            continue
        if not found.exists or found.revoked:
            actor.ended_by_hand.add(token.id)
