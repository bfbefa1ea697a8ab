"""The search for tokens that nothing accounts for, and the end of those that are found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from rotator.app.actor import App
from rotator.engine import commands
from rotator.engine.strays import SweepResult
from rotator.engine.strays import sweep as search
from rotator.ports import Fault, MinterRefused, Refused, Transient
from rotator.providers import Server
from rotator.rotation.credential import Credential
from rotator.rotation.ownership import ENDABLE, Owner, TokenState
from rotator.rotation.record import Token
from rotator.rotation.token_names import family, parse


@dataclass(frozen=True, slots=True)
class Leftover:
    """A living token that could be ended, or that nobody can judge. `last_used` None: unknown, never unused."""

    target: str
    token: Token
    owner: Owner
    last_used: datetime | None = None


def plainly(target: str, reason: str) -> str:
    """The reason of a fault without the target's name before it, where that is said already."""
    return reason.removeprefix(f"target {target}: ")


async def sweep(app: App, target: str, by: str = "") -> SweepResult:
    """Find strays on one target by one listing; revoke them, and delete what was revoked long ago.

    Raises MinterRefused, Transient.
    """
    ours = _on(app, target)
    if not ours:
        return SweepResult((), (), (), ())

    async def end(credential: Credential, token: Token) -> bool:
        return await _reap(app, credential, token, by)

    remembered = {name: record for name, seen in app.worker_pool.seen.items() if (record := seen.record)}
    server, tokens = await _listing(app, ours.values())
    app.worker_pool.guard.others.take(target, tokens)
    mine = family(app.installation.prefix, app.installation.lineage)
    elsewhere = {record.stem for name, record in remembered.items() if name not in ours}
    known = tuple(each for each in tokens if each.name.startswith(mine) and _stem(each) not in elsewhere)
    swept = await search(known, ours, app.journal, remembered=remembered, reap=end)
    await _prune(app, target, server, (record.stem for record in swept.records))
    return swept


async def prune(app: App, target: str) -> None:
    """Delete what was revoked long ago. Raises Fault."""
    ours = _on(app, target)
    if ours and not app.worker_pool.stopping:
        records = [(await app.journal.load(name)).record for name in ours]
        server, _ = await _listing(app, ours.values())
        await _prune(app, target, server, (record.stem for record in records if record))


async def leftovers(app: App) -> tuple[list[Leftover], list[str]]:
    """What lives on the targets and nothing accounts for, and what could not be looked at, in words.

    Several targets may reach one account: a token is listed once. Raises Transient, StoreRefused.
    """
    listed: dict[tuple[str, str], tuple[str, Token, datetime | None]] = {}
    silent: list[str] = []
    for target in app.settings.targets:
        ours = _on(app, target)
        if app.worker_pool.stopping:
            silent.append(f"target {target} not looked at: {app.worker_pool.stopping}")
            continue
        try:
            server, tokens = await _listing(app, ours.values()) if ours else (None, ())
            used = {each.id: each.last_used for each in (await server.inventory() or ()) if tokens} if server else {}
        except Fault as fault:
            silent.append(f"target {target} not listed: {plainly(target, fault.reason)}")
            continue
        for token in tokens:
            listed.setdefault((token.id, token.name), (target, token, used.get(token.id)))
    if not listed:
        return [], silent
    owners, now = await app.owners(), app.clock.now()
    found = [Leftover(target, token, owners.of(token, now), last) for target, token, last in listed.values()]
    found.sort(key=lambda each: each.owner.state is not TokenState.STRAY)
    return [each for each in found if each.owner.state in ENDABLE or _doubtful(each.owner)], silent


async def revoke_leftover(app: App, leftover: Leftover, by: str) -> bool:
    """Revoke it, if it still may be. Each end is a transition of the credential that it was minted for.

    Raises Fault.
    """
    token, owner = leftover.token, leftover.owner
    _go_on(app, token)
    mine = app.settings.credentials.get(owner.credential)
    if owner.state is TokenState.STRAY and mine is not None:
        return await _reap(app, mine, token, by)
    some = await _finding(app, leftover)
    name = owner.credential or _stem(token).removeprefix(family(app.installation.prefix, app.installation.lineage))
    reconciler = app.worker_pool.guard.reconciler
    return await commands.disown(
        reconciler, replace(some, name=name), app.dependencies(some), token, by, journalled=bool(owner.credential)
    )


async def _finding(app: App, leftover: Leftover) -> Credential:
    """A credential of its target whose kind knows such tokens: another's would not find it, and call it dead.

    Raises Refused when there is none, and what a provider's `find` raises.
    """
    token = leftover.token
    for each in _on(app, leftover.target).values():
        if any(found.id == token.id for found in await app.dependencies(each).provider.find(token.name)):
            return each
    raise Refused(f"no kind that settings have on target {leftover.target} knows {token.id}: end it there by hand")


def _doubtful(owner: Owner) -> bool:
    return owner.state is TokenState.IN_FLIGHT and bool(owner.said)


def _stem(token: Token) -> str:
    return parsed.stem if (parsed := parse(token.name)) else token.name


def _on(app: App, target: str) -> dict[str, Credential]:
    return {name: each for name, each in app.settings.credentials.items() if each.target == target}


def _go_on(app: App, token: Token) -> None:
    """Raises Refused when nothing more is to be begun."""
    if app.worker_pool.stopping:
        raise Refused(f"{token.id} is left: {app.worker_pool.stopping}")


async def _reap(app: App, credential: Credential, token: Token, by: str) -> bool:
    _go_on(app, token)
    async with app.worker_pool.aside(credential.name):
        return await commands.reap(
            app.worker_pool.guard.reconciler, credential, app.dependencies(credential), token, by
        )


async def _prune(app: App, target: str, server: Server, of: Iterable[str]) -> None:
    keep = getattr(app.settings.targets[target].config, "keep", None)
    stems = tuple(f"{stem}-r" for stem in of if stem)
    if keep is not None and stems:
        await server.prune(lambda name: name.startswith(stems), keep)


async def _listing(app: App, credentials: Iterable[Credential]) -> tuple[Server, tuple[Token, ...]]:
    """One listing of their target by the first minter that works; with a shared one, the first is the only one."""
    refusal: MinterRefused | None = None
    tried = set()
    for credential in credentials:
        if (name := app.minter_name(credential)) in tried:
            continue
        tried.add(name)
        pause, reason = app.worker_pool.guard.pause(credential)
        if pause:
            refusal = refusal or MinterRefused(f"not called, it is paused: {reason}")
            continue
        server = app.server(credential)
        try:
            return server, await server.list_tokens()
        except MinterRefused as fault:
            app.worker_pool.guard.refused(credential, fault.reason)
            refusal = fault
    raise refusal or Transient("nobody to list with")
