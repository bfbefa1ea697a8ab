"""The dead-man ping: an address is called while all is well, so that its silence alarms somebody.

Whether all is well is fleet's to say; it is what /healthz says.
"""

from __future__ import annotations

from collections.abc import Callable

from rotator.observe.hooks.delivery import DELIVERED, FAILED, Count
from rotator.observe.hooks.dispatch import Fetch, whereabouts
from rotator.observe.logs import log
from rotator.ports import Fault
from rotator.providers.http.webhook_client import WebhookClient
from rotator.rotation.secret import Secret
from rotator.rotation.secret_ref import SecretRef
from rotator.settings import Ping
from rotator.settings.observers import PING

WITHHELD = "withheld"
_DEADLINE = 10.0  # seconds


class Heartbeat:
    """One address. A trouble is told once, and once when it is over. `unwell`: why all is not well, or empty."""

    def __init__(self, ping: Ping, unwell: Callable[[], str], count: Count, box: WebhookClient | None = None) -> None:
        self._ping = ping
        self._unwell = unwell
        self._count = count
        self._fetch: Fetch | None = None  # of the latest call: Vault's session may be another since
        self._box = box or WebhookClient(ping.ca_file, proxy=ping.proxy, fetch=self._fetched)
        self._said = ""

    async def beat(self, fetch: Fetch) -> None:
        """Call, or say why not. Raises nothing that the receiver could cause."""
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
            log.warn(f"ping.{outcome}", said=said)
        else:
            log.say("ping.resumed")
