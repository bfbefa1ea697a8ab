"""The rules: a token's life (declared, minted, proven, found, revoked, restored, expired), and faults.

Faults: calls that are given up, lost answers, texts that contain secrets.
"""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import perf_counter
from uuid import uuid4

import anyio

from rotator.ports import Accepted, Capabilities, Duplicate, Fault, Outcome, Refused, Rejected
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret
from rotator.rotation.token_names import mint_name
from rotator.testing.kit import TICK, BrokenRule, Kit, NotApplicable, must, words

_SHARES = (0.2, 0.4, 0.6, 0.8)  # shares of the time that the call takes undisturbed
_UNDER_WAY = 0.02  # seconds
_CALLS = 12  # more than a target is called at once
_OPEN = Path("/proc/self/fd")
_LOOKS = 40


async def capabilities(kit: Kit) -> None:
    """The declared capabilities do not contradict each other."""
    can, kind = kit.can, kit.kind
    cuts = kind.has_cutover(kit.credential.options)
    must(not (can.can_restore and not can.can_revoke), "restores, but does not revoke")
    must(can.overlap or not can.can_restore, "restores, but installing has written over the old value for good")
    must(
        not (kind.only_expires and can.revokes_by_handle),
        "the kind says that tokens end by date alone, the provider that it revokes",
    )
    must(can.can_revoke or not can.revokes_by_value, "revokes by a value, but does not revoke")
    must(can.revokes_by_value or not can.shared_grant, "says what ends with a value, but revokes none by its value")
    findable = can.can_list or can.needs_install or not can.revokes_by_handle
    must(findable, "revokes, but does not list: a token whose answer was lost would live on, known to nobody")
    must(can.overlap or not can.can_list, "lists what shares one slot")
    must(cuts != can.overlap, "the kind's `cuts` and the provider's `overlap` contradict each other")


async def control(kit: Kit) -> None:
    """The server's own control refuses a target that accepts anything; here it must pass."""
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
    """Repeated: a proof does not use the value up."""
    made = await kit.fresh()
    verdict = await kit.verdict(made)
    must(isinstance(verdict, Accepted), f"the second proof of the same value: {words(verdict)}")


async def others(kit: Kit) -> None:
    """A proof checks identity, not only validity; a wrong identity is final."""
    one = await kit.fresh()
    two = await kit.fresh("", one.token)
    verdict = await kit.provider.verify(one.token, two.secret)
    must(isinstance(verdict, Rejected), f"the value of another token: {words(verdict)}")
    must(isinstance(verdict, Rejected) and verdict.final, "rejected, but not for good: `final` is missing")


async def distinct(kit: Kit) -> None:
    """No value and no handle occurs twice."""
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
    """A second mint of one name is distinguishable from the first, or refused as a duplicate."""
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
    """The value is staged first; the old one works until it is installed."""
    made = await kit.made()
    verdict = await kit.provider.verify(made.token, made.secret)
    must(isinstance(verdict, Rejected), f"minted, not installed: {words(verdict)}")


async def twice(kit: Kit) -> None:
    """Installing twice is like installing once, as after a crash."""
    made = await kit.made()
    once, again = await kit.installed(made), await kit.installed(made)
    same = (once.token.id, once.token.serial) == (again.token.id, again.token.serial)
    must(same, "installing it again came back with another handle")
    verdict = await kit.verdict(again)
    must(isinstance(verdict, Accepted), f"installed twice: {words(verdict)}")


async def overlap(kit: Kit) -> None:
    """The value before is accepted or refused as `overlap` declares."""
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


async def refused_after(kit: Kit) -> None:
    """The proof is the target's own refusal, not the answer to the revocation."""
    made = await kit.fresh()
    await kit.revoke(made)
    if kit.can.old_is_safe_to_present:
        verdict = await kit.refusal(made.token, made.secret)
        must(isinstance(verdict, Rejected), f"after its revocation: {words(verdict)}")
    seen = await kit.provider.inspect(made.token)  # where the value is the only handle, it may know the date alone
    must(seen.revoked or not seen.exists or kit.can.revokes_by_value, "inspect tells of no revocation")


