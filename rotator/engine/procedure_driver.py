"""The driver of procedures: makes each call that one asks for, to Vault or to the target. It decides nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from rotator.engine.context import RotationContext
from rotator.ports import Document, Fault, Inspection, Minted, Outcome, Verdict
from rotator.rotation import events as ev
from rotator.rotation.ownership import TokenOwners
from rotator.rotation.procedures import calls, outcome
from rotator.rotation.record import Record, Token
from rotator.rotation.steps import Act

Result = TypeVar("Result")


async def perform(context: RotationContext, record: Record, step: Act) -> ev.Event:
    """Do a step. Raises Conflict if another process overtook us, MinterRefused if the target refuses our minter."""
    return await run(context, outcome(context.observed(), record, step))


async def run(context: RotationContext, procedure: calls.Procedure[Result]) -> Result:
    """Make the calls of a procedure one by one, and return its result. Raises what the procedure raises."""
    answer: object = None
    while True:
        try:
            call = procedure.send(answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # a generator's return value has no type here
        try:
            answer = await _MAKE[type(call)](context, call)
        except Fault as fault:
            answer = fault
        context.observed()


# --- Vault ----------------------------------------------------------------------------------------------------------


async def _read_consumer(context: RotationContext, call: calls.ReadConsumer) -> Document:
    doc = context.seen.consumer = await context.dependencies.store.read(call.place, strong=True)
    return doc


async def _read_path(context: RotationContext, call: calls.ReadPath) -> Document:
    return await context.dependencies.store.read(call.place, version=call.version, strong=call.strong)


async def _write_consumer(context: RotationContext, call: calls.WriteConsumer) -> int:
    return await context.dependencies.store.write(call.place, call.values, cas=call.cas)


async def _read_slot(context: RotationContext, call: calls.ReadSlot) -> Document:
    doc = context.seen.slot = await context.dependencies.store.read(context.dependencies.slot, strong=True)
    return doc


async def _write_slot(context: RotationContext, call: calls.WriteSlot) -> int:
    version = await context.dependencies.store.write(context.dependencies.slot, call.values, cas=call.cas)
    context.seen.slot = None  # later proofs must use what Vault returns
    return version


async def _destroy_slot(context: RotationContext, call: calls.DestroySlot) -> None:
    await context.dependencies.store.destroy(context.dependencies.slot, call.versions)


async def _draw_nonce(context: RotationContext, call: calls.DrawNonce) -> str:
    return context.dependencies.nonce()


async def _read_owners(context: RotationContext, call: calls.ReadOwners) -> TokenOwners:
    return await context.dependencies.owners()


async def _still_ours(context: RotationContext, call: calls.StillOurs) -> None:
    context.still_ours()


# --- the target -----------------------------------------------------------------------------------------------------


async def _mint_token(context: RotationContext, call: calls.MintToken) -> Minted:
    return await context.provider(call.target).mint(call.name, call.expires_at, call.keep)


async def _receive_value(context: RotationContext, call: calls.ReceiveValue) -> Minted:
    receiver, value = context.receiver(call.target), context.brought()
    return await receiver.receive(call.name, value, call.expires_at, call.keep)


async def _install_value(context: RotationContext, call: calls.InstallValue) -> Token:
    return await context.provider(call.target).install(call.minted)


async def _find_tokens(context: RotationContext, call: calls.FindTokens) -> tuple[Token, ...]:
    return await context.provider(call.target).find(call.prefix)


async def _verify_value(context: RotationContext, call: calls.VerifyValue) -> Verdict:
    return await context.provider(call.target).verify(call.token, call.secret)


async def _identify_value(context: RotationContext, call: calls.IdentifyValue) -> Token | None:
    return await context.identified(call.target, call.secret)


async def _inspect_token(context: RotationContext, call: calls.InspectToken) -> Inspection:
    return await context.provider(call.target).inspect(call.token)


async def _revoke_token(context: RotationContext, call: calls.RevokeToken) -> Outcome:
    return await context.provider(call.target).revoke(call.token, call.secret)


async def _restore_token(context: RotationContext, call: calls.RestoreToken) -> Outcome:
    return await context.provider(call.target).restore(call.token)


async def _prove_dead(context: RotationContext, call: calls.ProveDead) -> bool | None:
    return await context.provider(call.target).is_dead(call.token, call.secret)


_MAKE: dict[type[calls.Call[Any]], Callable[[RotationContext, Any], Awaitable[Any]]] = {
    calls.ReadConsumer: _read_consumer,
    calls.ReadPath: _read_path,
    calls.WriteConsumer: _write_consumer,
    calls.ReadSlot: _read_slot,
    calls.WriteSlot: _write_slot,
    calls.DestroySlot: _destroy_slot,
    calls.DrawNonce: _draw_nonce,
    calls.ReadOwners: _read_owners,
    calls.StillOurs: _still_ours,
    calls.MintToken: _mint_token,
    calls.ReceiveValue: _receive_value,
    calls.InstallValue: _install_value,
    calls.FindTokens: _find_tokens,
    calls.VerifyValue: _verify_value,
    calls.IdentifyValue: _identify_value,
    calls.InspectToken: _inspect_token,
    calls.RevokeToken: _revoke_token,
    calls.RestoreToken: _restore_token,
    calls.ProveDead: _prove_dead,
}
