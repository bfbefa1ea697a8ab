"""Hooks: transitions are delivered to programs and addresses; and the dead-man ping.

A hook hears of a transition at most once, with retries, and not at all when the process dies first: Vault and the
receipts are the truth. No hook can disturb a rotation: each has a queue and a worker of its own, and the observer never
waits. The ping is called while /healthz says that all is well, so that its silence raises an alarm. `rotate check`
learns here whether both can be called.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import anyio

from rotator.engine.reconciler import Transition
from rotator.host.proxy import leaves_here
from rotator.observe import logs
from rotator.observe.hooks import senders
from rotator.observe.hooks.facts import Facts, gather, moments
from rotator.ports import Clock, Fault, Refused
from rotator.providers.http.hook_client import HookClient
from rotator.rotation.secret import Secret, SecretRef
from rotator.settings import Hook, HookMoment, Ping, Settings
from rotator.settings.addresses import address
from rotator.settings.parsers import WrongValueError
from rotator.settings.sections import PING

DELIVERED, FAILED, DROPPED = "delivered", "failed", "dropped"
OUTCOMES = (DELIVERED, FAILED, DROPPED)
_WAITING = 1000  # transitions in a queue; a receiver that is away for longer misses some
_LONGEST_PAUSE = 60.0  # seconds
Send = Callable[[Facts], Awaitable[None]]  # raises Fault when the delivery failed
Count = Callable[[str, str], None]  # the hook's name and the outcome
_LOOK = 0.05  # seconds
Fetch = Callable[[SecretRef], Awaitable[Secret]]
WITHHELD = "withheld"
_DEADLINE = 10.0  # seconds
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class HookDelivery:
    """One hook's queue. `offer` never waits; `run` delivers in order, one at a time."""

    hook: Hook
    clock: Clock
    count: Count
    _waiting: deque[tuple[Transition, HookMoment]] = field(default_factory=deque)
    _news: anyio.Event = field(default_factory=anyio.Event)
    _busy: str | None = None  # the credential of the delivery under way
    _overflown: bool = False
    undelivered: Counter[str] = field(default_factory=Counter)  # deliveries that were given up, by credential

    @property
    def left(self) -> int:
        """How many deliveries are not done, including the one under way."""
        return len(self._waiting) + (self._busy is not None)

    def owes(self, names: Collection[str]) -> bool:
        """Whether a delivery about one of these credentials is not done."""
        return self._busy in names or any(transition.credential.name in names for transition, _ in self._waiting)

    def offer(self, transition: Transition) -> None:
        """Queue a transition if the hook is for it. When too many wait, it is dropped, counted and logged."""
        moment = _moment(self.hook, transition)
        if moment is None:
            return
        if len(self._waiting) >= _WAITING:
            self.count(self.hook.name, DROPPED)
            self.undelivered[transition.credential.name] += 1
            if not self._overflown:
                logs.tell("hook.overflown", "error", hook=self.hook.name, waiting=_WAITING)
            self._overflown = True
            return
        self._overflown = False
        self._waiting.append((transition, moment))
        self._news.set()

    async def run(self, send: Send) -> None:
        """Deliver what is queued. Never ends, and raises no fault of a receiver."""
        while True:
            while self._waiting:
                transition, moment = self._waiting.popleft()
                self._busy = transition.credential.name
                try:
                    await self._deliver(gather(transition, moment), send)
                finally:
                    self._busy = None
            self._news = anyio.Event()
            await self._news.wait()

    def give_up(self) -> int:
        """Drop the rest, at the end of the process. Returns how many."""
        left = self.left
        for _ in range(left):
            self.count(self.hook.name, DROPPED)
        self._waiting.clear()
        return left

    async def _deliver(self, facts: Facts, send: Send) -> None:
        about = {"hook": self.hook.name, "credential": facts.credential, "moment": facts.moment.value}
        for attempt in range(1, self.hook.attempts + 1):
            said, asked = await self._attempt(facts, send)
            if said is None:
                self.count(self.hook.name, DELIVERED)
                logs.say("hook.delivered", **about, id=facts.id, attempts=attempt)
                return
            if attempt < self.hook.attempts:
                pause = min(max(2.0 ** (attempt - 1), asked), _LONGEST_PAUSE)
                logs.say("hook.retried", **about, id=facts.id, attempt=attempt, said=said, again_in=pause)
                await self.clock.sleep(pause)
        self.count(self.hook.name, FAILED)
        self.undelivered[facts.credential] += 1
        logs.tell("hook.failed", "error", **about, id=facts.id, attempts=self.hook.attempts, said=said)

    async def _attempt(self, facts: Facts, send: Send) -> tuple[str | None, float]:
        """One attempt. Returns why it failed, None when it did not, and the pause that the receiver asks for."""
        try:
            await send(facts)
        except Fault as fault:
            return fault.reason, fault.retry_after or 0.0
        except Exception as bug:  # noqa: BLE001 (whatever it is, no rotation may suffer for it)
            logs.tell("hook.broken", "error", hook=self.hook.name, exc_info=bug)
            return f"a bug, the log has it: {type(bug).__name__}", 0.0
        return None, 0.0


