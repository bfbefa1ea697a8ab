"""What the simulation has found, shrunk to the shortest schedule that shows it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.ports import Conflict, Refused
from rotator.rotation.credential import OnForeign, VaultPath
from rotator.rotation.steps import Wait
from tests.kit.kinds import Kind
from tests.model.simulation.campaign import run_seed
from tests.model.simulation.stage import (
    NAME,
    TAKE_OVER,
    Stage,
    overtaken_before_it_tells,
    rejected_after_the_cut_over,
)
from tests.model.simulation.swarm import plain

SLOT = VaultPath("kv", f"rotator/staged/{NAME}")


def in_grace(**options) -> Stage:
    """A stage with a second rotation just published."""
    stage = Stage(options={"grace": 300.0, **options})
    stage.settle()
    stage.reconcile("A", ask=True)
    assert stage.record.phase == "published"
    return stage


def test_settings_that_shorten_the_grace_do_not_shorten_one_that_has_begun():
    stage = in_grace()
    shorter = replace(stage["A"].config[NAME].retire, after=timedelta(seconds=5))
    stage["A"].config[NAME] = replace(stage["A"].config[NAME], retire=shorter)
    stage.sleep(60)
    stage.reconcile("A")
    assert len(stage.alive()) == 2
    stage.sleep(240)
    stage.reconcile("A")
    assert len(stage.alive()) == 1


def test_a_clock_that_jumps_in_the_middle_of_a_visit_does_not_shorten_the_grace():
    stage = Stage(options={"grace": 300.0})
    stage.settle()
    visit = stage.until(stage.begin("A", ask=True), "vault.write consumer")
    stage.until(visit, "vault.write journal")
    stage["A"].clock.skew = 3600.0
    stage.finish(visit)
    assert stage.record.phase == "published"
    assert len(stage.alive()) == 2


def test_an_emergency_does_not_wait_for_clocks_to_agree():
    stage = Stage(options={"grace": 300.0})
    stage.settle()
    stage.vault.skew = 3600.0
    stage.reconcile("A", ask=True)
    stage.vault.skew = 0.0
    stage.reconcile("A", emergency=True)
    assert stage.record.phase == "settled"
    assert len(stage.alive()) == 1


def test_a_clock_that_is_an_hour_ahead_does_not_make_a_failed_step_wait_for_an_hour():
    stage = Stage(actors=1)
    stage["A"].clock.skew = 3600.0
    stage.lose(stage.until(visit := stage.begin("A"), "target.verify"))
    end = stage.finish(visit)
    assert stage.record.failure
    assert isinstance(end.wait, Wait)
    assert end.wait.until - stage["A"].clock.now() < timedelta(seconds=5)


def test_rotation_numbers_go_on_after_the_journal_was_lost():
    stage = Stage(options={"overwrite": True})
    stage.settle()
    stage.reconcile("A", ask=True)
    stage.settle()
    stage.forget_journal()
    stage.reconcile("B")
    assert stage.record.rotation == 3
    assert stage.vault.top(stage.checks.live_path[NAME]).values["rotation"] == "3"


def test_a_mint_that_got_no_answer_is_not_looked_for_before_the_target_has_settled():
    stage = Stage(actors=1, options={"named": False})
    visit = stage.until(stage.begin("A"), "target.mint")
    stage.lose(visit)  # ten seconds later; the effect may be on its way for as long as the target takes to settle
    stage.finish(visit)
    stage.sleep(2)
    stage.reconcile("A")
    stage.target.add(stage.record.mint_name, None, "A1")
    stage.sleep(20)
    stage.reconcile("A")
    assert len(stage.target.by_value) - 3 == 2, "one mint was lost and burned, the next one succeeded"
    assert stage.record.attempt == 2


def test_a_mint_that_was_sent_by_a_clock_an_hour_ahead_is_not_looked_for_an_hour_late():  # seed 80043
    stage = Stage(options={"skew": 3600.0, "settle": 8.0})
    for host, skew in (("A", 3600.0), ("B", 0.0)):
        stage[host].clock.skew = skew
    stage.until(stage.begin("A"), "target.mint")  # where it is killed
    stage.reconcile("B")
    stage.sleep(TAKE_OVER)
    stage.reconcile("B")
    stage.reconcile("B")
    stage.sleep(20)
    stage.reconcile("B")
    assert stage.record.phase == "settled"
    assert stage.world.now < 120


def test_a_pause_that_begins_in_a_visit_is_not_measured_by_what_was_known_before_it():
    stage = Stage(actors=1, options={"settle": 8.0})
    stage.settle()
    stage.reconcile("A")
    stage.sleep(100)
    stage.lose(stage.until(visit := stage.begin("A", ask=True), "target.mint"))
    end = stage.finish(visit)
    assert isinstance(end.wait, Wait)
    assert end.wait.until > stage["A"].clock.now()
    assert stage.record.uncertain


def test_a_paused_sweep_does_not_destroy_the_candidate_of_a_later_rotation():
    stage = Stage()
    stage.lose(lost := stage.until(stage.begin("A"), "target.mint"))
    stage.finish(lost)
    stage.sleep(20)
    paused = stage.until(stage.begin("A"), "vault.write consumer")
    stage.until(paused, "vault.read staged")
    stage.take_over("B")
    later = stage.until(stage.until(stage.begin("B", ask=True), "target.mint"), "target.verify")
    assert stage.record.phase == "staged"
    stage.finish(paused)
    stage.finish(later)
    assert (stage.record.rotation, stage.record.attempt, stage.record.phase) == (2, 1, "published")


def test_a_journal_write_that_took_long_counts_from_when_it_was_sent():
    stage = Stage()
    slow = stage.until(stage.begin("A"), "vault.write journal")
    stage.step(slow)
    stage.sleep(20)  # its answer is late: others have seen this version for 20 s
    labels = []
    while stage.step(slow):
        labels.append(slow.thread.label)
    assert labels.index("vault.write journal sent") < labels.index("target.mint sent")


def test_a_person_who_puts_the_predecessor_back_before_its_revocation_is_heeded():
    stage = in_grace()
    stage.sleep(301)
    visit = stage.until(stage.begin("A"), "target.verify")
    stage.until(visit, "vault.write journal")
    doc = stage.vault.docs[stage.checks.live_path[NAME]]
    stage.vault.overwrite(stage.checks.live_path[NAME], dict(doc.versions[1].values))
    stage.finish(visit)
    assert len(stage.alive()) == 2
    assert stage.record.phase == "held"


def test_a_fence_does_not_write_over_what_a_person_deleted():
    stage = Stage()
    stage.settle()
    stage.until(stage.begin("A", ask=True), "vault.write consumer")
    del stage.vault.docs[SLOT]
    stage.reconcile("B")
    stage.sleep(TAKE_OVER)
    visit = stage.until(stage.begin("B"), "vault.read staged")
    stage.until(visit, "vault.write journal")
    stage.people.soft_delete(NAME)
    stage.finish(visit)
    assert stage.vault.top(stage.checks.live_path[NAME]).deleted
    assert stage.record.phase == "held"


def test_a_rotation_that_is_given_up_after_a_lost_mint_looks_for_strays():
    stage = Stage(actors=1, options={"named": False})
    stage.lose(lost := stage.until(stage.begin("A"), "target.mint"))
    stage.finish(lost)
    stage.sleep(20)
    again = stage.until(stage.begin("A"), "target.mint")
    stage.target.add(stage.record.mint_name, None, "A1")  # the first one, very late
    stage.fail(again, Refused("the quota is used up"))
    stage.finish(again)
    assert stage.record.phase == "settled"
    stage.sleep(60)
    stage.reconcile("A")
    assert stage.alive() == {stage.record.current.token.id}


def test_a_publication_whose_record_was_lost_with_its_actor_keeps_the_grace_it_was_made_under():
    stage = Stage(options={"grace": 300.0})
    stage.settle()
    stage.step(stage.until(stage.begin("A", ask=True), "vault.write consumer"))  # published, and killed
    assert stage.record.phase == "verified"
    shorter = replace(stage["B"].config[NAME].retire, after=timedelta(seconds=5))
    stage["B"].config[NAME] = replace(stage["B"].config[NAME], retire=shorter)
    stage.take_over("B")
    stage.sleep(60)
    stage.reconcile("B")
    assert stage.record.phase == "published"
    assert len(stage.alive()) == 2


def test_what_settings_let_a_visit_write_over_when_it_began_it_may_write_over_until_it_ends():  # seed 102031
    stage = Stage(actors=1)
    stage.settle()
    stage.people.foreign_write(NAME)
    kept = stage["A"].config[NAME]
    stage["A"].config[NAME] = replace(kept, on_foreign=OnForeign.OVERWRITE)
    visit = stage.until(stage.begin("A", ask=True), "vault.write consumer")
    stage["A"].config[NAME] = kept  # taken back
    stage.finish(visit)
    assert stage.published().id == stage.record.current.token.id
    stage.people.foreign_write(NAME)
    stage.sleep(60)
    stage.reconcile("A")
    assert stage.record.phase == "held"


def test_an_adoption_that_is_journalled_late_has_replaced_the_value_before_when_it_was_written():  # seed 155281
    stage = Stage(actors=1, options={"grace": 300.0, "overwrite": True})
    stage.settle()
    visit = stage.until(stage.adoption("A"), "vault.write journal")
    stage.people.consumer_metadata(NAME)
    stage.sleep(250)
    stage.finish(visit)
    assert stage.record.phase == "published"
    old = stage.record.predecessor.token.id
    stage.sleep(40)
    stage.reconcile("A")
    assert old in stage.alive()
    stage.sleep(20)
    stage.reconcile("A")
    assert old not in stage.alive()


def test_a_publication_that_comes_too_late_to_be_sent_does_not_meet_its_version_number_again():  # seed 104470
    stage = Stage()
    paused = stage.until(stage.begin("A"), "vault.write consumer")
    stage.people.slot_metadata(NAME)
    stage.take_over("B")
    assert (stage.record.phase, stage.record.attempt) == ("settled", 2)
    stage.people.consumer_metadata(NAME)  # so that version 0 is right again
    assert isinstance(stage.finish(paused), Conflict)
    assert stage.checks.live_path[NAME] not in stage.vault.docs


def test_an_actor_that_was_overtaken_does_not_tell_the_target_its_older_value():  # seed 716 of the first campaign
    stage = overtaken_before_it_tells()
    assert stage.published().id == stage.record.current.token.id
    assert stage.target.accepts(stage.published().value)


def test_a_cut_over_does_not_wait_for_clocks_that_are_an_hour_apart():  # seeds 1267, 2484 and 2948
    stage = Stage(actors=1, options={"kinds": (Kind.ONE_SLOT,)})
    stage.settle()
    stage.vault.skew = -3600.0
    stage.reconcile("A", ask=True)
    assert stage.record.phase == "settled", "a grace of no length is over at once"
    [window] = stage.checks.cut_over.windows
    assert window.seconds < 1


def test_a_candidate_that_expires_while_a_person_is_awaited_makes_room_for_a_new_one():  # seed 1279
    stage = Stage(actors=1, options={"kinds": (Kind.ONE_SLOT,), "by_hand": "install", "lifetime": 100.0})
    stage.reconcile("A")
    first = stage.record.candidate.token.id
    stage.sleep(120)
    stage.reconcile("A")
    assert stage.record.phase == "awaiting"
    assert stage.record.attempt == 2
    assert stage.record.candidate.token.id != first


def test_a_published_value_that_has_expired_is_not_put_back_for_ever():  # found by the Hypothesis machine
    stage = Stage(actors=1, options={"kinds": (Kind.ONE_SLOT,), "lifetime": 900.0})
    stage.settle()
    stage.until(stage.begin("A", ask=True), "target.install")
    stage["A"].kill()
    stage["A"].start()
    stage["A"].close()
    stage.sleep(7200)
    stage.take_over("A")
    stage.sleep(60)
    stage.reconcile("A")
    assert stage.target.accepts(stage.published().value)


def test_a_lost_candidate_is_not_burned_while_the_target_may_still_be_told_of_it():  # seed 20132
    stage = Stage(actors=1, options={"kinds": (Kind.ONE_SLOT,)})
    stage.settle()
    visit = stage.until(stage.begin("A", ask=True), "target.install")
    late = visit.thread.wire
    stage.lose(visit)
    stage.finish(visit)
    stage.people.slot_metadata(NAME)
    stage.sleep(2)
    stage.reconcile("A")
    late()  # three seconds after its client gave up
    stage.sleep(20)
    stage.reconcile("A")
    stage.settle()
    assert stage.target.accepts(stage.published().value)
    assert stage.record.attempt == 2


def test_an_adoption_does_not_make_the_attempt_before_it_look_like_a_later_one():  # seed 56273
    stage = Stage(actors=1)
    stage.settle()
    visit = stage.until(stage.until(stage.begin("A", ask=True), "target.mint"), "target.verify")
    stage.target.end(stage.target.tokens[stage.record.candidate.token.id], "person")
    stage.finish(visit)
    stage.sleep(20)
    again = stage.until(stage.begin("A"), "target.mint")
    stage.fail(again, Refused("the quota is used up"))
    stage.finish(again)
    stage.adopt("A")
    assert stage.record.current.token.id.startswith("hand")
    stage.sleep(120)
    stage.settle()
    assert not stage.record.slot_full
    assert stage.alive() == {stage.record.current.token.id}


def test_a_target_that_does_not_take_the_old_value_back_is_told_a_new_one():
    stage = rejected_after_the_cut_over(remembers=True)
    for _ in range(6):
        stage.sleep(31)
        stage.reconcile("A")
    assert stage.record.attempt == 2
    assert stage.target.accepts(stage.published().value)
    assert [x.name for x in stage.checks.cut_over.windows] == [NAME]
    assert stage.checks.ledgers[NAME].not_taken_back


def test_a_standby_that_lags_behind_is_no_reason_to_hold_a_cut_over():  # seed 3796
    stage = rejected_after_the_cut_over(stale=1.0)
    stage.sleep(11)
    stage.reconcile("A")
    assert stage.record.attempt == 2
    assert stage.target.accepts(stage.published().value)


def test_a_failed_cut_over_is_taken_back_although_clocks_are_an_hour_apart():  # like seed 70888
    stage = Stage(actors=1, options={"kinds": (Kind.ONE_SLOT,)})
    stage.settle()
    stage.vault.skew = 3600.0
    visit = stage.until(stage.until(stage.begin("A", ask=True), "target.mint"), "target.verify")
    stage.target.end(stage.target.tokens[stage.record.candidate.token.id], "person")
    stage.finish(visit)
    stage.sleep(11)
    stage.reconcile("A")
    assert stage.target.accepts(stage.published().value)


def test_a_value_told_late_is_judged_by_the_journal_that_was_lost_on_its_way():  # seeds 11280 and 47140
    stage = Stage(actors=1, options={"kinds": (Kind.ONE_SLOT,)})
    stage.settle()
    visit = stage.until(stage.begin("A", ask=True), "target.install")
    late, told = visit.thread.wire, stage.record.candidate.token.id
    stage.lose(visit)
    stage.finish(visit)
    stage.forget_journal()
    late()
    assert stage.target.slots[NAME, "1"].id == told
    stage.reconcile("A")
    assert stage.record.held.reason == "foreign_write", "who has lost the journal says so and does no more"


def test_an_old_value_put_back_late_is_judged_by_the_journal_that_was_lost_on_its_way():  # a sibling of seed 11280
    stage = rejected_after_the_cut_over(overwrite=True)
    stage.sleep(11)
    visit = stage.until(stage.begin("A"), "target.install")
    late, old = visit.thread.wire, stage.record.current.token.id
    stage.lose(visit)
    stage.finish(visit)
    stage.forget_journal()
    stage.reconcile("A")
    assert stage.record.current.token.id != old
    late()
    assert stage.target.slots[NAME, "1"].id == old


def test_what_is_left_in_an_only_slot_when_what_was_published_is_over_is_no_stray():  # seeds 155612 and 46379
    stage = Stage(actors=1, options={"kinds": (Kind.ONE_SLOT,), "lifetime": 900.0})
    stage.settle()
    stage.sleep(500)
    stage.lose(visit := stage.until(stage.begin("A", ask=True), "target.verify"))
    stage.finish(visit)
    told = stage.record.candidate.token.id
    stage.people.slot_metadata(NAME)
    stage.people.consumer_metadata(NAME)
    stage.sleep(450)
    stage.reconcile("A")
    assert (stage.record.phase, stage.record.attempt) == ("held", 2)
    assert stage.alive() == {told}, "its value is lost, and the next one waits for a person's word"
    stage.history._no_strays(NAME)


# 3947: a person releases what cannot be put back; 30429: adopted at another path; 31236: resumed after a pause;
# 56937, 1749: an emergency takes the grace of what an adoption replaced; 70032: adopted where versions began anew;
# 218747: a lineage of four digits was drawn a second time after the journal was lost;
# 328233: a visit that began before a newer rotator came, and whose own check-and-set writes all came through;
# 344587: a pause that a wrong clock had set, seen to be over at the next look, which comes late when faults are off;
# 471111, 878727: a write lands when the journal, a rotation further by then, has been deleted by a person;
# 501380: a revocation does not leave when its process was stopped for longer than the client's deadline;
# 511285, 605587: a person who ends a pause takes nobody's lease away, and writes over nobody's record ...
# 720644: ... but does not wait for the dead;
# 636162: a person ends a value and enters it again between its proof and its publication
@pytest.mark.parametrize(
    "seed",
    [
        1749,
        3947,
        30429,
        31236,
        56937,
        70032,
        218747,
        328233,
        344587,
        471111,
        501380,
        511285,
        605587,
        636162,
        720644,
        878727,
    ],
)
def test_what_the_model_had_misjudged(seed):
    assert run_seed(seed, plain(seed))[1] == ""


def test_a_telling_of_this_very_second_is_waited_for_by_a_host_that_reads_the_second_as_it_begins():
    assert run_seed(920406, plain(920406))[1] == ""
