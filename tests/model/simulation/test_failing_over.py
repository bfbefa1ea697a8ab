"""Directed schedules of a Vault that loses its leader or lags behind it: what is known then, and what is done."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rotator.engine import procedure_driver
from rotator.engine.context import RotationContext
from rotator.rotation.procedures.calls import ReadConsumer
from tests.model.simulation.stage import NAME, TAKE_OVER, Stage, Visit
from tests.model.simulation.wire import attempt

SENT = ("vault.write journal sent", "vault.write staged sent", "vault.write consumer sent")
WRITES = 9  # with check-and-set, of a rotation and its retirement

Death = Callable[[Stage, Visit], None]


def applied_and_gone(stage: Stage, visit: Visit) -> None:
    """The leader carries the write out, and is killed before it answers."""
    assert visit.thread.wire is not None
    attempt(visit.thread.wire)
    stage.lose(visit)


def gone(stage: Stage, visit: Visit) -> None:
    """The leader is killed before it carries the write out."""
    stage.lose(visit)


def rotated(stage: Stage, *, at: int = 0, death: Death | None = None) -> int:
    """One rotation on request and its retirement; the leader dies at write number `at`. How many writes there were."""
    writes = 0
    for ask in (True, False, False):
        visit = stage.begin("A", ask=ask)
        while stage.step(visit):
            writes += visit.thread.label in SENT
            if visit.thread.label in SENT and writes == at and death:
                death(stage, visit)
        stage.sleep(61)
    return writes


@pytest.mark.parametrize("death", [applied_and_gone, gone])
@pytest.mark.parametrize("number", range(1, WRITES + 1))
def test_a_leader_kill_between_check_and_set_and_response_neither_loses_nor_doubles_a_write(
    number: int, death: Death
) -> None:
    calm, struck = Stage(actors=1), Stage(actors=1)
    for stage in (calm, struck):
        stage.settle()
    before = len(struck.target.tokens)
    assert rotated(calm) == WRITES
    assert rotated(struck, at=number, death=death) >= WRITES
    assert [doc.newest for doc in struck.vault.docs.values()] == [doc.newest for doc in calm.vault.docs.values()]
    assert len(struck.target.tokens) == before + 1, "one mint, whatever became of the write"
    assert (struck.record.phase, struck.record.rotation, struck.record.attempt) == ("settled", 2, 1)
    assert struck.alive() == {struck.published().id} == {struck.record.current.token.id}
    assert not struck.record.failure


@pytest.mark.parametrize("number", range(1, WRITES + 1))
def test_a_leader_that_takes_its_client_along_leaves_work_that_another_finishes(number: int) -> None:
    stage = Stage()
    stage.settle()

    def both(stage: Stage, visit: Visit) -> None:
        assert visit.thread.wire is not None
        attempt(visit.thread.wire)
        stage["A"].kill()
        visit.thread.coro.close()
        raise InterruptedError

    with pytest.raises(InterruptedError):
        rotated(stage, at=number, death=both)
    stage.take_over("B")
    stage.settle("B")
    stage.finish(stage.sweep("B"))
    assert stage.record.rotation == 2
    assert stage.alive() == {stage.published().id} == {stage.record.current.token.id}


# --- a standby that lags behind, while the predecessor is retired ---------------------------------------------------


def retiring_stage(**options: object) -> tuple[Stage, Visit]:
    """Condemned, and the next request on the wire is the look at the consumer path before the revocation."""
    stage = Stage(options={"grace": 300.0, **options})
    stage.settle()
    stage.reconcile("A", ask=True)
    stage.sleep(301)
    visit = stage.until(stage.begin("A"), "vault.write journal")
    while stage.record.phase != "condemned":
        stage.step(visit)
    return stage, visit


def put_back(stage: Stage) -> None:
    """A person writes the predecessor to the consumer path once more; the standby does not know yet."""
    place = stage.checks.live_path[NAME]
    stage.vault.overwrite(place, dict(stage.vault.docs[place].versions[1].values or {}))


def test_a_standby_read_in_retiring_revokes_nothing_that_is_still_published() -> None:
    stage, visit = retiring_stage(stale=1.0)  # every plain read is answered from the version before
    put_back(stage)
    stage.finish(visit)
    assert (stage.record.phase, len(stage.alive())) == ("held", 2)
    assert stage.published().id == stage.record.predecessor.token.id


def test_a_standby_read_in_retiring_leaves_nothing_over() -> None:
    stage, visit = retiring_stage(stale=1.0)
    stage.finish(visit)
    for _ in range(3):
        stage.sleep(TAKE_OVER)
        stage.reconcile("A")
    assert (stage.record.phase, stage.record.predecessor) == ("settled", None)
    assert stage.alive() == {stage.published().id}
    assert ("condemned", "vault_stale_read") in stage.world.pairs


def test_a_plain_look_in_retiring_revokes_what_is_published_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stage, visit = retiring_stage(stale=1.0)

    async def plainly(context: RotationContext, call: ReadConsumer):
        return await context.dependencies.store.read(call.place)

    monkeypatch.setitem(procedure_driver._MAKE, ReadConsumer, plainly)
    put_back(stage)
    stage.finish(visit)
    assert stage.published().ended, "the schedule is one that does harm where the look is a plain read"
