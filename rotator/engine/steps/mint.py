"""The first half of a rotation on the target: mint and stage, look for a lost mint, burn what failed."""

from __future__ import annotations

from dataclasses import replace

from rotator.engine.context import RotationContext, read_staged, write_staged
from rotator.engine.steps import install
from rotator.ports import (
    Conflict,
    Document,
    Duplicate,
    Minted,
    MinterRefused,
    NeedsPerson,
    Provider,
    Refused,
    StoreRefused,
    SupportsSupply,
    Transient,
)
from rotator.rotation import events as ev
from rotator.rotation import second_vault
from rotator.rotation.record import Candidate, HoldReason, Record, Token
from rotator.rotation.steps import Burn, Look, Mint
from rotator.rotation.strays import known
from rotator.rotation.token_handle import unfit
from rotator.rotation.token_names import parse


async def mint(context: RotationContext, record: Record, step: Mint) -> ev.Event:
    """Mint under the journalled name and put the value into the staged slot before anything else."""
    brings = context.brings
    try:
        minted = await _mint(context, record, step.name)
    except NeedsPerson as fault:
        return ev.Awaited(context.at, fault.reason)
    except Duplicate:
        first, context.begun_here = context.begun_here == (record.rotation, record.attempt), (0, 0)
        return await _taken(context, record, step.name, first=first)
    except MinterRefused:
        raise
    except Refused as fault:
        return ev.MintRefused(context.at, fault.reason)
    if wrong := unfit(minted.token):  # nobody could ask about it later: what lives is burned by the name we chose
        return ev.MintLost(context.at, f"the target's answer cannot be used: {wrong}")
    staged = await stage(context, record, minted, pending=context.provider(record.target).capabilities.needs_install)
    return replace(staged, supplied=brings) if isinstance(staged, ev.Staged) else staged


async def _taken(context: RotationContext, record: Record, name: str, *, first: bool) -> ev.Event:
    """The name lives already. `first`: nobody who shares our journal has asked for it before us."""
    if first and second_vault.own_stem(record):
        found = [token for token in await context.provider(record.target).find(name) if token.name == name]
        if found:
            return context.held(HoldReason.TWO_VAULTS, second_vault.said(found[0], second_vault.TAKEN))
    return ev.MintLost(context.at, "the name is taken on the target")


async def _mint(context: RotationContext, record: Record, name: str) -> Minted:
    provider, lifetime, keep = context.provider(record.target), context.credential.lifetime, _spared(record)
    expires_at = context.at + lifetime if lifetime else None
    if context.supplied is None or context.supplied.taken:
        return await provider.mint(name, expires_at, keep)
    if not isinstance(provider, SupportsSupply):
        raise Refused("this kind takes no value from a person")
    said = context.supplied.expires_at  # the person's word, who sees what the target shows
    minted = await provider.receive(name, context.supplied.take(), said or expires_at, keep)
    return replace(minted, token=replace(minted.token, expires_at=said)) if said else minted


def _spared(record: Record) -> tuple[Token, ...]:
    """What lives on the target where the next token is to live, and has to live on: a refusal may pass, too."""
    return tuple(each.token for each in (record.current, record.predecessor) if each and each.target == record.target)


async def stage(context: RotationContext, record: Record, minted: Minted, *, pending: bool) -> ev.Event:
    """Make a value durable in the private slot. `pending`: the target was not told of it yet."""
    token = replace(minted.token, name=minted.token.name or record.mint_name)
    document = write_staged(replace(minted, token=token), context.dependencies.nonce())
    version = record.slot_version
    for _ in range(2):  # the second time after a look at who wrote in between
        try:
            version = await context.dependencies.store.write(context.dependencies.slot, document, cas=version)
        except Conflict:
            seen = await context.dependencies.store.read(context.dependencies.slot, strong=True)
            if attempt_in(seen, record) >= (record.rotation, record.attempt):
                raise
            version = seen.version
        except (Transient, StoreRefused) as fault:
            return ev.MintLost(context.at, f"could not be staged: {fault.reason}")
        else:
            context.staged = None  # what is proven later is what Vault gives back
            return ev.Staged(context.at, _candidate(context, replace(minted, token=token), version, pending=pending))
    return ev.MintLost(context.at, "could not be staged: the slot is written by others")


