"""Requests of operators, which are written to Vault before they are acknowledged."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from secrets import token_hex

import anyio

from rotator.app.composition import Actor
from rotator.engine.worker_pool import PendingRequest
from rotator.observe import logs
from rotator.ports import Fault, Refused, StoreRefused, Transient
from rotator.rotation.operator_request import OperatorRequest, Unclaimed
from rotator.rotation.rotation_request import as_rotation_request, live_at

AGAIN = 0.5  # seconds until a write without verdict is tried again
_AT_ONCE = 8  # credentials
ACCEPTED = "written down in Vault: it is answered whatever becomes of this process"


def new_id() -> str:
    """A unique id for a request."""
    return token_hex(8)


async def write_down(actor: Actor, name: str, request: OperatorRequest) -> OperatorRequest:
    """Write a request to Vault, with the values that live now.

    Raises Transient when the outcome is unknown: writing it again with the same id is safe.
    """
    request = replace(request, live=await _live(actor, name))
    await actor.requests.put(name, request)
    return request


async def _live(actor: Actor, name: str) -> tuple[str, ...]:
    try:
        return live_at((await actor.journal.load(name)).record)
    except StoreRefused:
        raise
    except Refused:  # unreadable: the reconcile that takes the request up reports it
        return ()


async def look_for_requests(actor: Actor) -> None:
    """Look for requests that other processes wrote, for single credentials and for all."""
    with actor.worker_pool.guard.asking_vault("requests"):
        actor.worker_pool.look_at(*await actor.requests.look())
        await give_up(actor)
    with actor.worker_pool.guard.asking_vault("pauses"):
        actor.observe(await actor.fleet.pauses())


async def unclaimed(actor: Actor) -> list[Unclaimed]:
    """Requests for credentials that left the settings. Raises Fault."""
    names = sorted(actor.requests.expected - actor.settings.credentials.keys())
    return [Unclaimed(name, each) for name in names for each in await actor.requests.waiting(name)]


async def give_up(actor: Actor) -> None:
    """Remove requests that will never be carried out, and log them; a copy only looks. Raises Fault."""
    if actor.settings.daemon.read_only:
        return
    for each in await unclaimed(actor):
        if each.until > actor.clock.now():
            continue
        said, unanswered = f"given up: {each.said}", None
        try:
            await actor.requests.remove(each.credential, each.request)
        except Transient as fault:  # it may be gone, and then nobody would find it again to tell
            unanswered = fault
        logs.tell("request.given_up", "error", credential=each.credential, by=each.request.by, said=said)
        await actor.record_fleet(actor.clock.now(), "request.given_up", each.request.by, f"{each.credential}: {said}")
        if unanswered:
            raise unanswered


@dataclass(slots=True)
class Asking:
    """Requests for the rotation of many credentials. `end`: monotonic seconds until which Vault is waited for."""

    actor: Actor
    request: OperatorRequest  # its id is the first part of each one's
    names: tuple[str, ...]
    end: float
    asked: dict[str, PendingRequest] = field(default_factory=dict)
    trouble: dict[str, str] = field(default_factory=dict)  # why one is not written yet
    failed: dict[str, Fault] = field(default_factory=dict)  # ... and was not in time
    over: anyio.Event = field(default_factory=anyio.Event)

    async def write(self) -> None:
        """Write all requests to Vault."""
        places = anyio.CapacityLimiter(_AT_ONCE)

        async def one(name: str) -> None:
            async with places:
                await self._one(name)

        try:
            async with anyio.create_task_group() as group:
                for name in self.names:
                    group.start_soon(one, name)
        finally:
            self.over.set()

    async def _one(self, name: str) -> None:
        clock = self.actor.clock
        while True:
            try:
                request = await write_down(self.actor, name, self.request)
            except Transient as fault:
                self.trouble[name] = fault.reason
                if clock.monotonic() + AGAIN >= self.end:
                    self.failed[name] = fault
                    if self.request.emergency and not self.actor.passing:
                        self.actor.tasks.begin("emergency", partial(self._late, name))
                    return
            except Fault as fault:
                self.failed[name] = fault
                return
            else:
                self.asked[name] = self._asked(name, request)
                self.trouble.pop(name, None)
                return
            await clock.sleep(AGAIN)

    def _asked(self, name: str, request: OperatorRequest) -> PendingRequest:
        ask, patient = as_rotation_request(request), request.patient or request.emergency
        return self.actor.worker_pool.ask(name, ask, patient=patient)

    async def _late(self, name: str) -> None:
        """After the caller has gone: a daemon goes on trying after a leak."""
        while name in self.actor.settings.credentials and not self.actor.worker_pool.stopping:
            with suppress(Transient):
                self._asked(name, await write_down(self.actor, name, self.request))
                return
            await self.actor.clock.sleep(AGAIN)
