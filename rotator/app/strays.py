"""The search for strays on one target, and the end of those that are found."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace

from rotator.app.actor import App
from rotator.engine import operating
from rotator.engine.sweep import Swept
from rotator.engine.sweep import sweep as search
from rotator.ports import MinterRefused, Refused, Transient
from rotator.providers import Site
from rotator.rotation.credential import Credential
from rotator.rotation.names import family, parse
from rotator.rotation.record import Token


async def sweep(app: App, target: str, *, reap: bool, by: str = "") -> Swept:
    """Find strays on one target by one listing. `reap`: revoke them, and delete what was revoked long ago.

    Raises MinterRefused, Transient.
    """
    ours = {name: each for name, each in app.settings.credentials.items() if each.target == target}
    if not ours:
        return Swept((), (), (), ())

    async def end(credential: Credential, token: Token) -> bool:
        if app.crew.stopping:
            raise Refused(f"{token.id} is left: {app.crew.stopping}")
        async with app.crew.aside(credential.name):
            visitor = app.crew.rounds.visitor
            return await operating.reap(visitor, credential, app.edges(credential), token, by)

    seen = app.crew.seen
    remembered = {name: record for name in ours if name in seen and (record := seen[name].record)}
    site, tokens = await _listing(app, ours.values())
    swept = await search(tokens, ours, app.journal, remembered=remembered, reap=end if reap else None)
    keep = getattr(app.settings.targets[target].keys, "keep", None)
    stems = tuple(f"{record.stem}-r" for record in swept.records if record.stem)
    if reap and keep is not None and stems:
        await site.prune(lambda name: name.startswith(stems), keep)
    return swept


async def disown(app: App, target: str, tokens: Iterable[Token], by: str) -> AsyncIterator[Token]:
    """End those that bear the mark of this very installation, whatever the settings claim; yields each.

    Each end is told as a transition of the credential whose journal knows the token's name, where there is one.
    """
    mine = family(app.installation.prefix, app.installation.lineage)
    ours = tuple(token for token in tokens if token.name.startswith(mine))
    if not ours:
        return
    some = next(each for each in app.settings.credentials.values() if each.target == target)
    known = await _orphans(app)
    visitor, edges = app.crew.rounds.visitor, app.edges(some)
    for token in ours:
        stem = parsed.stem if (parsed := parse(token.name)) else token.name
        name = known.get(stem, "")
        owner = replace(some, name=name or stem.removeprefix(mine))
        await operating.disown(visitor, owner, edges, token, by, journalled=bool(name))
        yield token


async def _orphans(app: App) -> dict[str, str]:
    """Credentials that have a journal and are not in the settings, by the stem of their tokens' names."""
    found = {}
    for name in await app.journal.names():
        if name in app.settings.credentials:
            continue
        try:
            record = (await app.journal.load(name)).record
        except Refused:  # nobody can read it: its tokens are ended without it
            continue
        if record and record.stem:
            found[record.stem] = name
    return found


async def _listing(app: App, credentials: Iterable[Credential]) -> tuple[Site, tuple[Token, ...]]:
    """One listing of their target by the first minter that works; with a shared one, the first is the only one."""
    refusal: MinterRefused | None = None
    tried = set()
    for credential in credentials:
        if (name := app.minter_name(credential)) in tried:
            continue
        tried.add(name)
        pause, reason = app.crew.rounds.pause(credential)
        if pause:
            refusal = refusal or MinterRefused(f"not called, it is paused: {reason}")
            continue
        site = app.site(credential)
        try:
            return site, await site.list_tokens()
        except MinterRefused as fault:
            app.crew.rounds.refused(credential, fault.reason)
            refusal = fault
    raise refusal or Transient("nobody to list with")
