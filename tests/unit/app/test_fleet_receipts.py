"""A pause of many changes no record of a credential: what was done and who asked for it is a receipt all the same."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from rotator.app.composition import Actor
from rotator.commands import operator_commands
from rotator.observe.event_log import TransitionListeners
from rotator.observe.observers import Observers
from rotator.observe.receipts import verify
from rotator.ports import Document, Entry, Installation, Lease
from rotator.rotation.credential import Credential, VaultPath
from rotator.rotation.record import Phase, Record, Unended
from rotator.settings import Audit, DaemonConfig, Method, Settings, VaultAuth, VaultConfig
from rotator.testing.memory_vault import MemoryVault
from tests.kit.clock import HandClock
from tests.kit.fleet import named
from tests.unit.rotation.builders import NOW, published, record

pytestmark = pytest.mark.anyio


class Kv:
    """A client of a Vault in memory."""

    def __init__(self) -> None:
        self.vault = MemoryVault()
        self.session = SimpleNamespace(login_end=None)

    async def read(self, place: VaultPath, *, version: int | None = None, strong: bool = False) -> Document:
        return self.vault.get(place, version)

    async def write(self, place: VaultPath, values: Any, *, cas: int) -> int:
        return self.vault.put(place, values, cas)


async def untouched(name: str) -> Entry:
    return Entry(name, 0, None, Lease())


@pytest.fixture
def wanted(tmp_path: Path) -> Settings:
    made = Settings(VaultConfig("https://vault.test", VaultAuth(Method.TOKEN, "")), DaemonConfig("host-a"))
    both = {"blog": replace(named("blog"), labels={"team": "web"}), "shop": named("shop")}
    return replace(made, credentials=both, audit=Audit(str(tmp_path / "receipts.jsonl"), required=True))


@pytest.fixture
async def app(wanted: Settings) -> AsyncIterator[Actor]:
    observers, ours = Observers(wanted), Installation("abc123", b"a key of this test's own")
    journal: Any = SimpleNamespace(load=untouched)
    kv: Any = Kv()
    made = Actor(wanted, journal, kv, ours, HandClock(), observers.told, observers.barred, (), observers.recorded)
    made.fleet_observer = observers.fleet
    async with anyio.create_task_group() as group:
        made.tasks.group = group
        yield made
        group.cancel_scope.cancel()
    observers.close()


async def ask(app: Actor, verb: str, **request: Any) -> int:
    """The exit code."""
    command = operator_commands.parse_operator_command(verb, {"by": "ada (uid 7)", "within": "5s", **request})
    with TransitionListeners().hearing() as transitions:
        lines = [line async for line in operator_commands.obey(app, command, transitions)]
    return next(int(line["exit"]) for line in reversed(lines) if "exit" in line)


def kept(file: Path) -> list[dict[str, Any]]:
    """Every line, of a chain that is sound."""
    with file.open("rb") as lines:
        assert not verify([("it", lines)]).findings
    return [json.loads(line) for line in file.read_text().splitlines()]


CHANGES = [
    ("pause", {"everything": True, "reason": "a move"}, "fleet.paused", "a move"),
    ("resume", {"everything": True}, "fleet.resumed", "--all goes on"),
    ("pause", {"targets": ["blog"]}, "fleet.paused", "2 credentials now"),
    ("resume", {"targets": ["blog"]}, "fleet.resumed", "--target blog goes on"),
    ("pause", {"labels": {"team": "web"}}, "fleet.paused", "1 credential now"),
]


async def test_each_change_is_a_line_of_a_sound_chain_when_its_verdict_is_told(app: Actor, wanted: Settings) -> None:
    file = Path(wanted.audit.file)
    for number, (verb, request, event, said) in enumerate(CHANGES, 1):
        assert await ask(app, verb, **request) == 0
        lines = kept(file)
        assert len(lines) == number
        last = lines[-1]
        assert (last["event"], last["asked_by"], last["by"]) == (event, "ada (uid 7)", app.holder)
        assert said in last["said"]
    assert [each.labels for each in app.pauses] == [{"team": "web"}]


async def test_the_end_of_old_values_is_taken_on_a_persons_word_for_each_of_them(
    app: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tuple(Unended(published(number), "end it", NOW, NOW) for number in (1, 2))
    found = record(Phase.SETTLED, current=published(3), unended=left)
    obeyed = list[str]()

    async def obey(reconciler: object, credential: Credential, *_: object) -> Record:
        obeyed.append(credential.name)
        return found

    async def load(name: str) -> Entry:
        return Entry(name, 0, found if name == "blog" else None, Lease())

    monkeypatch.setattr(type(app.worker_pool.guard.reconciler), "obey", obey)
    monkeypatch.setattr(app, "dependencies", lambda credential: None)
    monkeypatch.setattr(app.journal, "load", load)
    assert await ask(app, "release", names=["blog", "shop"], ended=True) == 0
    assert obeyed == ["blog", "blog"]
