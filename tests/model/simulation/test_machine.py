"""Hypothesis draws the schedule and shrinks what breaks: visits, crashes, lost answers, pauses, clocks, people."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import Phase as Part
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from rotator.ports import Transient
from rotator.rotation import events as ev
from rotator.rotation import procedures, steps
from rotator.rotation.record import Phase
from rotator.rotation.schedule import Every
from tests.kit.kinds import INSTALLED, Kind
from tests.kit.promises import Violation
from tests.model.simulation.history import CONVERGED
from tests.model.simulation.stage import NAME, Stage, Visit
from tests.model.simulation.wire import attempt

ACTORS = 2
HOSTS = st.sampled_from("AB"[:ACTORS])
CALLS = st.integers(0, 12)
ACTS = st.sampled_from(
    (
        *("foreign_write", "foreign_key", "soft_delete", "rollback", "person_revokes", "slot_metadata"),
        *("policy", "path", "release", "mend", "allow", "forbid"),
    )
)
BOUNDED = settings(
    derandomize=True,
    database=None,
    max_examples=300,
    stateful_step_count=30,
    deadline=None,
    report_multiple_bugs=False,
    phases=(Part.generate, Part.shrink),
    suppress_health_check=list(HealthCheck),
)
RESTS = frozenset({Phase.SETTLED, Phase.PUBLISHED, Phase.HELD, Phase.AWAITING})


class Machine(RuleBasedStateMachine):
    """A stage whose every move is a rule. The checks of the models raise in the rule that breaks a promise."""

    taken: ClassVar[list[str]] = []  # the rules of the run that came last, which after a failure is the shrunk one

    def __init__(self) -> None:
        super().__init__()
        self.paused: list[Visit] = []
        type(self).taken = []

    @initialize(kind=st.sampled_from(Kind), by_hand=st.sampled_from(("", "install", "mint")), slow=st.booleans())
    def begin(self, kind: Kind, by_hand: str, slow: bool) -> None:
        """One credential in fair weather."""
        settling = {"settle": 4.0, "cache": 6.0} if slow else {}
        hand = by_hand if kind in INSTALLED else ""
        self.stage = Stage(ACTORS, {"kinds": (kind,), "by_hand": hand, "lifetime": 900.0, **settling})

    @rule(host=HOSTS, ask=st.booleans())
    def reconcile(self, host: str, ask: bool) -> None:
        """Undisturbed."""
        self._took("visit")
        self.stage.reconcile(host, ask=ask)

    @rule(host=HOSTS)
    def emergency(self, host: str) -> None:
        """With `rotate now --emergency`."""
        self._took("emergency")
        self.stage.reconcile(host, emergency=True)

    @rule(host=HOSTS, call=CALLS, landed=st.booleans(), ask=st.booleans())
    def crash(self, host: str, call: int, landed: bool, ask: bool) -> None:
        """Killed while a request is on the wire; it takes effect or not."""
        self._took("crash")
        visit = self._until(host, call, ask)
        if landed and visit.thread.wire:
            attempt(visit.thread.wire)
        visit.thread.coro.close()
        self.stage[host].start()
        self.stage[host].close()

    @rule(host=HOSTS, call=CALLS, landed=st.booleans(), ask=st.booleans())
    def lose(self, host: str, call: int, landed: bool, ask: bool) -> None:
        """The answer to one request is lost, or the request is."""
        self._took("lose")
        visit = self._until(host, call, ask)
        if visit.end is not None:
            return
        if landed and visit.thread.wire:
            attempt(visit.thread.wire)
        try:
            self.stage.fail(visit, Transient("no answer"))
        except StopIteration:
            return
        self.stage.finish(visit)

    @rule(host=HOSTS, call=CALLS, ask=st.booleans())
    def pause(self, host: str, call: int, ask: bool) -> None:
        """Stopped while a request is about to leave."""
        self._took("pause")
        visit = self._until(host, call, ask)
        self.paused += [visit] if visit.end is None else []

    @precondition(lambda self: self.paused)
    @rule()
    def resume(self) -> None:
        """The one that was stopped first goes on."""
        self._took("resume")
        self.stage.finish(self.paused.pop(0))

    @rule(seconds=st.sampled_from((1.0, 15.0, 40.0, 130.0, 700.0)))
    def sleep(self, seconds: float) -> None:
        """Time passes."""
        self._took("sleep")
        self.stage.sleep(seconds)

    @rule(host=HOSTS, skew=st.sampled_from((0.0, 30.0, 3600.0)))
    def clock(self, host: str, skew: float) -> None:
        """A host's wall clock moves; Vault's stays right."""
        self._took("clock")
        self.stage[host].clock.skew = skew

    @rule(act=ACTS)
    def person(self, act: str) -> None:
        """Somebody does something to Vault, the target or the settings."""
        self._took(act)
        getattr(self.stage.people, act)(NAME)

    @rule()
    def hands(self) -> None:
        """A person does what a credential waits for."""
        self._took("hands")
        self.stage.people.hands.look(NAME)

    @rule(sealed=st.booleans(), refused=st.booleans())
    def outage(self, sealed: bool, refused: bool) -> None:
        """Vault is sealed, or the target refuses our minter; or neither any more."""
        self._took("outage")
        self.stage.vault.sealed, self.stage.target.minter_refused = sealed, refused

    @invariant()
    def what_is_published_is_accepted(self) -> None:
        """I1, but for a cut-over under way."""
        stage = getattr(self, "stage", None)
        latest = stage.checks.ledgers[NAME].latest if stage else None
        if latest:
            stage.checks.cut_over.journalled(NAME, latest)

    def teardown(self) -> None:
        """Once trouble is over, the record comes to rest."""
        stage = getattr(self, "stage", None)
        if stage is None or any(" !  " in line for line in stage.world.lines[-1:]):
            return  # broken already
        stage.vault.sealed = stage.target.minter_refused = False
        for process in stage.history.processes:
            process.clock.skew = 0.0
            process.config[NAME] = replace(process.config[NAME], schedule=Every(timedelta(hours=1)))
        for visit in self.paused:
            stage.finish(visit)
        stage.sleep(2 * 3600.0)  # whatever clocks had put off
        for visits, host in enumerate("ABABABABABAB"):
            if visits >= 8 and stage.record.phase in RESTS:
                break  # short-lived values are renewed in between: what began with the last visit has its time, too
            stage.sleep(CONVERGED)
            stage.reconcile(host)
        stage.checks.cut_over.journalled(NAME, stage.record)
        assert stage.record.phase in RESTS, f"stuck in {stage.record.phase}: {stage.record.failure}"

    def _until(self, host: str, call: int, ask: bool) -> Visit:
        """A visit up to its n-th request, or its end."""
        visit = self.stage.begin(host, ask=ask)
        while call >= 0 and visit.end is None and self.stage.step(visit):
            call -= visit.thread.label.endswith("sent")
        return visit

    def _took(self, name: str) -> None:
        type(self).taken.append(name)


class OnTokens(Machine):
    """On one sort of target: what Hypothesis draws depends on what else is imported, so let there be less to draw."""

    @initialize()
    def begin(self) -> None:
        """Tokens that are made there."""
        self.stage, type(self).taken = Stage(ACTORS, {"lifetime": 900.0}), []


@pytest.mark.timeout(300)
def test_every_schedule_that_hypothesis_draws_holds_every_promise():
    run_state_machine_as_test(Machine, settings=BOUNDED)


@pytest.mark.timeout(300)
def test_what_breaks_is_shrunk_to_a_few_rules(monkeypatch):
    def burn(seen, record, step):
        yield from ()
        return ev.Burned(seen.at, (), step.give_up)

    monkeypatch.setitem(procedures._PROCEDURES, steps.Burn, burn)
    with pytest.raises(Violation, match="I3"):
        run_state_machine_as_test(OnTokens, settings=BOUNDED)
    assert len(OnTokens.taken) <= 4, OnTokens.taken