def _candidate(context: RotationContext, minted: Minted, version: int, *, pending: bool) -> Candidate:
    """What the record says of it. An undo puts back what lies beside the value, and no other keys."""
    fields, mark = minted.fields, context.fingerprint(minted.secret)
    public = tuple(sorted(key for key, text in fields.items() if isinstance(text, str)))
    return Candidate(minted.token, mark, version, pending, tuple(sorted(fields)), public, context.credential.key)


def attempt_in(slot: Document, record: Record) -> tuple[int, int]:
    """The rotation and attempt whose candidate is in the slot; (0, 0) when it holds nothing of this credential."""
    staged = read_staged(slot)
    name = parse(staged.token.name) if staged else None
    return (name.rotation, name.attempt) if name and name.stem == record.stem else (0, 0)


async def look(context: RotationContext, record: Record, step: Look) -> ev.Event:
    """Find out what became of a mint whose answer we do not have."""
    doc = await context.dependencies.store.read(context.dependencies.slot, strong=True)
    staged, provider = read_staged(doc), context.provider(record.target)
    if staged and staged.token.name == step.name and doc.version > record.slot_version:
        context.staged = staged
        pending = provider.capabilities.needs_install
        return ev.Staged(context.at, _candidate(context, staged.minted, doc.version, pending=pending))
    if any(token.name == step.name for token in await provider.find(step.name)):
        return ev.MintLost(context.at, "minted, but its secret was lost")
    return ev.NotMinted(context.at, step.resend)


async def burn(context: RotationContext, record: Record, step: Burn) -> ev.Event:
    """Revoke whatever lives under the attempt's name."""
    provider = context.provider(record.target)
    if not provider.capabilities.overlap:
        return await install.put_back(context, record, step)
    if not provider.capabilities.can_revoke:  # nobody but us ever saw the candidate, and it ends by its own date
        return ev.Burned(context.at, (), step.give_up)
    if waiting := install.unsettled(context, record):
        return waiting
    found = {token.id: token for token in await provider.find(step.name) if token.name == step.name}
    mine = record.candidate.token.id if record.candidate else ""
    for token in found.values():
        if token.id != mine and (why := await _anothers(provider, record, token)):
            return context.held(HoldReason.TWO_VAULTS, second_vault.said(token, why))
    if record.candidate:
        found[record.candidate.token.id] = record.candidate.token
    keep = known(replace(record, candidate=None))
    doomed = [token for token in found.values() if token.id not in keep]
    for token in doomed:
        await provider.revoke(token)
    alive = [token.id for token in doomed if not await provider.is_dead(token, None)]
    if alive:
        return context.faulted("burn", f"not proven dead: {', '.join(alive)}", of_target=False)
    return ev.Burned(context.at, tuple(token.id for token in doomed), step.give_up)


async def _anothers(provider: Provider, record: Record, token: Token) -> str:
    """Why the token of the attempt in hand is of another journal, in words; nothing when it may be ours."""
    if second_vault.earlier(record, token):
        return second_vault.made_before(token)
    if not provider.capabilities.reports_last_use:
        return ""
    seen = await provider.inspect(token)
    return second_vault.USED if second_vault.used(record, token, seen.last_used) else ""


async def reap(context: RotationContext, record: Record, tokens: tuple[Token, ...]) -> tuple[str, ...]:
    """Revoke tokens that are strays by the record and that no configured path publishes. Returns their ids."""
    keep = known(record)
    doomed = tuple(token for token in tokens if token.id not in keep)
    owners = await context.dependencies.owners() if doomed else None
    doomed = tuple(token for token in doomed if owners and not owners.spares(token, context.now))
    for token in doomed:
        await context.provider(record.target).revoke(token)
    return tuple(token.id for token in doomed)
