"""Owns what must be true after a rotation that was killed anywhere, as rules; the first of them runs the campaign."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from weakref import WeakKeyDictionary

from rotator.conformance import killing
from rotator.conformance.killing import Campaign
from rotator.conformance.kit import Kit
from rotator.conformance.verdict import must

_SHOWN = 3  # of what broke one promise
_runs: WeakKeyDictionary[Kit, Campaign] = WeakKeyDictionary()


async def _campaign(kit: Kit) -> Campaign:
    if kit not in _runs:
        campaign = Campaign(kit)
        await campaign.run()
        _runs[kit] = campaign
    return _runs[kit]


def kept(promise: str) -> Callable[[Kit], Awaitable[None]]:
    """The check that nothing in the campaign broke this promise."""

    async def check(kit: Kit) -> None:
        seen = (await _campaign(kit)).broken[promise]
        must(not seen, "; ".join(seen[:_SHOWN]))

    return check


accepted = kept(killing.ACCEPTED)
one = kept(killing.ONE)
dead = kept(killing.DEAD)
settled = kept(killing.SETTLED)
budget = kept(killing.BUDGET)
