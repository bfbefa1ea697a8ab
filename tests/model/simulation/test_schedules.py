"""Directed schedules: orders of events that chance nearly never draws, each by its name."""

from __future__ import annotations

from dataclasses import replace

from rotator.engine.reconciler import ReconcileResult
from rotator.ports import Conflict
from rotator.rotation.credential import VaultPath
from tests.model.simulation.stage import NAME, TAKE_OVER, Stage, Visit


def test_a_pause_between_verify_and_publish_never_publishes_a_burned_candidate():
    stage = Stage()
    stage.settle()
    paused = stage.until(stage.begin("A", ask=True), "vault.write consumer")
    burned = stage.record.candidate
    stage.people.person_revokes(NAME)
    for token in stage.target.tokens.values():
        if burned and token.id == burned.token.id:
            token.ended = "person"
    stage.sleep(70)  # the proof has grown old: it is made again, and fails
    stage.take_over("B")
    assert burned
    assert burned.token.id not in {x.id for x in [stage.published()] if x}
    fenced = stage.vault.docs[stage.checks.live_path[NAME]].newest
    assert isinstance(stage.finish(paused), Conflict)
    assert stage.published().id != burned.token.id
    assert stage.vault.docs[stage.checks.live_path[NAME]].newest >= fenced


def test_a_late_mint_after_the_burn_is_a_stray_and_is_swept():
    stage = Stage(options={"purge": True})
    stage.settle()
    paused = stage.until(stage.begin("A", ask=True), "target.mint")
    stage.sleep(60)
    stage.reconcile("B")
    stage.target.add(stage.record.mint_name, None, "A1")  # the request takes effect, the answer is lost
    stage.take_over("B")
    assert stage.record.attempt == 2
    stage.settle("B")
    stage.sleep(60)  # the burned token is deleted: its name is free again
    stage.finish(paused)
    assert len(stage.alive()) == 2
    stage.finish(stage.sweep("B"))
    assert stage.alive() == {stage.record.current.token.id}


def test_a_late_publish_after_the_fence_write_fails_its_check_and_set():
    stage = Stage()
    stage.settle()
    before = stage.published()
    paused = stage.until(stage.begin("A", ask=True), "vault.write consumer")
    expected = stage.record.state.expected_version
    stage.sleep(70)
    del stage.vault.docs[VaultPath("kv", f"rotator/staged/{NAME}")]  # nothing to publish any more: abandon, fence, burn
    stage.take_over("B")
    assert stage.vault.docs[stage.checks.live_path[NAME]].versions[expected + 1].values["token"] == before.value
    assert isinstance(stage.finish(paused), Conflict)
    assert stage.published().id == stage.record.current.token.id


def test_after_the_metadata_of_the_consumer_path_was_deleted_an_equal_version_number_is_not_mistaken_for_ours():
    stage = Stage(actors=1)
    stage.settle()
    paused = stage.until(stage.begin("A", ask=True), "vault.read consumer")
    for label in ("vault.write journal", "target.mint", "target.verify"):
        stage.until(paused, label)
    stage.until(paused, "vault.write journal")
    stage.people.consumer_metadata(NAME)
    stage.people.foreign_write(NAME)  # version 1 again, as when A looked
    end = stage.finish(paused)
    assert isinstance(end, ReconcileResult)
    assert stage.record.phase == "held"
    assert stage.vault.top(stage.checks.live_path[NAME]).author == "person"


def test_a_pause_before_publish_over_versions_that_began_anew_publishes_nothing():
    stage = Stage()
    stage.step(stage.until(paused_before_publish := proven(stage), "vault.read consumer"))  # nothing is there, it saw
    stage.people.slot_metadata(NAME)
    stage.take_over("B")
    assert (stage.record.phase, stage.record.attempt) == ("settled", 2)
    stage.people.consumer_metadata(NAME)  # so that version 0 is right again
    assert isinstance(stage.finish(paused_before_publish), Conflict)
    assert stage.checks.live_path[NAME] not in stage.vault.docs


def proven(stage: Stage) -> Visit:
    """A's first rotation, just verified."""
    return stage.until(stage.until(stage.begin("A"), "target.verify"), "vault.write journal")


def test_after_the_metadata_of_the_journal_was_deleted_a_stale_write_has_no_effect_on_the_target():
    stage = Stage()
    stage.settle()
    paused = stage.until(stage.begin("A", ask=True), "vault.write journal")
    stage.forget_journal()
    stage.reconcile("B")
    assert stage.record.phase == "held", "a value without a record is a stranger's"
    assert isinstance(stage.finish(paused), Conflict)
    assert len(stage.alive()) == 1


def test_a_takeover_during_grace_with_a_clock_jump_does_not_shorten_the_grace():
    stage = Stage(options={"grace": 300.0})
    stage.settle()
    stage.reconcile("A", ask=True)
    assert stage.record.phase == "published"
    stage["A"].kill()
    stage["B"].clock.skew = 3600.0
    stage.sleep(100)
    stage.take_over("B")
    assert stage.record.phase == "published"
    assert len(stage.alive()) == 2
    stage.sleep(300)
    stage.reconcile("B")
    assert len(stage.alive()) == 1


def test_a_path_changed_in_settings_while_verified_takes_effect_with_the_next_rotation():
    stage = Stage(options={"grace": 5.0})
    stage.settle()
    old, new = stage.checks.live_path[NAME], VaultPath("kv", "apps/elsewhere")
    paused = stage.until(stage.begin("A", ask=True), "vault.write consumer")
    stage["A"].kill()
    paused.thread.coro.close()
    stage.checks.owner[new] = NAME
    for process in stage.history.processes:
        process.config[NAME] = stage.history.wanted[NAME] = replace(process.config[NAME], place=new)
    stage.take_over("B")
    assert stage.record.current.place == old, "what was verified for a place is published there"
    stage.settle("B")
    stage.reconcile("B")
    stage.settle("B")
    assert stage.record.current.place == new
    assert stage.alive() == {stage.record.current.token.id}


def test_a_killed_holder_is_succeeded_after_the_lease_and_not_before():
    stage = Stage()
    stage.until(stage.begin("A"), "target.mint")
    stage["A"].kill()
    stage.reconcile("B")
    stage.sleep(TAKE_OVER - 3)
    stage.reconcile("B")
    assert stage.record.phase == "requested"
    stage.sleep(3)
    stage.reconcile("B")
    assert stage.record.phase == "settled"


def test_a_token_that_was_restored_is_not_purged_for_its_revocation():
    stage = Stage(options={"purge": True})
    stage.settle()
    token = next(iter(stage.target.tokens.values()))
    stage.target.end(token, "person")
    stage.target.restore(token, "person")
    stage.sleep(61)
    assert not token.deleted
    stage.target.end(token, "person")
    stage.sleep(61)
    assert token.deleted
