"""What to do next: (record, now, ask) -> step, phase by phase."""

from __future__ import annotations

import pytest

from rotator.rotation.credential import Limits, Retirement
from rotator.rotation.decide import next_step
from rotator.rotation.record import Failure, HoldReason, Phase, Trigger
from rotator.rotation.schedule import FractionOfLife
from rotator.rotation.steps import (
    Burn,
    Condemn,
    Fence,
    Hold,
    Look,
    Mint,
    Publish,
    Request,
    Revoke,
    Sweep,
    Verify,
    Wait,
)
from tests.unit.rotation.builders import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    STEM,
    ask,
    credential,
    published,
    record,
    token,
)

NAME = f"{STEM}-r2-a1"
FAILURE = Failure("mint", "no answer", NOW)
SPENT = tuple(NOW - n * HOUR for n in range(6))
GONE = {"predecessor": None}
SETTLED, REQUESTED, STAGED, VERIFIED = Phase.SETTLED, Phase.REQUESTED, Phase.STAGED, Phase.VERIFIED
PUBLISHED, CONDEMNED, REJECTED, HELD = Phase.PUBLISHED, Phase.CONDEMNED, Phase.REJECTED, Phase.HELD
EMERGENCY = ask(NOW + SECOND, emergency=True)
BUDGET_SPENT = Hold(HoldReason.MINT_BUDGET, "6 mints in 24 h, 6 allowed; last: making a new value failed: no answer")

# record, time since NOW, ask, step
IDLE = {
    "settled and young: wait until it is due": (
        record(SETTLED),
        SECOND,
        None,
        Wait(NOW + 30 * DAY, "due at 2026-03-31 12:00:00Z"),
    ),
    "settled and due: request": (
        record(SETTLED),
        30 * DAY,
        None,
        Request(Trigger.AGED, "due since 2026-03-31 12:00:00Z"),
    ),
    "never published: request": (
        record(SETTLED, current=None),
        SECOND,
        None,
        Request(Trigger.MISSING, "nothing published yet"),
    ),
    "asked for: request in the name of who asked": (
        record(SETTLED),
        MINUTE,
        ask(NOW + SECOND),
        Request(Trigger.ASKED, "asked for by ada", "ada"),
    ),
    "asked for as an emergency: request without grace": (
        record(SETTLED),
        MINUTE,
        EMERGENCY,
        Request(Trigger.ASKED, "asked for by ada", "ada", emergency=True),
    ),
    "due, with an ask that is answered already: nobody asked for this one": (
        record(SETTLED),
        30 * DAY,
        ask(NOW, emergency=True),
        Request(Trigger.AGED, "due since 2026-03-31 12:00:00Z"),
    ),
    "settled with a full slot: sweep before anything else": (
        record(SETTLED, slot_full=True, strays=True, current=None),
        SECOND,
        ask(NOW + SECOND),
        Sweep(strays=True),
    ),
    "due with the day's mints spent: hold": (
        record(SETTLED, mints=SPENT, failure=FAILURE),
        SECOND,
        ask(NOW + SECOND),
        BUDGET_SPENT,
    ),
    "not due with the day's mints spent: wait": (
        record(SETTLED, mints=SPENT),
        SECOND,
        None,
        Wait(NOW + 30 * DAY, "due at 2026-03-31 12:00:00Z"),
    ),
    "due when the oldest mint is a day old: request": (
        record(SETTLED, mints=SPENT, current=None),
        19 * HOUR,
        None,
        Request(Trigger.MISSING, "nothing published yet"),
    ),
}

MINTING = {
    "requested a moment ago: mint under the journalled name": (record(REQUESTED), SECOND, None, Mint(NAME)),
    "a mint may be on its way: wait until the target has settled": (
        record(REQUESTED, uncertain=True),
        SECOND,
        None,
        Wait(NOW + 10 * SECOND, "a mint may still be on its way"),
    ),
    "the target has settled: look for the mint, with one more in hand": (
        record(REQUESTED, uncertain=True),
        10 * SECOND,
        None,
        Look(NAME, resend=True),
    ),
    "looking for the last mint of the rotation: nothing found means no further one": (
        record(REQUESTED, uncertain=True, sends=3),
        MINUTE,
        None,
        Look(NAME, resend=False),
    ),
    "looking for the last mint of the day: nothing found means no further one": (
        record(REQUESTED, uncertain=True, mints=SPENT),
        MINUTE,
        None,
        Look(NAME, resend=False),
    ),
    "uncertain without a time of sending: wait from now": (
        record(REQUESTED, uncertain=True, sent_at=None),
        MINUTE,
        None,
        Wait(NOW + 70 * SECOND, "a mint may still be on its way"),
    ),
    "rejected: burn, and try again": (record(REJECTED), SECOND, None, Burn(NAME, give_up=False)),
    "rejected for the third time: burn and give up": (
        record(REJECTED, sends=3),
        SECOND,
        None,
        Burn(NAME, give_up=True),
    ),
    "rejected with the day's mints spent: burn and give up": (
        record(REJECTED, mints=SPENT),
        SECOND,
        None,
        Burn(NAME, give_up=True),
    ),
}

