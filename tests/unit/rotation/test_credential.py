"""What is wanted of a credential, and which wishes are baked into a token."""

from __future__ import annotations

import pytest

from rotator.rotation.credential import Limits, OnForeign, Retirement, VaultPath
from rotator.rotation.schedule import Every
from tests.kit.records import replace
from tests.unit.rotation.builders import DAY, HOUR, credential

BAKED = {"target": "other", "kind": "halo-itsm", "rotating_options": {"roles": ["editor"]}}
FREE = {
    "name": "renamed",
    "place": VaultPath("kv", "elsewhere"),
    "schedule": Every(DAY),
    "lifetime": None,
    "retire": Retirement(after=2 * HOUR),
    "limits": Limits(mints_per_day=1),
    "on_foreign": OnForeign.OVERWRITE,
    "labels": {"team": "web"},
    "options": "/probe",
}


def test_a_place_is_written_as_mount_and_path() -> None:
    assert str(VaultPath("kv", "blog/bot")) == "kv/blog/bot"


@pytest.mark.parametrize("wish", BAKED)
def test_what_is_baked_into_a_token_changes_the_policy(wish: str) -> None:
    assert credential(**{wish: BAKED[wish]}).policy != credential().policy


@pytest.mark.parametrize("wish", FREE)
def test_what_is_not_baked_into_a_token_leaves_the_policy_alone(wish: str) -> None:
    assert credential(**{wish: FREE[wish]}).policy == credential().policy


def test_changed_settings_have_a_policy_of_their_own_though_the_old_ones_were_asked_for_theirs() -> None:
    old = credential(rotating_options={"roles": ["view"]})
    assert old.policy == old.policy != replace(old, rotating_options={"roles": ["edit"]}).policy


def test_the_order_of_options_does_not_matter_to_the_policy() -> None:
    assert credential(rotating_options={"a": 1, "b": 2}).policy == credential(rotating_options={"b": 2, "a": 1}).policy


def test_a_policy_names_its_making_and_is_the_same_in_every_process() -> None:
    assert credential().policy == "1:2a74e6665e625c4e"
