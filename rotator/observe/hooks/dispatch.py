"""All hooks together: one observer that never waits, one worker each, and an end that does not take long."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial

import anyio

from rotator.engine.reconciler import Transition
from rotator.host.proxy import leaves_here
from rotator.observe.hooks import command, webhook
from rotator.observe.hooks.delivery import Count, HookDelivery
from rotator.observe.hooks.facts import Facts
from rotator.observe.logs import log
from rotator.ports import Clock, Refused
from rotator.providers.http.webhook_client import WebhookClient
from rotator.rotation.secret import Secret
from rotator.rotation.secret_ref import SecretRef
from rotator.settings import Hook, Ping
from rotator.settings.addresses import address
from rotator.settings.errors import WrongValueError

_LOOK = 0.05  # seconds

Fetch = Callable[[SecretRef], Awaitable[Secret]]


class Hooks:
    """An observer. What is offered while nobody runs it waits."""

    def __init__(self, hooks: Mapping[str, Hook], clock: Clock, count: Count) -> None:
        self._clock = clock
        self._couriers = [HookDelivery(each, clock, count) for each in hooks.values()]

    def __call__(self, transition: Transition) -> None:
        """Take note of a transition for those it concerns."""
        for delivery in self._couriers:
            delivery.offer(transition)

    def owing(self, names: Collection[str]) -> list[str]:
        """Hooks that are still to hear something of these credentials."""
        return sorted(each.hook.name for each in self._couriers if each.owes(names))

    def undelivered(self, names: Collection[str]) -> dict[str, int]:
        """How much of what concerns these credentials was given up, by hook, since the start."""
        return {each.hook.name: sum(each.undelivered[name] for name in names) for each in self._couriers}

    async def run(self, fetch: Fetch) -> None:
        """Deliver until cancelled. `fetch` finds a secret; it raises Fault with words when it cannot."""
        async with anyio.create_task_group() as group:
            for delivery in self._couriers:
                group.start_soon(self._serve, delivery, fetch)

    async def drain(self, seconds: float) -> None:
        """Wait until all is delivered, at most so long; what is left then is dropped, counted and told."""
        with anyio.move_on_after(seconds):
            while any(delivery.left for delivery in self._couriers):
                await self._clock.sleep(_LOOK)
        for delivery in self._couriers:
            if left := delivery.give_up():
                log.tell("hook.abandoned", "error", hook=delivery.hook.name, deliveries=left, said="the process ends")

    async def _serve(self, delivery: HookDelivery, fetch: Fetch) -> None:
        hook = delivery.hook
        if hook.command:
            await delivery.run(partial(command.run, hook.command, hook.timeout.total_seconds()))
            return
        box = WebhookClient(hook.ca_file, proxy=hook.proxy, fetch=fetch)
        try:
            await delivery.run(WebhookSender(hook, box, fetch, self._clock))
        finally:
            with anyio.CancelScope(shield=True):
                await box.aclose()


class WebhookSender:
    """How a webhook is sent."""

    def __init__(self, hook: Hook, box: WebhookClient, fetch: Fetch, clock: Clock) -> None:
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
        signature = webhook.headers(facts, await self._fetch(hook.secret), self._clock.now())
        await self._box.send("POST", where, hook.timeout.total_seconds(), facts.body, signature)


async def whereabouts(who: Hook | Ping, fetch: Fetch) -> str:
    """The address itself. Raises Refused when what a reference leads to is none that we will call."""
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
