"""Pauses of many: whom they cover, which counts, and what ends them."""

from __future__ import annotations

from dataclasses import replace

from rotator.rotation.credential import Pause
from rotator.rotation.fleet_pause import FleetPause, over, paused, resumed, scope
from tests.unit.rotation.builders import DAY, HOUR, NOW, credential

WEB, SHOP = credential(labels={"team": "web", "tier": "1"}), credential(labels={"team": "shop"})
FREEZE = Pause("ada", NOW, "freeze")


def test_without_labels_it_covers_everything_and_else_all_that_carry_every_label() -> None:
    assert FleetPause(FREEZE).covers(SHOP)
    assert FleetPause(FREEZE, {"team": "web", "tier": "1"}).covers(WEB)
    assert not FleetPause(FREEZE, {"team": "web", "tier": "2"}).covers(WEB)
    assert [scope({}), scope({"tier": "1", "team": "web"})] == ["--all", "--label team=web --label tier=1"]


def test_a_credential_says_which_pause_lasts_longest_and_is_itself_where_none_covers_it() -> None:
    pauses = paused(paused((), replace(FREEZE, until=NOW + HOUR), {}), FREEZE, {"team": "web"})
    assert over(WEB, pauses).paused == replace(FREEZE, scope="--label team=web")
    assert over(SHOP, pauses).paused == replace(FREEZE, until=NOW + HOUR, scope="--all")
    assert over(SHOP, ()) is SHOP
    assert over(over(SHOP, pauses), ()).paused is None


def test_a_later_word_replaces_an_earlier_one_of_the_same_scope_and_what_is_over_is_forgotten() -> None:
    short = replace(FREEZE, until=NOW + HOUR)
    once = paused(paused((), short, {"team": "web"}), short, {})
    assert [each.pause.scope for each in once] == ["--label team=web", "--all"]
    later = paused(once, replace(FREEZE, at=NOW + DAY), {})
    assert [each.pause for each in later] == [replace(FREEZE, at=NOW + DAY, scope="--all")]


def test_resuming_all_ends_every_one_and_resuming_a_label_its_own_only() -> None:
    both = paused(paused((), FREEZE, {"team": "web"}), FREEZE, {})
    assert resumed(both, {}, NOW) == ()
    assert [each.pause.scope for each in resumed(both, {"team": "web"}, NOW)] == ["--all"]
    assert resumed(both, {"team": "shop"}, NOW) == both


def test_a_pause_of_a_target_covers_all_on_it_and_ends_with_it_or_with_all() -> None:
    mail = credential(target="mail", labels={"team": "web"})
    both = paused(paused((), FREEZE, {}, "mail"), FREEZE, {"team": "web"})
    assert [each.pause.scope for each in both] == ["--target mail", "--label team=web"]
    assert FleetPause(FREEZE, target="mail").covers(mail)
    assert not FleetPause(FREEZE, target="mail").covers(SHOP)
    assert [each.pause.scope for each in resumed(both, {}, NOW, "mail")] == ["--label team=web"]
    assert resumed(both, {}, NOW) == ()