PUBLISHING = {
    "staged: prove what Vault gives back": (record(STAGED), SECOND, None, Verify()),
    "proven a moment ago: publish over the journalled version": (
        record(VERIFIED),
        59 * SECOND,
        None,
        Publish(1, reprove=False),
    ),
    "proven too long ago: prove again while publishing": (record(VERIFIED), MINUTE, None, Publish(1, reprove=True)),
    "abandoned after it was verified: fence the consumer path": (
        record(VERIFIED, abandoned="refused after all"),
        SECOND,
        None,
        Fence(1),
    ),
}

RETIRING = {
    "published: the predecessor has its grace": (
        record(PUBLISHED),
        HOUR - SECOND,
        None,
        Wait(NOW + HOUR, "predecessor in grace"),
    ),
    "grace is over: judge": (record(PUBLISHED), HOUR, None, Condemn()),
    "an emergency knows no grace": (record(PUBLISHED, emergency=True), SECOND, None, Condemn()),
    "the first publication has no predecessor: sweep": (record(PUBLISHED, **GONE), SECOND, None, Sweep(strays=False)),
    "condemned: revoke": (record(CONDEMNED), SECOND, None, Revoke()),
    "condemned and dead: sweep, strays too": (record(CONDEMNED, strays=True, **GONE), SECOND, None, Sweep(strays=True)),
    "an ask does not cut grace short": (
        record(PUBLISHED),
        MINUTE,
        ask(NOW + SECOND),
        Wait(NOW + HOUR, "predecessor in grace"),
    ),
}

TABLE = IDLE | MINTING | PUBLISHING | RETIRING


@pytest.mark.parametrize(("known", "later", "wish", "step"), TABLE.values(), ids=TABLE)
def test_next_step(known, later, wish, step) -> None:
    assert next_step(credential(), known, NOW + later, wish) == step


def test_a_value_without_an_end_and_a_fraction_of_its_life_to_wait_for_is_never_due() -> None:
    endless = credential(schedule=FractionOfLife(0.5))
    assert next_step(endless, record(SETTLED), NOW + 900 * DAY) == Wait(None, "never due by its schedule")


def test_what_is_due_says_the_clock_that_all_hosts_have_in_common() -> None:
    behind = 30 * DAY - HOUR
    step = next_step(credential(), record(SETTLED), NOW + behind, None, NOW + 30 * DAY)
    assert step == Request(Trigger.AGED, "due since 2026-03-31 12:00:00Z")
    ahead = 30 * DAY + HOUR
    early = next_step(credential(), record(SETTLED), NOW + ahead, None, NOW + 30 * DAY - MINUTE)
    assert early == Wait(NOW + ahead + MINUTE, "due at 2026-03-31 12:00:00Z")


def test_a_vault_clock_far_ahead_does_not_rotate_short_lived_values_without_end() -> None:
    """They would all be held for spent mints, and stay so when the clock is right again."""
    current = published(1, NOW + 3 * HOUR, token=token(1, expires_at=NOW + HOUR))
    fresh = record(SETTLED, current=current)
    assert isinstance(next_step(credential(), fresh, NOW + MINUTE, None, NOW + 3 * HOUR + MINUTE), Wait)
    over = next_step(credential(), fresh, NOW + 2 * HOUR, None, NOW + 5 * HOUR)
    assert isinstance(over, Request)
    assert over.why is Trigger.EXPIRING


def test_a_hold_for_spent_mints_says_what_went_wrong_as_far_as_it_is_known() -> None:
    frozen = credential(limits=Limits(mints_per_day=0))
    hold = Hold(HoldReason.MINT_BUDGET, "0 mints in 24 h, 0 allowed")
    assert next_step(frozen, record(SETTLED, current=None), NOW) == hold


@pytest.mark.parametrize("sends", [1, 2, 3])
def test_a_rotation_never_has_more_attempts_than_its_limit(sends: int) -> None:
    one = credential(limits=Limits(mints_per_rotation=sends))
    step = next_step(one, record(REJECTED, sends=sends), NOW)
    assert step == Burn(NAME, give_up=True)


def test_new_settings_may_prolong_the_grace_that_was_promised_but_not_shorten_it() -> None:
    promised = record(PUBLISHED, grace_ends=NOW + HOUR)
    patient, hasty = (credential(retire=Retirement(after=after)) for after in (2 * HOUR, MINUTE))
    assert next_step(patient, promised, NOW + HOUR) == Wait(NOW + 2 * HOUR, "predecessor in grace")
    assert next_step(hasty, promised, NOW + MINUTE) == Wait(NOW + HOUR, "predecessor in grace")
    assert next_step(hasty, promised, NOW + HOUR) == Condemn()