async def repeated(kit: Kit) -> None:
    """Revoking twice is no fault, as after a crash or in the sweep."""
    made = await kit.fresh()
    first = await kit.revoke(made)
    must(first is Outcome.DONE, f"the first revocation comes back as {first}")
    try:
        second = await kit.revoke(made)
        told = second is Outcome.ALREADY or kit.can.revokes_by_value  # RFC 7009: the same answer to any value
        must(told, f"the second revocation comes back as {second}")
        never = await kit.provider.revoke(Token(kit.name()))
        must(never is Outcome.ALREADY or _elusive(kit.can), f"revoking what never was comes back as {never}")
    except Refused as fault:
        must(_elusive(kit.can), f"revoking again is refused: {fault.reason}")


def _elusive(can: Capabilities) -> bool:
    """Whether a target that ends its tokens may refuse a handle that it does not have."""
    return can.needs_install or can.revokes_by_value


async def alone(kit: Kit) -> None:
    """A revocation ends one token."""
    one = await kit.fresh()
    two = await kit.fresh("", one.token)
    await kit.revoke(one)
    verdict = await kit.provider.verify(two.token, two.secret)
    must(isinstance(verdict, Accepted), f"revoking another token left this one: {words(verdict)}")


async def living(kit: Kit) -> None:
    """A living token is not reported dead: a predecessor that seems dead is never checked again."""
    made = await kit.fresh()
    must(await kit.provider.is_dead(made.token, made.secret) is not True, "told dead with its value, and is accepted")
    if kit.can.overlap:  # otherwise only overwritten values are asked about
        must(await kit.provider.is_dead(made.token, None) is not True, "told dead without its value, and is accepted")
    must((await kit.provider.inspect(made.token)).exists, "inspect does not know what is accepted")


async def dead(kit: Kit) -> None:
    """A revoked token is reported dead, with its value (retirement) and without (after a failed attempt)."""
    made = await kit.fresh()
    await kit.revoke(made)
    must(await kit.dead(made.token, kit.shown(made)) is True, "with its value, it is not told dead")
    if kit.can.revokes_by_value:
        return
    must(await kit.dead(made.token, None) is True, "without its value, it is not told dead")


async def unfound(kit: Kit) -> None:
    """A revoked token is not found any more."""
    made = await kit.fresh()
    await kit.revoke(made)
    must(await kit.provider.find(made.token.name) == (), "find still tells of a token that was revoked")


async def restored(kit: Kit) -> None:
    """A revocation is taken back completely, or refused, as declared."""
    made = await kit.fresh()
    if not kit.can.can_restore:
        try:
            await kit.provider.restore(made.token)
        except Refused:
            return
        raise BrokenRule("restoring is not declared, and not refused either")
    must(await kit.provider.restore(made.token) is Outcome.ALREADY, "restoring what lives is not ALREADY")
    await kit.revoke(made)
    must(await kit.provider.restore(made.token) is Outcome.DONE, "restoring what was revoked is not DONE")
    verdict = await kit.verdict(made)
    must(isinstance(verdict, Accepted), f"after its restoration: {words(verdict)}")


async def dated(kit: Kit) -> None:
    """The expiry is the target's, and after it the value is refused."""
    made = await kit.fresh()
    told = (await kit.provider.inspect(made.token)).expires_at
    must(told is not None, "inspect tells no date: the engine could not say when the predecessor ends")
    await kit.pass_by(made.token)
    must(await kit.at_last(made.token, kit.shown(made)) is True, "after its date it is not told dead")
    verdict = await kit.provider.verify(made.token, made.secret)
    must(isinstance(verdict, Rejected), f"after its date: {words(verdict)}")


async def unended(kit: Kit) -> None:
    """A token that cannot be revoked is not reported as ended."""
    made = await kit.fresh()
    try:
        outcome = await kit.revoke(made)
    except Refused:
        outcome = None
    verdict = await kit.provider.verify(made.token, made.secret)
    must(outcome is None or isinstance(verdict, Rejected), f"revoked ({outcome}), and accepted")


async def given_up(call: Callable[[], Awaitable[object]], seconds: float) -> bool:
    """Cancel a call after this time, like a lost answer. Returns whether it was answered before."""
    with anyio.move_on_after(seconds):
        try:
            await call()
        except (Fault, NotApplicable):
            return False
        return True
    await anyio.sleep(max(seconds, _UNDER_WAY))  # real time: requests on their way may arrive
    return False


