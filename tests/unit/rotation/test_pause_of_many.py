"""Pauses of many: whom they cover, which counts, and what ends them."""

from __future__ import annotations

from rotator.rotation.credential import Pause
from rotator.rotation.pause import FleetPause, covered, scope, with_pause, without_pause
from tests.kit.records import replace
from tests.unit.rotation.builders import DAY, HOUR, NOW, credential

WEB, SHOP = credential(labels={"team": "web", "tier": "1"}), credential(labels={"team": "shop"})
FREEZE = Pause("ada", NOW, "freeze")


def test_without_labels_it_covers_everything_and_else_all_that_carry_every_label() -> None:
    assert FleetPause(FREEZE).covers(SHOP)
    assert FleetPause(FREEZE, {"team": "web", "tier": "1"}).covers(WEB)
    assert not FleetPause(FREEZE, {"team": "web", "tier": "2"}).covers(WEB)
    assert [scope({}), scope({"tier": "1", "team": "web"})] == ["--all", "--label team=web --label tier=1"]


def test_a_credential_says_which_pause_lasts_longest_and_is_itself_where_none_covers_it() -> None:
    pauses = with_pause(with_pause((), replace(FREEZE, until=NOW + HOUR), {}), FREEZE, {"team": "web"})
    assert covered(WEB, pauses).paused == replace(FREEZE, scope="--label team=web")
    assert covered(SHOP, pauses).paused == replace(FREEZE, until=NOW + HOUR, scope="--all")
    assert covered(SHOP, ()) is SHOP
    assert covered(covered(SHOP, pauses), ()).paused is None


def test_a_later_word_replaces_an_earlier_one_of_the_same_scope_and_what_is_over_is_forgotten() -> None:
    short = replace(FREEZE, until=NOW + HOUR)
    once = with_pause(with_pause((), short, {"team": "web"}), short, {})
    assert [each.pause.scope for each in once] == ["--label team=web", "--all"]
    later = with_pause(once, replace(FREEZE, at=NOW + DAY), {})
    assert [each.pause for each in later] == [replace(FREEZE, at=NOW + DAY, scope="--all")]


def test_resuming_all_ends_every_one_and_resuming_a_label_its_own_only() -> None:
    both = with_pause(with_pause((), FREEZE, {"team": "web"}), FREEZE, {})
    assert without_pause(both, {}, NOW) == ()
    assert [each.pause.scope for each in without_pause(both, {"team": "web"}, NOW)] == ["--all"]
    assert without_pause(both, {"team": "shop"}, NOW) == both


def test_a_pause_of_a_target_covers_all_on_it_and_ends_with_it_or_with_all() -> None:
    mail = credential(target="mail", labels={"team": "web"})
    both = with_pause(with_pause((), FREEZE, {}, "mail"), FREEZE, {"team": "web"})
    assert [each.pause.scope for each in both] == ["--target mail", "--label team=web"]
    assert FleetPause(FREEZE, target="mail").covers(mail)
    assert not FleetPause(FREEZE, target="mail").covers(SHOP)
    assert [each.pause.scope for each in without_pause(both, {}, NOW, "mail")] == ["--label team=web"]
    assert without_pause(both, {}, NOW) == ()
