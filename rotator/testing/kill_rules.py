"""What must be true after a rotation that was killed anywhere, as rules; the first of them runs the campaign."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from weakref import WeakKeyDictionary

from rotator.testing import kill_campaign
from rotator.testing.kill_campaign import Campaign
from rotator.testing.kit import Kit
from rotator.testing.verdict import must

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


accepted = kept(kill_campaign.ACCEPTED)
one = kept(kill_campaign.ONE)
dead = kept(kill_campaign.DEAD)
settled = kept(kill_campaign.SETTLED)
budget = kept(kill_campaign.BUDGET)
