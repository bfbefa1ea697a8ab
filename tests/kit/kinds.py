"""The sorts of target that a history may have, and what each can do; how they behave is target.py's."""

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
    REGISTERED = "registered"  # a key set, changed in the name of a token that each change replaces (RFC 7592)
    BY_VALUE = "by_value"  # made there, and nobody lists them: each ends by its own date, or when its value is shown


CAN = {
    Kind.TOKENS: Capabilities(
        can_list=True, can_restore=True, reports_last_use=True, last_use_resolution=timedelta(minutes=1)
    ),
    Kind.EXPIRING: Capabilities(can_revoke=False, old_is_safe_to_present=False),
    Kind.ONE_SLOT: Capabilities(needs_install=True, overlap=False),
    Kind.TWO_SLOTS: Capabilities(needs_install=True),
    Kind.KEY_SET: Capabilities(needs_install=True, can_list=True),
    Kind.REGISTERED: Capabilities(needs_install=True, can_list=True),
    Kind.BY_VALUE: Capabilities(revokes_by_value=True),
}
OF_ONE_GRANT = replace(CAN[Kind.BY_VALUE], shared_grant=True)  # the same where all of them may end together
NAMED = replace(CAN[Kind.TOKENS], takes_token_name=True)  # the same where the target takes chosen names
LISTED = frozenset(kind for kind, can in CAN.items() if can.can_list)
INSTALLED = frozenset(kind for kind, can in CAN.items() if can.needs_install)
KEY_SETS = frozenset({Kind.KEY_SET, Kind.REGISTERED})
DATED = frozenset(kind for kind, can in CAN.items() if not can.can_revoke or can.revokes_by_value)  # each has a date
SLOTS = {Kind.ONE_SLOT: ("1",), Kind.TWO_SLOTS: ("1", "2")}
NO_GRACE = frozenset({Kind.EXPIRING, Kind.ONE_SLOT})  # settings refuse one: the old value ends by itself, or at once
