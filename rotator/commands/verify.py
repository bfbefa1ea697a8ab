"""`rotate verify`: show published values to their targets, without effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import anyio

from rotator.app.actor import Actor
from rotator.engine.guard import proof
from rotator.ports import Accepted, CannotPresent, Fault, Rejected, Transient
from rotator.rotation.credential import Credential
from rotator.rotation.lost_value import WORDS
from rotator.rotation.record import HoldReason, Phase, PublishedValue
from rotator.rotation.wording import when

_AT_ONCE = 4  # values at once; each target has its rate limit as well


class VerifyResult(StrEnum):
    """The verdict on a published value."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    MISSING = "missing"
    UNKNOWN = "unknown"
    UNPUBLISHED = "unpublished"


@dataclass(frozen=True, slots=True)
class ShownValue:
    """One credential and the verdict on its published value. `said`: a sentence for people."""

    credential: str
    answer: VerifyResult
    said: str
    held: bool = False  # held: nothing is done until a person decides
    token: str = ""  # the shown value's token


class ShowValues:
    """Shows published values, after the negative control of each way of proving."""

    def __init__(self, app: Actor) -> None:
        self._app = app
        self._controls: dict[tuple[str, str], Fault | None] = {}

    async def all(self, names: Sequence[str]) -> list[ShownValue]:
        """One answer for each name, in order."""
        found: dict[str, ShownValue] = {}
        places = anyio.CapacityLimiter(_AT_ONCE)

        async def one(name: str) -> None:
            async with places:
                found[name] = await self._one(name)

        async with anyio.create_task_group() as group:
            for name in names:
                group.start_soon(one, name)
        return [found[name] for name in names]

    async def _one(self, name: str) -> ShownValue:
        credential = self._app.settings.credentials[name]
        try:
            record = (await self._app.journal.load(name)).record
            if record is None or record.current is None:
                return ShownValue(name, VerifyResult.UNPUBLISHED, "nothing was published yet")
            answer, said = await self._shown(credential, record.current)
        except Fault as fault:
            return ShownValue(name, VerifyResult.UNKNOWN, f"not decided: {fault.reason}")
        held = record.phase is Phase.HELD
        said = f"{said}; held, see `rotate explain {name}`" if held else said
        return ShownValue(name, answer, said, held, record.current.token.id)

    async def _shown(self, credential: Credential, current: PublishedValue) -> tuple[VerifyResult, str]:
        app, what = self._app, f"{current.token.id}, published at {current.place} at {when(current.at)}"
        doc = await app.kv.read(current.place, strong=True)
        secret = doc.secret(current.key or credential.key)
        if secret is None or secret.fingerprint(app.installation.fingerprint_key) != current.fingerprint:
            reason = HoldReason.FOREIGN_WRITE if secret or doc.values else HoldReason.DELETED
            return VerifyResult.MISSING, f"{current.place} {WORDS[reason]}; consumers do not find {current.token.id}"
        await self._control(credential)
        dependencies = app.dependencies(credential)
        provider = (
            dependencies.provider if current.target == credential.target else dependencies.elsewhere(current.target)
        )
        if provider is None:
            return VerifyResult.UNKNOWN, f"{what}: the settings no longer have its target {current.target}"
        try:
            verdict = await provider.verify(current.token, secret)
        except CannotPresent as fault:
            return VerifyResult.UNKNOWN, f"{what}: it cannot be shown from here: {fault.reason}"
        if isinstance(verdict, Accepted):
            return VerifyResult.ACCEPTED, f"{what}: its target accepts it"
        if isinstance(verdict, Rejected):
            return VerifyResult.REFUSED, f"{what}: its target refuses it: {verdict.reason}"
        return VerifyResult.UNKNOWN, f"{what}: its target does not say: {verdict.reason}"

    async def _control(self, credential: Credential) -> None:
        """Run the negative control: a probe that accepts a broken secret proves nothing. Raises its fault."""
        way = (credential.target, proof(credential))
        if way not in self._controls:
            try:
                await self._app.server(credential).control(credential)
            except Transient:
                raise
            except Fault as fault:
                self._controls[way] = fault
            else:
                self._controls[way] = None
        if found := self._controls[way]:
            raise found
