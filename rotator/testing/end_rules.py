"""The rules about ends: revoked, restored, expired, and what is told of the dead and the living."""

from __future__ import annotations

from rotator.ports import Accepted, Outcome, Refused, Rejected
from rotator.rotation.record import Token
from rotator.testing.kit import Kit
from rotator.testing.recording_provider import words
from rotator.testing.verdict import BrokenRule, must


async def refused_after(kit: Kit) -> None:
    """The proof is the target's own refusal, not the answer to the revocation."""
    made = await kit.fresh()
    await kit.provider.revoke(made.token)
    if kit.can.old_is_safe_to_present:
        verdict = await kit.refusal(made.token, made.secret)
        must(isinstance(verdict, Rejected), f"after its revocation: {words(verdict)}")
    seen = await kit.provider.inspect(made.token)
    must(seen.revoked or not seen.exists, "inspect tells of no revocation")


async def repeated(kit: Kit) -> None:
    """Whoever resumes after a crash revokes again, and so does the sweep of what is long gone."""
    made = await kit.fresh()
    first = await kit.provider.revoke(made.token)
    must(first is Outcome.DONE, f"the first revocation comes back as {first}")
    try:
        second = await kit.provider.revoke(made.token)
        must(second is Outcome.ALREADY, f"the second revocation comes back as {second}")
        never = await kit.provider.revoke(Token(kit.name()))
        must(never is Outcome.ALREADY or kit.can.needs_install, f"revoking what never was comes back as {never}")
    except Refused as fault:
        must(kit.can.needs_install, f"revoking again is refused: {fault.reason}")


async def alone(kit: Kit) -> None:
    """A revocation ends one token."""
    one = await kit.fresh()
    two = await kit.fresh("", one.token)
    await kit.provider.revoke(one.token)
    verdict = await kit.provider.verify(two.token, two.secret)
    must(isinstance(verdict, Accepted), f"revoking another token left this one: {words(verdict)}")


async def living(kit: Kit) -> None:
    """A predecessor that is told dead too early is never looked at again."""
    made = await kit.fresh()
    must(await kit.provider.is_dead(made.token, made.secret) is not True, "told dead with its value, and is accepted")
    if kit.can.overlap:  # else only what was written over is asked about
        must(await kit.provider.is_dead(made.token, None) is not True, "told dead without its value, and is accepted")
    must((await kit.provider.inspect(made.token)).exists, "inspect does not know what is accepted")


async def dead(kit: Kit) -> None:
    """Retirement ends with it, and clearing up after a failed attempt has no value to show."""
    made = await kit.fresh()
    await kit.provider.revoke(made.token)
    must(await kit.dead(made.token, kit.shown(made)) is True, "with its value, it is not told dead")
    must(await kit.dead(made.token, None) is True, "without its value, it is not told dead")


async def unfound(kit: Kit) -> None:
    """What is revoked is no stray."""
    made = await kit.fresh()
    await kit.provider.revoke(made.token)
    must(await kit.provider.find(made.token.name) == (), "find still tells of a token that was revoked")


async def restored(kit: Kit) -> None:
    """As declared: taken back whole, or refused."""
    made = await kit.fresh()
    if not kit.can.can_restore:
        try:
            await kit.provider.restore(made.token)
        except Refused:
            return
        raise BrokenRule("restoring is not declared, and not refused either")
    must(await kit.provider.restore(made.token) is Outcome.ALREADY, "restoring what lives is not ALREADY")
    await kit.provider.revoke(made.token)
    must(await kit.provider.restore(made.token) is Outcome.DONE, "restoring what was revoked is not DONE")
    verdict = await kit.verdict(made)
    must(isinstance(verdict, Accepted), f"after its restoration: {words(verdict)}")


async def dated(kit: Kit) -> None:
    """The date is the target's, and after it nothing accepts the value."""
    made = await kit.fresh()
    told = (await kit.provider.inspect(made.token)).expires_at
    must(told is not None, "inspect tells no date: the engine could not say when the predecessor ends")
    await kit.pass_by(made.token)
    must(await kit.at_last(made.token, kit.shown(made)) is True, "after its date it is not told dead")
    verdict = await kit.provider.verify(made.token, made.secret)
    must(isinstance(verdict, Rejected), f"after its date: {words(verdict)}")


async def unended(kit: Kit) -> None:
    """What nobody can end must not be said to have ended."""
    made = await kit.fresh()
    try:
        outcome = await kit.provider.revoke(made.token)
    except Refused:
        outcome = None
    verdict = await kit.provider.verify(made.token, made.secret)
    must(outcome is None or isinstance(verdict, Rejected), f"revoked ({outcome}), and accepted")