def _moment(hook: Hook, transition: Transition) -> HookMoment | None:
    """The first of the hook's moments that the transition means; None when there is none."""
    credential = transition.credential
    named = not hook.credentials or credential.name in hook.credentials
    if not named or any(credential.labels.get(key) != value for key, value in hook.labels.items()):
        return None
    found = moments(transition)
    return next((each for each in hook.on if each in found), None)


class Hooks:
    """All hooks, as one observer. Transitions wait until `run` is started."""

    def __init__(self, hooks: Mapping[str, Hook], clock: Clock, count: Count) -> None:
        self._clock = clock
        self._couriers = [HookDelivery(each, clock, count) for each in hooks.values()]

    def __call__(self, transition: Transition) -> None:
        """Queue a transition for the hooks that it concerns."""
        for delivery in self._couriers:
            delivery.offer(transition)

    def owing(self, names: Collection[str]) -> list[str]:
        """Hooks with deliveries about these credentials that are not done."""
        return sorted(each.hook.name for each in self._couriers if each.owes(names))

    def undelivered(self, names: Collection[str]) -> dict[str, int]:
        """How many deliveries about these credentials were given up since the start, by hook."""
        return {each.hook.name: sum(each.undelivered[name] for name in names) for each in self._couriers}

    async def run(self, fetch: Fetch) -> None:
        """Deliver until cancelled. `fetch` finds a secret; it raises Fault with words when it cannot."""
        async with anyio.create_task_group() as group:
            for delivery in self._couriers:
                group.start_soon(self._serve, delivery, fetch)

    async def drain(self, seconds: float) -> None:
        """Wait until all is delivered, for this many seconds at most; the rest is dropped, counted and logged."""
        with anyio.move_on_after(seconds):
            while any(delivery.left for delivery in self._couriers):
                await self._clock.sleep(_LOOK)
        for delivery in self._couriers:
            if left := delivery.give_up():
                logs.tell("hook.abandoned", "error", hook=delivery.hook.name, deliveries=left, said="the process ends")

    async def _serve(self, delivery: HookDelivery, fetch: Fetch) -> None:
        hook = delivery.hook
        if hook.command:
            await delivery.run(partial(senders.run, hook.command, hook.timeout.total_seconds()))
            return
        box = HookClient(fetch, hook.ca_file, proxy=hook.proxy)
        try:
            await delivery.run(WebhookSender(hook, box, fetch, self._clock))
        finally:
            with anyio.CancelScope(shield=True):
                await box.aclose()


