"""The rules about beginnings: what is declared, minted, proven, found, put on the target."""

from __future__ import annotations

from contextlib import suppress
from uuid import uuid4

import msgspec

from rotator.ports import Accepted, Duplicate, Fault, Refused, Rejected
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret
from rotator.rotation.token_names import mint_name
from rotator.testing.kit import Kit
from rotator.testing.recording_provider import words
from rotator.testing.verdict import BrokenRule, NotApplicable, must


async def capabilities(kit: Kit) -> None:
    """What the engine would do with these would leave something undone."""
    can, kind = kit.can, kit.kind
    cuts = kind.has_cutover(msgspec.convert(dict(kit.credential.options), kind.options))
    must(not (can.can_restore and not can.can_revoke), "restores, but does not revoke")
    must(can.overlap or not can.can_restore, "restores, but installing has written over the old value for good")
    must(
        not (kind.only_expires and can.can_revoke),
        "the kind says that tokens end by date alone, the provider that it revokes",
    )
    findable = can.can_list or can.needs_install or not can.can_revoke
    must(findable, "revokes, but does not list: a token whose answer was lost would live on, known to nobody")
    must(can.overlap or not can.can_list, "lists what shares one slot")
    must(cuts != can.overlap, "the kind's `cuts` and the provider's `overlap` contradict each other")


async def control(kit: Kit) -> None:
    """The site's own control refuses what accepts anybody, so here it must find nothing to refuse."""
    try:
        await kit.server.control(kit.credential)
    except Refused as fault:
        raise BrokenRule(fault.reason) from None


async def junk(kit: Kit) -> None:
    """A value that nobody ever made, for a token that nobody knows, and in place of one that is known."""
    tokens = [Token(kit.name(), kit.name())]
    with suppress(NotApplicable):
        tokens.append((await kit.fresh()).token)
    for token in tokens:
        verdict = await kit.refusal(token, Secret(f"{uuid4()}-{uuid4()}"))
        must(isinstance(verdict, Rejected), f"an invented value: {words(verdict)}")


async def proof(kit: Kit) -> None:
    """And again: a proof does not use the value up."""
    made = await kit.fresh()
    verdict = await kit.verdict(made)
    must(isinstance(verdict, Accepted), f"the second proof of the same value: {words(verdict)}")


async def others(kit: Kit) -> None:
    """Identity, not only validity; waiting will not mend it."""
    one = await kit.fresh()
    two = await kit.fresh("", one.token)
    verdict = await kit.provider.verify(one.token, two.secret)
    must(isinstance(verdict, Rejected), f"the value of another token: {words(verdict)}")
    must(isinstance(verdict, Rejected) and verdict.final, "rejected, but not for good: `final` is missing")


async def distinct(kit: Kit) -> None:
    """No value and no handle comes twice."""
    one = await kit.made()
    two = await kit.made("", one.token)
    must(not one.secret.matches(two.secret), "two mints made the same value")
    must(one.token.id != two.token.id, "two mints made tokens of one id")


async def found(kit: Kit) -> None:
    """By the mint name, exactly, and by what it begins with up to the end of a number."""
    stem = kit.stem()
    names = [mint_name(stem, 1, 1), mint_name(stem, 1, 12), mint_name(stem, 12, 1)]
    ids = {name: (await kit.fresh(name)).token.id for name in names}
    wanted = {names[0]: {names[0]}, f"{stem}-r1": set(names[:2]), f"{stem}-": set(names)}
    for prefix, expected in wanted.items():
        tokens = await kit.provider.find(prefix)
        seen = {token.id for token in tokens}
        missed = {ids[name] for name in expected} - seen
        must(not missed, f"find({prefix}) misses {len(missed)} of {len(expected)}")
        must(
            len(seen) == len(expected),
            f"find({prefix}) finds {len(seen)}, which is {len(seen) - len(expected)} too many",
        )
        must({token.name for token in tokens} == expected, f"find({prefix}) tells other names than were minted")


async def strangers(kit: Kit) -> None:
    """A name that was never minted finds nothing, whatever lives there."""
    await kit.fresh()
    must(await kit.provider.find(kit.name()) == (), "a name that was never minted finds something")


async def taken(kit: Kit) -> None:
    """A second mint of one name is told apart from the first, or refused as a duplicate."""
    first = await kit.fresh()
    try:
        second = await kit.made(first.token.name)
    except Duplicate:
        return
    except Fault as fault:
        raise BrokenRule(f"a taken name is refused as {type(fault).__name__}, not as Duplicate") from None
    must(not kit.can.takes_token_name, "declares takes_token_name, and minted one name twice")
    same = (first.token.id, first.token.serial) == (second.token.id, second.token.serial)
    must(not same, "the second mint of one name came back with the handle of the first")


async def unheard(kit: Kit) -> None:
    """The value is staged first; what the target knew before goes on until it is installed."""
    made = await kit.made()
    verdict = await kit.provider.verify(made.token, made.secret)
    must(isinstance(verdict, Rejected), f"minted, not installed: {words(verdict)}")


async def twice(kit: Kit) -> None:
    """Whoever resumes after a crash does it again."""
    made = await kit.made()
    once, again = await kit.installed(made), await kit.installed(made)
    same = (once.token.id, once.token.serial) == (again.token.id, again.token.serial)
    must(same, "installing it again came back with another handle")
    verdict = await kit.verdict(again)
    must(isinstance(verdict, Accepted), f"installed twice: {words(verdict)}")


async def overlap(kit: Kit) -> None:
    """What `overlap` says about the value before is so."""
    first = await kit.fresh()
    second = await kit.fresh("", first.token)
    if kit.can.overlap:
        verdict = await kit.provider.verify(first.token, first.secret)
        must(isinstance(verdict, Accepted), f"the value before, which should live on: {words(verdict)}")
        return
    verdict = await kit.refusal(first.token, first.secret)
    must(isinstance(verdict, Rejected), f"the value before, which was written over: {words(verdict)}")
    must(await kit.dead(first.token, kit.shown(first)) is not False, "the value that was written over is told to live")
    back = await kit.installed(first)
    verdict = await kit.verdict(back)
    must(isinstance(verdict, Accepted), f"put back after a failed rotation: {words(verdict)}")
    must(not second.secret.matches(first.secret), "two mints made the same value")
