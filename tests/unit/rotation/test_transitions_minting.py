"""How the first half of a rotation changes a record: requested, minted or not, burned, given up."""

from __future__ import annotations

from typing import Any

import pytest

from rotator.rotation import events as ev
from rotator.rotation import schedule
from rotator.rotation.record import Failure, Phase, Record, Trigger
from tests.kit.records import replace
from tests.unit.rotation.builders import DAY, MINUTE, NOW, PLACE, STEM, candidate, changes, record

AT = NOW + MINUTE
SETTLED, REQUESTED, STAGED, VERIFIED = Phase.SETTLED, Phase.REQUESTED, Phase.STAGED, Phase.VERIFIED
PUBLISHED, CONDEMNED, REJECTED, HELD = Phase.PUBLISHED, Phase.CONDEMNED, Phase.REJECTED, Phase.HELD
PAUSED = {"retry_at": NOW, "failures": 2, "failure": Failure("verify", "no answer", NOW)}
RESEND = {"sent_at": AT, "mints": (NOW, AT), "sends": 2}

begun = ev.Requested(AT, Trigger.AGED, "due", "ada", True, STEM, PLACE, "blog", "1:new")


def failed(step: str, reason: str) -> Failure:
    return Failure(step, reason, AT)


def given_up(rotations: int) -> dict[str, Any]:
    return {
        "phase": SETTLED,
        "emergency": False,
        "given_up": rotations,
        "retry_at": AT + schedule.rotation_pause(rotations, STEM),
        "retry_from": AT,
        "settled_at": AT,
    }


# record, event, the fields that are different afterwards
TABLE: dict[str, tuple[Record, ev.Event, dict[str, Any]]] = {
    "requested: a new rotation, one mint authorised, the last rotation's traces gone": (
        record(
            SETTLED,
            **PAUSED,
            attempt=3,
            evidence="quiet",
        ),
        begun,
        {
            "phase": REQUESTED,
            "rotation": 2,
            "attempt": 1,
            "why": Trigger.AGED,
            "asked_by": "ada",
            "emergency": True,
            "policy": "1:new",
            "requested_at": AT,
            "sends": 1,
            "sent_at": AT,
            "emergency_mints": (AT,),
            "evidence": "",
            "retry_at": None,
        },
    ),
    "requested: mints that count no longer are forgotten, later ones are not": (
        record(SETTLED, mints=(AT - DAY, AT - DAY + MINUTE), emergency_mints=(AT - DAY,)),
        replace(begun, asked_by="", emergency=False, policy=record(SETTLED).policy, since=AT - DAY),
        {
            "phase": REQUESTED,
            "rotation": 2,
            "why": Trigger.AGED,
            "requested_at": AT,
            "sends": 1,
            "sent_at": AT,
            "mints": (AT - DAY + MINUTE, AT),
            "emergency_mints": (),
        },
    ),
    "requested over a greater number on the consumer path: ours is greater still": (
        record(SETTLED),
        replace(begun, above=41, asked_by="", emergency=False, policy=record(SETTLED).policy),
        {
            "phase": REQUESTED,
            "rotation": 42,
            "why": Trigger.AGED,
            "requested_at": AT,
            "sends": 1,
            "sent_at": AT,
            "mints": (AT,),
        },
    ),
    "staged: the candidate is durable, what was in doubt is not any more": (
        record(REQUESTED, uncertain=True, retry_at=NOW),
        ev.Staged(AT, candidate()),
        {
            "phase": STAGED,
            "candidate": candidate(),
            "slot_version": 2,
            "slot_full": True,
            "retry_at": None,
        },
    ),
    "a lost mint is rejected, and leaves something to sweep": (
        record(REQUESTED, uncertain=True),
        ev.MintLost(AT, "no secret"),
        {
            "phase": REJECTED,
            "failure": failed("mint", "no secret"),
            "slot_full": True,
            "strays": True,
        },
    ),
    "not minted, with a mint in hand: another is authorised under the same name": (
        record(REQUESTED, uncertain=True, retry_at=NOW),
        ev.NotMinted(AT, resend=True),
        RESEND | {"uncertain": False, "strays": True, "retry_at": None},
    ),
    "not minted, with no mint left: rejected": (
        record(REQUESTED, uncertain=True),
        ev.NotMinted(AT, resend=False),
        {
            "phase": REJECTED,
            "failure": failed("mint", "no token under the name, and no mint left to try"),
            "strays": True,
        },
    ),
    "a refused mint is not counted, and the rotation is given up": (
        record(REQUESTED, mints=(NOW, AT), emergency=True, uncertain=True),
        ev.MintRefused(AT, "quota"),
        given_up(1) | {"mints": (NOW,), "failure": failed("mint", "quota")},
    ),
    "a refused mint of an emergency is not counted among those of emergencies": (
        record(REQUESTED, mints=(NOW,), emergency_mints=(NOW, AT), emergency=True, uncertain=True),
        ev.MintRefused(AT, "quota"),
        given_up(1) | {"emergency_mints": (NOW,), "failure": failed("mint", "quota")},
    ),
    "burned: the next attempt, one more mint authorised": (
        record(REJECTED, retry_at=NOW),
        ev.Burned(AT, ("t2.1",), give_up=False),
        RESEND | {"phase": REQUESTED, "attempt": 2, "strays": True, "retry_at": None},
    ),
    "burned for the last time: given up, with what went wrong and a pause": (
        record(REJECTED, failures=3, given_up=3, emergency=True),
        ev.Burned(AT, ("t2.1",), give_up=True),
        given_up(4) | {"failures": 0},
    ),
}


@pytest.mark.parametrize(("before", "event", "different"), TABLE.values(), ids=TABLE)
def test_advance_while_minting(before: Record, event: ev.Event, different: dict[str, Any]) -> None:
    assert changes(before, event) == different
