"""Requests for credentials that left the settings: shown, given up after an hour, told, and removed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from rotator.commands import requests as module
from rotator.commands.requests import look_for_requests, unclaimed
from rotator.ports import Fault, Transient
from rotator.rotation.operator_request import OperatorRequest, RequestVerb
from tests.unit.rotation.builders import HOUR, MINUTE, NOW, credential

pytestmark = pytest.mark.anyio
LEAK = OperatorRequest("w1", RequestVerb.ROTATE, NOW, "ada", emergency=True, live=("t1.1",))


class Actor:
    """What looks for requests: a Vault with one for `gone`, and one for `bot`."""

    def __init__(self) -> None:
        self.daemon = SimpleNamespace(read_only=False)
        self.settings = SimpleNamespace(credentials={"bot": credential(name="bot")}, daemon=self.daemon)
        self.worker_pool = self.guard = self.requests = self.fleet = self.clock = self
        self.expected = frozenset({"bot", "gone"})
        self.kept = {"bot": [LEAK], "gone": [LEAK]}
        self.time = NOW
        self.looked: list[str] = []
        self.missed: list[tuple[str, str]] = []
        self.sealed = False
        self.receipts: list[tuple[str, str]] = []

    def now(self) -> datetime:
        return self.time

    def look_at(self, *names: str) -> None:
        self.looked += names

    @contextmanager
    def asking_vault(self, what: str) -> Iterator[None]:
        try:
            yield
        except Fault as fault:
            self.missed.append((what, fault.reason))

    async def look(self) -> frozenset[str]:
        if self.sealed:
            raise Transient("sealed")
        return self.expected

    async def waiting(self, name: str) -> tuple[OperatorRequest, ...]:
        return tuple(self.kept[name])

    async def remove(self, name: str, request: OperatorRequest) -> None:
        self.kept[name].remove(request)

    async def pauses(self) -> tuple[()]:
        return ()

    def observe(self, pauses: object) -> None:
        """Nothing is paused."""

    async def record_fleet(self, at: datetime, event: str, by: str, said: str) -> None:
        self.receipts.append((event, said))


async def look(app: Actor, after: timedelta) -> None:
    app.time = NOW + after
    await look_for_requests(app)  # type: ignore[arg-type]  # the part that it uses


async def test_a_vault_that_is_away_is_told_of_and_pauses_are_asked_for_all_the_same() -> None:
    app = Actor()
    app.sealed = True
    await look(app, MINUTE)
    assert app.missed == [("requests", "sealed")]


async def test_it_is_shown_and_waited_for_as_another_process_may_have_the_credential(monkeypatch) -> None:
    app: Any = Actor()
    [seen] = await unclaimed(app)
    assert (seen.credential, seen.request) == ("gone", LEAK)
    await look(app, HOUR - MINUTE)
    assert (app.kept["gone"], app.receipts) == ([LEAK], [])


async def test_after_an_hour_it_is_given_up_told_and_removed_and_no_others_request_is(monkeypatch) -> None:
    told: list[tuple[str, str]] = []
    monkeypatch.setattr(module.logs, "tell", lambda event, severity, **said: told.append((event, said["credential"])))
    app: Any = Actor()
    await look(app, HOUR)
    assert (app.kept["gone"], app.kept["bot"]) == ([], [LEAK])
    assert told == [("request.given_up", "gone")]
    [(event, said)] = app.receipts
    assert event == "request.given_up"
    assert "gone: given up: emergency, asked for by ada" in said
    assert "alive when it was typed, and nobody ends them: t1.1" in said


async def test_it_is_told_as_given_up_although_the_answer_to_its_removal_is_lost(monkeypatch) -> None:
    app: Any = Actor()
    remove = app.remove

    async def lost(name: str, request: Any) -> None:
        await remove(name, request)
        raise Transient("no answer")

    monkeypatch.setattr(app, "remove", lost)
    await look(app, HOUR)
    assert app.kept["gone"] == []
    assert [event for event, _ in app.receipts] == ["request.given_up"]


async def test_on_a_copy_of_vault_nothing_is_given_up() -> None:
    app: Any = Actor()
    app.daemon.read_only = True
    await look(app, HOUR)
    assert (app.kept["gone"], app.receipts) == ([LEAK], [])
