"""One hook's deliveries: what waits, the attempts, the pauses between them, and that a failure is seen.

How a delivery is made is command.py's and webhook.py's.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field

import anyio

from rotator.engine.reconciler import Transition
from rotator.observe.hooks.facts import Facts, gather, moments
from rotator.observe.logs import log
from rotator.ports import Clock, Fault
from rotator.settings import Hook, HookMoment

DELIVERED, FAILED, DROPPED = "delivered", "failed", "dropped"
OUTCOMES = (DELIVERED, FAILED, DROPPED)
_WAITING = 1000  # transitions; a receiver that is away for longer misses some
_LONGEST_PAUSE = 60.0  # seconds

Send = Callable[[Facts], Awaitable[None]]  # raises Fault when it was not taken
Count = Callable[[str, str], None]  # the hook's name and the outcome


@dataclass(slots=True)
class HookDelivery:
    """One hook's queue. `offer` never waits; `run` delivers one after the other, in order."""

    hook: Hook
    clock: Clock
    count: Count
    _waiting: deque[tuple[Transition, HookMoment]] = field(default_factory=deque)
    _news: anyio.Event = field(default_factory=anyio.Event)
    _busy: str | None = None  # the credential of the one under way
    _overflown: bool = False
    undelivered: Counter[str] = field(default_factory=Counter)  # deliveries that were given up, by credential

    @property
    def left(self) -> int:
        """How many are not delivered yet, the one under way included."""
        return len(self._waiting) + (self._busy is not None)

    def owes(self, names: Collection[str]) -> bool:
        """Whether something about one of these credentials is not delivered yet."""
        return self._busy in names or any(transition.credential.name in names for transition, _ in self._waiting)

    def offer(self, transition: Transition) -> None:
        """Take a transition, if the hook is for it. When too many wait, the new one is dropped, counted and told."""
        moment = _moment(self.hook, transition)
        if moment is None:
            return
        if len(self._waiting) >= _WAITING:
            self.count(self.hook.name, DROPPED)
            self.undelivered[transition.credential.name] += 1
            if not self._overflown:
                log.tell("hook.overflown", "error", hook=self.hook.name, waiting=_WAITING)
            self._overflown = True
            return
        self._overflown = False
        self._waiting.append((transition, moment))
        self._news.set()

    async def run(self, send: Send) -> None:
        """Deliver what comes. Never ends, and raises nothing a receiver could cause."""
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
        """Drop what is left, as the end is near; how many that were."""
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
                log.say("hook.delivered", **about, id=facts.id, attempts=attempt)
                return
            if attempt < self.hook.attempts:
                pause = min(max(2.0 ** (attempt - 1), asked), _LONGEST_PAUSE)
                log.say("hook.retried", **about, id=facts.id, attempt=attempt, said=said, again_in=pause)
                await self.clock.sleep(pause)
        self.count(self.hook.name, FAILED)
        self.undelivered[facts.credential] += 1
        log.tell("hook.failed", "error", **about, id=facts.id, attempts=self.hook.attempts, said=said)

    async def _attempt(self, facts: Facts, send: Send) -> tuple[str | None, float]:
        """Why it was not taken, None when it was, and the seconds the receiver wants to be left alone."""
        try:
            await send(facts)
        except Fault as fault:
            return fault.reason, fault.retry_after or 0.0
        except Exception as bug:  # noqa: BLE001 (whatever it is, no rotation may suffer for it)
            log.tell("hook.broken", "error", hook=self.hook.name, exc_info=bug)
            return f"a bug, the log has it: {type(bug).__name__}", 0.0
        return None, 0.0


def _moment(hook: Hook, transition: Transition) -> HookMoment | None:
    """What the transition is for this hook: the first that fits of those it is called on; None when it is not."""
    credential = transition.credential
    named = not hook.credentials or credential.name in hook.credentials
    if not named or any(credential.labels.get(key) != value for key, value in hook.labels.items()):
        return None
    found = moments(transition)
    return next((each for each in hook.on if each in found), None)