async def _takes(call: Callable[[], Awaitable[object]]) -> float:
    began = perf_counter()
    await call()
    return perf_counter() - began


async def lost(kit: Kit) -> None:
    """After a mint without an answer, what is on the target is found by its name, and nothing else is there."""
    took = await _takes(kit.made)
    known = await _census(kit)
    names = {}
    for share in _SHARES:
        name = kit.name()
        names[name] = await given_up(partial(kit.made, name), took * share)
    await kit.clock.sleep(kit.settle)
    found = {name: len(await kit.provider.find(name)) for name in names}
    for name, answered in names.items():
        must(found[name] <= 1, f"one mint under {name} left {found[name]} tokens")
        must(found[name] == 1 or not answered, f"{name} was minted, and is not found")
    lives = await _census(kit)
    if known is not None and lives is not None:
        strays = lives - known - sum(found.values())
        must(strays <= 0, f"{strays} of {len(names)} mints without an answer live on, and are not found by name")
    for name, number in found.items():
        if number == 0:
            await _again(kit, name)


async def _again(kit: Kit, name: str) -> None:
    """Mint again under a name that finds nothing."""
    try:
        await kit.made(name)
    except Duplicate:
        must(bool(await kit.provider.find(name)), f"{name} is taken, and finds nothing")


async def _census(kit: Kit) -> int | None:
    held = await kit.server.inventory()
    return None if held is None else len(held)


async def resumed(kit: Kit) -> None:
    """An effect that was given up half-way is completed by repeating it."""
    for share in _SHARES:
        made = await kit.made()
        if kit.can.needs_install:
            await kit.clock.sleep(TICK)
            took = await _takes(partial(kit.provider.install, made))
            await kit.clock.sleep(TICK)
            made = await kit.made("", made.token)
            await given_up(partial(kit.provider.install, made), took * share)
            made = await kit.installed(made)
        verdict = await kit.verdict(made)
        must(isinstance(verdict, Accepted), f"installed again after an answer was lost: {words(verdict)}")
        if kit.can.can_revoke and kit.can.overlap:
            took = await _takes(partial(kit.provider.inspect, made.token))
            await given_up(partial(kit.revoke, made), took * share)
            await kit.revoke(made)
            known = kit.shown(made) if kit.can.revokes_by_value else None
            must(await kit.dead(made.token, known) is True, "revoked again after an answer was lost: it is not dead")
        await kit.clear()
        await kit.clock.sleep(kit.rest)


async def tireless(kit: Kit) -> None:
    """Calls that were given up do not block the next one."""
    made = await kit.fresh()
    took = await _takes(partial(kit.provider.verify, made.token, made.secret))
    for number in range(_CALLS):
        await given_up(partial(kit.provider.verify, made.token, made.secret), took * _SHARES[number % len(_SHARES)])
    verdict = await kit.verdict(made)
    must(isinstance(verdict, Accepted), f"after {_CALLS} proofs that were given up: {words(verdict)}")


async def closed(kit: Kit) -> None:
    """A target that was opened, called, cancelled and closed leaves no connection."""
    if not _files():
        raise NotApplicable("this system does not list open files")
    made = await kit.fresh()
    before = _files()
    server = kit.reopen()
    provider = kit.kind.bind(server, kit.credential)
    took = await _takes(partial(provider.verify, made.token, made.secret))
    for share in _SHARES:
        await given_up(partial(provider.verify, made.token, made.secret), took * share)
    await server.aclose()
    if server is not kit.server:
        left = await _dwindled(before)
        must(left <= 0, f"{left} files are still open after the target was closed")


def _files() -> int:
    """How many files this process has open; 0 where that is unknown."""
    return len(list(_OPEN.iterdir())) if _OPEN.is_dir() else 0


async def _dwindled(before: int) -> int:
    """How many more files are open than before, once the other ends of connections (perhaps ours) are closed."""
    for _ in range(_LOOKS):
        gc.collect()
        if _files() <= before:
            break
        await anyio.sleep(0.02)  # real time, as for sockets
    return _files() - before


async def discreet(kit: Kit) -> None:
    """No text of the provider contains a value. This rule is last, after most texts."""
    quoted = kit.memory.quoted(kit.memory.said)
    must(quoted == 0, f"{quoted} of {len(kit.memory.said)} sentences quote a secret")