class WebhookSender:
    """Sends webhooks."""

    def __init__(self, hook: Hook, box: HookClient, fetch: Fetch, clock: Clock) -> None:
        self._hook = hook
        self._box = box
        self._fetch = fetch
        self._clock = clock

    async def __call__(self, facts: Facts) -> None:
        """One attempt. Raises Fault."""
        hook = self._hook
        if hook.secret is None:
            raise Refused("no secret to sign with")
        where = await whereabouts(hook, self._fetch)
        signature = senders.headers(facts, await self._fetch(hook.secret), self._clock.now())
        await self._box.send("POST", where, hook.timeout.total_seconds(), facts.body, signature)


async def whereabouts(who: Hook | Ping, fetch: Fetch) -> str:
    """The address of a hook or ping. Raises Refused when a reference leads to an address that is not accepted."""
    if isinstance(who.url, str):
        return who.url
    found = (await fetch(who.url)).reveal()
    try:
        address(found.partition("?")[0]).over(who.allow_insecure_http)
    except WrongValueError as wrong:
        raise Refused(f"the address kept at {who.url} {wrong}") from None
    if leaves_here(found, who.proxy) and not who.allow_insecure_http:
        raise Refused(f"the address kept at {who.url} is plain http to this host, and {who.proxy} is elsewhere")
    return found


class Heartbeat:
    """The dead-man ping to one address. A trouble is logged once, and its end once. `unwell`: why the fleet is not
    healthy, or empty.
    """

    def __init__(self, ping: Ping, unwell: Callable[[], str], count: Count, box: HookClient | None = None) -> None:
        self._ping = ping
        self._unwell = unwell
        self._count = count
        self._fetch: Fetch | None = None  # of the latest call: Vault's session may have changed since
        self._box = box or HookClient(self._fetched, ping.ca_file, proxy=ping.proxy)
        self._said = ""

    async def beat(self, fetch: Fetch) -> None:
        """Call the address, or log why not. Raises no fault of the receiver."""
        if reason := self._unwell():
            self._note(WITHHELD, reason)
            return
        try:
            await self._call(fetch)
        except Fault as fault:
            self._note(FAILED, fault.reason)
        else:
            self._note(DELIVERED, "")

    async def aclose(self) -> None:
        """Close the connection."""
        await self._box.aclose()

    async def _call(self, fetch: Fetch) -> None:
        self._fetch = fetch
        where = await whereabouts(self._ping, fetch)
        await self._box.send("GET", where, min(_DEADLINE, self._ping.every.total_seconds()))

    async def _fetched(self, ref: SecretRef) -> Secret:
        assert self._fetch is not None
        return await self._fetch(ref)

    def _note(self, outcome: str, said: str) -> None:
        self._count(PING, outcome)
        state = outcome if said else ""
        if state == self._said:
            return
        self._said = state
        if state:
            logs.warn(f"ping.{outcome}", said=said)
        else:
            logs.say("ping.resumed")


async def check_hooks(settings: Settings, fetch: Fetch) -> AsyncIterator[tuple[str, str]]:
    """Whether each hook and the ping could be called: name, and what is wrong or "". Calls nobody and runs nothing."""
    for hook in settings.hooks.values():
        yield f"hook {hook.name}", await _fault_of(hook, fetch)
    if ping := settings.ping:
        try:
            await whereabouts(ping, fetch)
        except Fault as fault:
            yield "ping", fault.reason
        else:
            yield "ping", ""


async def _fault_of(hook: Hook, fetch: Fetch) -> str:
    try:
        if hook.command:
            _startable(hook.command[0])
        elif hook.secret:
            await whereabouts(hook, fetch)
            senders.headers(Facts("", "", hook.on[0], b""), await fetch(hook.secret), _EPOCH)
    except Fault as fault:
        return fault.reason
    return ""


def _startable(program: str) -> None:
    if not Path(program).is_file():
        raise Refused(f"{program} is no file here")
    if not os.access(program, os.X_OK):
        raise Refused(f"{program} may not be executed by us")
