"""Planted bugs: each is a mistake somebody could make in the engine, and the simulation must find it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest

from rotator.engine import context
from rotator.engine.lease import Leases
from rotator.ports import Transient
from rotator.rotation import decide, lost_value, procedures, retirement, steps, transitions
from rotator.rotation import events as ev
from rotator.rotation.ownership import TokenOwners
from rotator.rotation.procedures import consumer_path
from rotator.rotation.procedures import install as installing
from rotator.rotation.procedures import mint as minting
from rotator.rotation.procedures import publish as publishing
from rotator.rotation.procedures import retire as retiring
from rotator.rotation.procedures.calls import DrawNonce, InstallValue, MintToken, RevokeToken, WriteConsumer
from tests.kit.kinds import Kind
from tests.kit.promises import Violation
from tests.model.simulation.campaign import run_seed
from tests.model.simulation.stage import NAME, TAKE_OVER, Stage, overtaken_before_it_tells
from tests.model.simulation.swarm import Swarm
from tests.model.simulation.target import Registration, Target


def caught(*promises: str, seeds: int = 200, swarm: Swarm | None = None) -> bool:
    """Whether one of so many seeds breaks one of these promises."""
    words = tuple(f"Violation: {promise}" for promise in promises)
    return any(run_seed(seed, swarm)[1].startswith(words) for seed in range(seeds))


def plant(monkeypatch, step, verb) -> None:
    """Put a mutant in the place of a procedure."""
    monkeypatch.setitem(procedures._PROCEDURES, step, verb)


def test_the_engine_as_it_is_survives_the_seeds_that_kill_mutants():
    assert not caught("I", "L", seeds=60)


def test_minting_under_a_random_name_is_caught(monkeypatch):
    def mint(seen, record, step):
        nonce = yield from DrawNonce()
        return (yield from minting.mint(seen, record, replace(step, name=f"{record.stem}-{nonce}")))

    plant(monkeypatch, steps.Mint, mint)
    assert caught("I4")


def test_minting_again_without_a_look_is_caught(monkeypatch):
    monkeypatch.setattr(decide, "_requested", lambda credential, record, *_: steps.Mint(record.mint_name))
    assert caught("I4")


def test_no_clean_up_before_minting_again_is_caught(monkeypatch):
    def burn(seen, record, step):
        yield from ()
        return ev.Burned(seen.at, (), step.give_up)

    plant(monkeypatch, steps.Burn, burn)
    assert caught("I3")


def test_minting_without_counting_is_caught(monkeypatch):
    monkeypatch.setattr(decide, "may_mint", lambda *_: True)
    monkeypatch.setattr(decide, "minted", lambda *_, **__: 0)
    assert caught("I6", swarm=Swarm(lost=0.5))


def test_verifying_without_asking_the_target_is_caught(monkeypatch):
    def verify(seen, record, step):
        doc, _ = yield from consumer_path.look(seen, record)
        return ev.Verified(seen.at, doc.version)

    plant(monkeypatch, steps.Verify, verify)
    assert caught("I1a")


def test_publishing_without_a_look_and_without_an_expectation_is_caught(monkeypatch):
    def publish(seen, record, step):
        doc, _ = yield from consumer_path.look(seen, record)
        values = publishing.merged(doc, seen.credential, record, (yield from publishing.unstage(seen, record)))
        return ev.Published(seen.at, (yield from WriteConsumer(record.place, values, doc.version)))

    plant(monkeypatch, steps.Publish, publish)
    assert caught("I8", "I4")


def test_writing_over_what_a_person_wrote_is_caught(monkeypatch):
    def objection(*_):
        yield from ()

    monkeypatch.setattr(publishing, "objection", objection)
    monkeypatch.setattr(lost_value, "stops", lambda *_: None)
    assert caught("I8", swarm=Swarm(acts=("foreign_write", "mend")))


def test_revoking_before_publishing_is_caught(monkeypatch):
    def publish(seen, record, step):
        if record.current:
            yield from RevokeToken(record.current.target, record.current.token)
        return (yield from publishing.publish(seen, record, step))

    plant(monkeypatch, steps.Publish, publish)
    assert caught("I4", "I9", "I1")


def verify_and_publish(seen, record, step):
    """No `verified` record: the proof is followed by the write at once."""
    event = yield from publishing.verify(seen, record, step)
    if not isinstance(event, ev.Verified):
        return event
    return (yield from publishing.publish(seen, record, steps.Publish(event.expected_version, reprove=False)))


def test_publishing_without_a_verified_record_is_caught_at_once(monkeypatch):
    plant(monkeypatch, steps.Verify, verify_and_publish)
    assert caught("I4", seeds=5)


def test_publishing_without_a_verified_record_does_harm_after_a_pause(monkeypatch):
    plant(monkeypatch, steps.Verify, verify_and_publish)
    stage = Stage()
    monkeypatch.setattr(stage.checks, "write_leaves", lambda *_: None)  # not the missing record: its consequence
    stage.settle()
    paused = stage.until(stage.begin("A", ask=True), "vault.write consumer")
    plant(monkeypatch, steps.Verify, publishing.verify)
    del stage.vault.docs[stage["B"].edges_of(NAME, stage["B"].clock).slot]
    stage.reconcile("B")
    stage.sleep(TAKE_OVER)
    stage.until(stage.begin("B"), "target.mint")  # the slot was empty: burned without a fence, as nothing was verified
    with pytest.raises(Violation, match="I1"):
        stage.finish(paused)


def test_abandoning_without_a_fence_is_caught(monkeypatch):
    def fence(seen, record, step):
        doc, _ = yield from consumer_path.look(seen, record)
        return ev.Fenced(seen.at, doc.version)

    plant(monkeypatch, steps.Fence, fence)
    stage = Stage()
    stage.settle()
    paused = stage.until(stage.begin("A", ask=True), "vault.write consumer")
    del stage.vault.docs[stage["B"].edges_of(NAME, stage["B"].clock).slot]
    stage.reconcile("B")
    stage.sleep(TAKE_OVER)
    stage.until(stage.begin("B"), "target.mint")
    with pytest.raises(Violation, match="I1"):
        stage.finish(paused)


def test_retiring_without_proof_is_caught(monkeypatch):
    def revoke(seen, record, step):
        with suppress(Transient):
            yield from RevokeToken(record.predecessor.target, record.predecessor.token)
        return ev.Retired(seen.at, "asked for")

    plant(monkeypatch, steps.Revoke, revoke)
    assert caught("I2")


def test_judging_grace_by_our_own_clock_alone_is_caught(monkeypatch):
    monkeypatch.setattr(context, "decided_by", lambda ours, shared: ours)
    assert caught("I10", seeds=400)


def test_taking_the_grace_from_changed_settings_is_caught(monkeypatch):
    whole = transitions._published
    monkeypatch.setitem(
        transitions._ADVANCE, ev.Published, lambda record, event: whole(record, replace(event, grace_ends=None))
    )
    assert caught("I10", seeds=1200)


def test_starting_at_one_after_a_lost_journal_is_caught(monkeypatch):
    monkeypatch.setattr(publishing, "number", lambda doc: 0)
    assert caught("I8", seeds=400)


def test_a_sweep_that_does_not_look_whose_candidate_it_destroys_is_caught(monkeypatch):
    monkeypatch.setattr(retiring, "attempt_in", lambda slot, record: (0, 0))
    stage = Stage()
    stage.lose(lost_value := stage.until(stage.begin("A"), "target.mint"))
    stage.finish(lost_value)
    stage.sleep(20)
    paused = stage.until(stage.begin("A"), "vault.write consumer")
    stage.until(paused, "vault.read staged")
    stage.take_over("B")
    stage.until(stage.until(stage.begin("B", ask=True), "target.mint"), "target.verify")
    with pytest.raises(Violation, match="I4"):
        stage.finish(paused)


# --- values that the target is told -------------------------------------------------------------------------------


def one_slot(**options) -> Swarm:
    """Fair weather over a target that keeps one value."""
    return Swarm(kinds=(Kind.ONE_SLOT,), interval=60.0, active=400.0, **options)


def test_not_putting_the_old_value_back_after_a_rejection_is_caught(monkeypatch):
    def burned(seen, record, step):
        yield from ()
        return ev.Burned(seen.at, (), step.give_up)

    monkeypatch.setattr(installing, "put_back", burned)
    assert caught("I1", swarm=one_slot(kill=0.04, acts=("slot_metadata", "person_revokes")))


def test_telling_the_target_before_the_value_is_durable_is_caught(monkeypatch):
    def mint(seen, record, step):
        minted = yield from MintToken(record.target, step.name, None, ())
        yield from InstallValue(record.target, minted)
        return (yield from minting.stage(seen, record, minted, pending=False))

    plant(monkeypatch, steps.Mint, mint)
    assert caught("I4", seeds=5, swarm=one_slot())


def test_a_mint_that_takes_a_slot_which_must_live_on_is_caught(monkeypatch):
    monkeypatch.setattr(Target, "free_slot", lambda target, credential, keep: "1")
    assert caught("I1", seeds=5, swarm=Swarm(kinds=(Kind.TWO_SLOTS,), interval=60.0, active=400.0))


def test_publishing_before_the_proof_in_a_cut_over_is_caught(monkeypatch):
    def install(seen, record, step):
        event = yield from installing.install(seen, record, step)
        doc, _ = yield from consumer_path.look(seen, record)
        return ev.Verified(seen.at, doc.version) if isinstance(event, ev.Installed) else event

    plant(monkeypatch, steps.Install, install)
    assert caught("I1a", seeds=5, swarm=one_slot())


def test_removing_a_key_from_the_set_before_its_grace_is_over_is_caught(monkeypatch):
    monkeypatch.setattr(retirement, "earliest", lambda policy, published_at, **_: published_at)
    assert caught("I10", seeds=5, swarm=Swarm(kinds=(Kind.KEY_SET,), interval=60.0, active=400.0))


def by_value(**options) -> Swarm:
    """A world whose target ends tokens by their value."""
    return Swarm(kinds=(Kind.BY_VALUE,), interval=60.0, grace=10.0, active=400.0, **options)


def test_a_server_that_is_believed_when_it_says_yes_is_caught(monkeypatch):
    def believed(*_):
        yield from ()
        return True, "the server says so"

    assert not caught("I", "L", seeds=5, swarm=by_value(deaf=True))
    monkeypatch.setattr(retiring, "_is_dead", believed)
    assert caught("I2", seeds=5, swarm=by_value(deaf=True))


def test_forgetting_at_a_publication_what_could_not_be_revoked_is_caught(monkeypatch):
    def published(record, event, right=transitions._published):
        return replace(right(record, event), left=())

    leaks = by_value(deaf=True, acts=("ask", "emergency"))
    assert not caught("I", "L", seeds=5, swarm=leaks)
    monkeypatch.setitem(transitions._ADVANCE, ev.Published, published)
    assert caught("I2", seeds=5, swarm=leaks)


def test_ending_the_published_value_along_with_each_predecessor_is_caught(monkeypatch):
    assert not caught("I", "L", seeds=5, swarm=by_value(families=True))
    monkeypatch.setattr(retiring, "_not_to_revoke", _never)
    assert caught("I1", seeds=5, swarm=by_value(families=True))


def test_a_registration_token_that_a_late_actor_writes_over_the_next_one_is_caught(monkeypatch):
    stopped = Swarm(kinds=(Kind.REGISTERED,), interval=60.0, grace=10.0, active=800.0, slow=0.1, pause=0.02)
    assert not caught("I", "L", seeds=20, swarm=stopped)

    def keep(registration, spent, fresh):
        registration.held, registration.unwritten = fresh, 0

    monkeypatch.setattr(Registration, "keep", keep)
    assert caught("I3", seeds=20, swarm=stopped)


def _never(*_):
    yield from ()
    return ""


def test_polling_that_believes_the_person_without_a_proof_is_caught(monkeypatch):
    def poll(seen, record, step):
        doc, _ = yield from consumer_path.look(seen, record)
        return ev.Verified(seen.at, doc.version)

    plant(monkeypatch, steps.Poll, poll)
    assert caught("I1a", seeds=5, swarm=one_slot(by_hand="install"))


def test_telling_the_target_after_the_lease_has_passed_on_is_caught(monkeypatch):
    monkeypatch.setattr(Leases, "lapses", lambda leases, entry: float("inf"))
    with pytest.raises(Violation, match=r"I1: A1, by .*, ends .*, which consumers read"):
        overtaken_before_it_tells()


def test_an_undo_that_forgets_what_it_replaces_is_caught(monkeypatch):
    def published(record, event, right=transitions._published):
        after = right(record, event)
        return replace(after, predecessor=None, strays=True) if record.undo else after

    monkeypatch.setitem(transitions._ADVANCE, ev.Published, published)
    assert caught("I2", "I3", "I10", swarm=Swarm(interval=120.0, acts=("undo", "ask")))


def test_a_lineage_that_comes_again_after_a_lost_journal_is_caught(monkeypatch):
    monkeypatch.setattr(TokenOwners, "spares", lambda *_: False)  # the second line of defence
    stage = Stage(options={"overwrite": True})
    for process in stage.history.processes:
        process.reconciler.lineage = lambda: "cafe"
    stage.settle()
    stage.forget_journal()
    stage.until(stage.begin("B"), "target.mint")
    stage.finish(stage.sweep("A"))  # B has the lease: nothing of its credential is ended meanwhile
    stage.sleep(60)  # B stands still for longer than that
    with pytest.raises(Violation, match=r"I1: A1 ends .*, which consumers read"):
        stage.finish(stage.sweep("A"))
