"""`rotate verify` without a daemon: a refusal that counts is in the record afterwards, for `status` and `due`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from click.testing import CliRunner, Result

from rotator.app import control, standalone
from rotator.cli import base
from rotator.cli.check import verify_command
from rotator.commands import queries
from rotator.engine.circuit_breakers import Guard
from rotator.engine.worker_pool import WorkerPool
from rotator.ports import Fault, Rejected, StoreRefused
from tests.kit.clock import HandClock, StillClock
from tests.unit.engine.world import Actor, World

NAME = "blog/bot"


class Sleeping(StillClock):
    """A command sleeps where a visit does not."""

    async def sleep(self, seconds: float) -> None:
        await HandClock.sleep(self, seconds)


class Installation:
    """One published credential, and the command without a daemon: it may not act when there is `no_rights`."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.clock = Sleeping()
        self.world = World(clock=self.clock)
        self.no_rights: Fault | None = None
        self.acted = 0
        self.engine: Actor = self.world.actor()
        anyio.run(self.engine.reconcile)
        self.engine.told.clear()
        daemon = SimpleNamespace(read_only=False)
        known = {NAME: self.engine.credential}
        self.settings: Any = SimpleNamespace(
            credentials=known, daemon=daemon, targets={"blog": SimpleNamespace(minter=None)}
        )
        patch.setattr(base, "reach", lambda config: base.Reach(self.settings, "nowhere"))
        patch.setattr(control, "answers", self._no_daemon)
        for module in (standalone, queries):
            patch.setattr(module, "reading", self._reading)
        patch.setattr(standalone, "working", self._working)

    async def _no_daemon(self, _socket: str) -> bool:
        return False

    @asynccontextmanager
    async def _reading(self, settings: Any) -> AsyncIterator[Any]:
        yield self._actor()

    @asynccontextmanager
    async def _working(self, settings: Any, within: float, *, visits: bool, missed: Any) -> AsyncIterator[Any]:
        self.acted += 1
        if self.no_rights:
            raise self.no_rights
        assert not visits, "the value itself is not changed"
        yield self._actor(), None

    def _actor(self) -> Any:
        async def control(wanted: object) -> None:
            pass

        engine, clock = self.engine, self.world.clock
        guard = Guard(
            reconciler=engine.reconciler,
            dependencies=lambda wanted: engine.dependencies,
            clock=clock,
            unforeseen=lambda name, bug: None,
            troubled=lambda wanted, reason: None,
            control=control,
            minter=lambda wanted: wanted.target,
        )
        pool = WorkerPool(guard=guard, clock=clock, credentials=self.settings.credentials, per_target={}, workers=1)
        return SimpleNamespace(
            settings=self.settings,
            journal=engine.journal,
            kv=engine.dependencies.store,
            clock=clock,
            installation=engine.dependencies.installation,
            dependencies=lambda wanted: engine.dependencies,
            server=lambda wanted: SimpleNamespace(control=control),
            worker_pool=pool,
            hooks_failed=set[str](),
        )

    def verify(self) -> Result:
        return CliRunner().invoke(verify_command, [NAME])

    @property
    def noted(self) -> bool:
        return anyio.run(self.world.record).refused_at is not None

    def revoke(self) -> None:
        self.world.target.revoke(anyio.run(self.world.record).current.token)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Installation:
    return Installation(monkeypatch)


def test_a_repeated_refusal_is_noted_and_the_next_round_makes_a_new_value(alone: Installation) -> None:
    alone.revoke()
    before = alone.clock.moved
    ended = alone.verify()
    assert ended.exit_code == 5, ended.output
    assert "refused: blog/bot; asked once more in 10 s" in ended.stderr
    assert "blog/bot: written to its record" in ended.stderr
    assert (alone.engine.events, alone.noted) == (["Disproved"], True)
    assert 10 <= alone.clock.moved - before < 11
    assert alone.verify().exit_code == 5
    assert alone.acted == 1, "what the record says is not noted again"
    anyio.run(alone.engine.reconcile)
    assert (alone.world.healthy, anyio.run(alone.world.record).rotation) == (True, 2)


def test_a_refusal_that_is_not_repeated_is_none(alone: Installation) -> None:
    answers = [Rejected("HTTP 401")]
    judge = alone.world.target.judge
    alone.world.target.judge = lambda token, secret: answers.pop() if answers else judge(token, secret)
    ended = alone.verify()
    assert (ended.exit_code, alone.noted) == (0, False), ended.output
    assert "its target accepts it" in ended.stdout


def test_a_final_refusal_is_noted_at_once(alone: Installation) -> None:
    alone.world.target.judge = lambda token, secret: Rejected("not a token at all", final=True)
    ended = alone.verify()
    assert (ended.exit_code, alone.noted, "once more in" in ended.stderr) == (5, True, False), ended.output


def test_without_the_right_to_write_it_says_that_nothing_is_noted(alone: Installation) -> None:
    alone.no_rights = StoreRefused("no right to write")
    alone.revoke()
    ended = alone.verify()
    assert (ended.exit_code, alone.noted) == (5, False), ended.output
    said = "not written to the record of blog/bot, so `rotate status` does not know of it: no right to write"
    assert said in ended.stderr


def test_a_copy_is_left_as_it_is(alone: Installation) -> None:
    alone.settings.daemon.read_only = True
    alone.revoke()
    ended = alone.verify()
    assert (ended.exit_code, alone.noted, alone.acted) == (5, False, 0), ended.output
    assert "no new value comes by itself: [daemon] read_only = true" in ended.stderr


def test_who_may_read_and_finds_nothing_refused_needs_no_more(alone: Installation) -> None:
    assert (alone.verify().exit_code, alone.acted) == (0, 0)
