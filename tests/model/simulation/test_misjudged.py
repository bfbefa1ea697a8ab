"""What the judge, or the model, had misjudged: the shortest schedule that shows it, and what it must find still."""

from __future__ import annotations

import pytest

from rotator.ports import Conflict
from rotator.rotation.procedures import operators
from tests.kit.promises import Violation
from tests.model.simulation.journal import place_of
from tests.model.simulation.stage import NAME, Stage
from tests.model.simulation.target import Live


@pytest.mark.parametrize("last", ["vault.write journal", "vault.read consumer"])
def test_a_visit_in_the_middle_of_which_vault_goes_back_ends_what_it_had_read_as_condemned(last):  # seed 49873
    stage = Stage(options={"overwrite": True})
    stage.settle()
    taken, old = stage.vault.snapshot(), stage.published().id
    stage.reconcile("A", ask=True)
    stage.sleep(61)
    visit = stage.until(stage.until(stage.begin("A"), "target.verify"), "vault.write journal")
    stage.step(visit)
    assert stage.record.phase == "condemned"
    if last == "vault.read consumer":
        stage.step(stage.until(visit, last))
    else:
        stage.people.foreign_write(NAME)  # which settings let it write over
        taken = {**taken, stage.checks.live_path[NAME]: stage.vault.snapshot()[stage.checks.live_path[NAME]]}
    stage.people.days._goes_back_to(taken, "Vault is restored")
    assert stage.record.current.token.id == old
    assert isinstance(stage.finish(visit), Conflict)
    assert old not in stage.alive()


def test_a_visit_that_begins_after_vault_went_back_ends_nothing_that_is_current():
    stage = Stage()
    stage.settle()
    stage.people.days._goes_back_to(stage.vault.snapshot(), "Vault is restored")
    stage.checks.ledgers[NAME].condemned.add(stage.record.current.token.id)
    visit = stage.until(stage.begin("A"), "vault.read journal")
    stage.step(visit)
    stage.world.running = visit.thread
    with pytest.raises(Violation, match="I9"):
        stage.checks.revoke_leaves(NAME, stage.record.current.token)


def adopted_again() -> tuple[Stage, Live]:
    """A value that was replaced stands on the consumer path again, and is adopted by a new journal."""
    stage = Stage(options={"overwrite": True, "grace": 60.0})
    stage.settle()
    taken, old = stage.vault.snapshot(), stage.published()
    stage.reconcile("A", ask=True)
    taken.pop(place_of(NAME))
    stage.people.days._goes_back_to(taken, "Vault is restored")
    stage.say("A", operators.adopt("person"))
    assert stage.record.current.token.id == old.id
    return stage, old


def test_an_emergency_takes_the_grace_of_what_was_adopted_again():  # seed 56292
    stage, old = adopted_again()
    stage.reconcile("A", emergency=True)
    assert old.id not in stage.alive()
    stage.checks.used(NAME, old.value, stage.world.now - 2)


def test_the_grace_of_what_was_adopted_again_begins_when_it_is_replaced_again():
    stage, old = adopted_again()
    stage.sleep(100)
    stage.reconcile("A", ask=True)
    stage.checks.disputed, old.ended = False, "A1"
    with pytest.raises(Violation, match="I10"):
        stage.checks.revoked(old)


def paused_for_all(**options) -> Stage:
    """A stage on which everything has been paused just now; its visits know nothing of that."""
    stage = Stage(options=options)
    stage.settle()
    stage.checks.paused_since = stage.world.now
    return stage


def test_a_pause_of_everything_is_heeded_from_when_a_sealed_vault_can_be_read_again():  # seed 50804
    stage = paused_for_all()
    while stage.world.now < stage.checks.paused_since + 51:
        stage.people.seal(NAME)
        while stage.vault.sealed:
            stage.world.run(stage.world.now + 1)
    stage.reconcile("A", ask=True)
    assert stage.record.rotation == 2
    stage.settle()
    stage.sleep(51)
    with pytest.raises(Violation, match="P: a rotation begins"):
        stage.reconcile("A", ask=True)


def test_a_pause_of_everything_is_heeded_from_when_a_process_has_a_login_again():  # a sibling of seed 50804
    stage = paused_for_all()
    stage["A"].logged_out = stage.world.now
    stage.sleep(60)
    stage["A"].log_in()
    stage.reconcile("A", ask=True)
    assert stage.record.rotation == 2
    stage.settle()
    with pytest.raises(Violation, match="P: a rotation begins"):
        stage.reconcile("B", ask=True)


def test_what_is_being_burned_need_not_be_told_before_it_is_proven_dead():  # seed 35310
    stage = Stage(actors=1)
    visit = stage.until(stage.begin("A"), "target.mint")
    visit.thread.wire()
    stage.lose(visit)
    stage.finish(visit)
    stage.sleep(20)
    burning = stage.until(stage.begin("A"), "target.revoke")
    burning.thread.wire()
    stage.lose(burning)
    stage.finish(burning)
    assert (stage.record.phase, stage.alive()) == ("rejected", set())
    stage.history.ordinary.receipts()
    stage.history.told_ends.clear()
    stage.sleep(20)
    stage.reconcile("A")
    assert stage.record.phase == "settled"
    stage.history.ordinary.receipts()
    stage.history.told_ends.clear()
    with pytest.raises(Violation, match="R: "):
        stage.history.ordinary.receipts()
