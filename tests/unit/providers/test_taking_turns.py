"""Two applications that take turns: whatever becomes of a call, in the end only the published one is active."""

from __future__ import annotations

import pytest

from rotator.ports import Conflict
from rotator.rotation.record import Phase
from tests.unit.providers.turns import BEFORE_US, Fate, Lost, Turns

pytestmark = pytest.mark.anyio

LOST = (Fate(Lost.BEFORE), Fate(Lost.AFTER))
LATE = tuple(Fate(Lost.LATE, later) for later in (1, 4, 12))
CHANGES = {"install crm": 5, "revoke spare": 13, "install spare": 20, "revoke crm": 28}  # calls of rotations 2 and 3


async def test_what_the_first_application_held_before_us_lives_until_the_second_rotation_needs_its_place() -> None:
    """It is not ours: whoever set it up may have handed it out by hand."""
    turns = Turns()
    daemon = await turns.rotated(turns.daemon())
    assert turns.published is turns.spare
    assert turns.active == ["crm", "spare"]
    assert turns.model.accepts_secret(turns.crm, BEFORE_US)
    await turns.rotated(daemon)
    assert turns.published is turns.crm
    assert turns.active == ["crm"]
    assert not turns.model.accepts_secret(turns.crm, BEFORE_US)


@pytest.mark.parametrize("kill", [False, True], ids=["lost", "killed"])
@pytest.mark.parametrize("change", CHANGES)
async def test_whatever_becomes_of_a_change_only_the_published_application_stays_active(
    change: str, kill: bool
) -> None:
    for fate in (*LOST, *LATE):
        await _suffered(Turns(fenced=False), CHANGES[change], Fate(fate.lost, fate.later, kill))


@pytest.mark.parametrize("change", CHANGES)
async def test_a_desk_that_refuses_what_comes_late_is_asked_again(change: str) -> None:
    await _suffered(Turns(), CHANGES[change], LATE[0])


async def test_an_application_that_is_told_late_in_a_rotation_that_was_given_up_is_switched_off_again() -> None:
    turns = Turns(fenced=False)
    daemon = await turns.rotated(turns.daemon(mints=1))
    install = turns.wire.calls + CHANGES["install spare"]
    daemon = await turns.rotated(daemon)
    turns.wire.fates[install] = Fate(Lost.LATE, later=100)
    turns.wire.refusals.add(install + 1)
    await turns.until(daemon, lambda record: record.given_up == 1)
    assert install in turns.wire.changes, "another call was struck"
    await turns.quiet(daemon)
    assert turns.active == [turns.published.name] == ["crm"]


async def test_the_published_application_is_told_anew_when_somebody_switches_it_off_in_the_grace_of_the_other() -> None:
    """Both hold what had to live on; one shows that it does not."""
    turns = Turns()
    daemon = await turns.rotated(turns.daemon(), 2)
    await turns.until(daemon, lambda record: turns.published is turns.spare)
    assert turns.active == ["crm", "spare"]
    turns.spare.inactive = True
    await turns.until(daemon, lambda record: turns.accepted and record.phase is Phase.SETTLED)
    assert turns.active == [turns.published.name] == ["spare"]


@pytest.mark.parametrize("rotations", [2, 3])
@pytest.mark.parametrize("change", ["install crm", "install spare"])
async def test_a_daemon_that_stands_still_before_the_look_of_an_installation_for_rotations_changes_nothing(
    change: str, rotations: int
) -> None:
    """The look would say nothing against it: nobody sees whose value an application holds."""
    turns = Turns(fenced=False)
    stopped, others = await turns.rotated(turns.daemon()), turns.daemon()

    async def meanwhile() -> None:
        await turns.rotated(others, rotations)

    turns.wire.holds[turns.wire.calls + CHANGES[change] - 1] = meanwhile
    with pytest.raises(Conflict):
        await turns.rotated(stopped, 2)
    await turns.quiet(others)
    assert turns.active == [turns.published.name]
    assert turns.refused == []


async def test_a_daemon_that_stands_still_before_the_look_of_a_revocation_spares_what_was_published_since() -> None:
    turns = Turns(fenced=False)
    stopped, others = await turns.rotated(turns.daemon()), turns.daemon()

    async def meanwhile() -> None:
        await turns.until(others, lambda record: turns.published is turns.spare)
        assert turns.active == ["crm", "spare"]

    turns.wire.holds[turns.wire.calls + CHANGES["revoke spare"] - 2] = meanwhile
    with pytest.raises(Conflict):
        await turns.rotated(stopped)
    await turns.quiet(others)
    assert turns.active == [turns.published.name] == ["spare"]
    assert turns.refused == []


async def _suffered(turns: Turns, number: int, fate: Fate) -> None:
    """Strike at this call after the first rotation, rotate twice, wait, judge."""
    daemon = await turns.rotated(turns.daemon())
    number += turns.wire.calls
    turns.wire.fates[number] = fate
    daemon = await turns.rotated(daemon, 2)
    assert number in turns.wire.changes, "another call was struck"
    await turns.quiet(daemon)
    assert turns.active == [turns.published.name], fate
    assert turns.refused == [], fate
