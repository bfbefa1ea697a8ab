"""Owns the sorts of target that a history may have, and what each can do; how they behave is target.py's."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from enum import StrEnum

from rotator.ports import Capabilities


class Kind(StrEnum):
    """How a target keeps the values of one credential."""

    TOKENS = "tokens"  # as many as one likes, made there
    EXPIRING = "expiring"  # nobody can list or revoke them: each ends by its own date
    ONE_SLOT = "one_slot"  # one value: telling the target a new one ends the old one
    TWO_SLOTS = "two_slots"  # two values: a third takes the place of one of them
    KEY_SET = "key_set"  # as many as one likes, told to the target, which believes a copy of the set for a while


CAN = {
    Kind.TOKENS: Capabilities(lists=True, restores=True, reports_last_use=True, last_use_step=timedelta(minutes=1)),
    Kind.EXPIRING: Capabilities(revokes=False, old_is_safe_to_present=False),
    Kind.ONE_SLOT: Capabilities(installs=True, overlap=False),
    Kind.TWO_SLOTS: Capabilities(installs=True),
    Kind.KEY_SET: Capabilities(installs=True, lists=True),
}
NAMED = replace(CAN[Kind.TOKENS], named_mint=True)  # the same where the target takes chosen names
LISTED = frozenset(kind for kind, can in CAN.items() if can.lists)
INSTALLED = frozenset(kind for kind, can in CAN.items() if can.installs)
SLOTS = {Kind.ONE_SLOT: ("1",), Kind.TWO_SLOTS: ("1", "2")}
NO_GRACE = frozenset({Kind.EXPIRING, Kind.ONE_SLOT})  # settings refuse one: the old value ends by itself, or at once
