"""Callers that go away, or dawdle: every verb of the daemon goes on, and its socket serves the next one."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from rotator.app import control
from rotator.app.control import Control
from rotator.app.daemon import Daemon
from rotator.commands import operator_commands, queries, status
from rotator.engine.worker_pool import PendingRequest
from rotator.host.cron import SystemClock
from rotator.host.threads import BackgroundTasks
from rotator.observe.event_log import TransitionListeners
from rotator.ports import Entry
from rotator.rotation.credential_state import Observed
from tests.unit.app.test_control import until
from tests.unit.rotation.builders import credential

pytestmark = pytest.mark.anyio
NAMES = ("a", "b", "c")


class Fleet:
    """An actor in whose place the test does the work: `begun` and `done` say of which credential and verb."""

    stopping = ""
    passing, hooks = False, None

    def __init__(self) -> None:
        names = {name: credential(name=name) for name in NAMES}
        vault = SimpleNamespace(address="http://v", mount="secret", prefix="rotator")
        self.settings = SimpleNamespace(
            credentials=names, daemon=SimpleNamespace(read_only=False), vault=vault, digest="d"
        )
        self.kv = SimpleNamespace(session=SimpleNamespace(login_end=None))
        self.health = SimpleNamespace(vault=SimpleNamespace(trips=0, outages=0, reason=""))
        self.worker_pool, self.clock, self.holder = self, SystemClock(), "me"
        self.seen: dict[str, Any] = {}
        self.begun: list[tuple[str, str]] = []
        self.done: list[tuple[str, str]] = []
        self.go = anyio.Event()
        self.bugs: list[object] = []
        self.tasks = BackgroundTasks(lambda name, bug: self.bugs.append(bug))
        self.journal, self.requests = self, self

    async def load(self, name: str) -> Entry:
        return Entry(name, 0, None)

    async def names(self) -> list[str]:
        return [*NAMES]

    expected: frozenset[str] = frozenset()

    async def put(self, name: str, request: object) -> None:
        await anyio.sleep(0.01)

    async def look(self) -> frozenset[str]:
        return frozenset()

    async def waiting(self, name: str) -> tuple[object, ...]:
        return ()

    def ask(self, name: str, ask: object, *, patient: bool) -> PendingRequest:
        self.begun.append(("now", name))
        self.done.append(("now", name))  # an ask stays with the crew
        return PendingRequest(ask, patient)

    def visits(self, name: str) -> bool:
        """No worker does: what takes longer than its caller waits is told as not begun."""
        return False

    def look_at(self, *names: str) -> None:
        self.begun += [("look", name) for name in names]
        self.done += [("look", name) for name in names]

    async def verdict(
        self, app: object, wish: operator_commands.OperatorCommand, name: str, end: float
    ) -> dict[str, Any]:
        self.begun.append((wish.verb, name))
        await self.go.wait()
        self.done.append((wish.verb, name))
        return {"credential": name, "answer": "done", "exit": 0, "said": "x" * 1000}

    async def reload(self) -> list[str]:
        self.begun.append(("reload", ""))
        await self.go.wait()
        self.done.append(("reload", ""))
        return []

    async def recall(self, app: object, name: str, view: object, away: str) -> status.Seen:
        self.begun.append(("seen", name))
        await self.go.wait()
        self.done.append(("seen", name))
        return self.settings.credentials[name], None, self.clock.now(), Observed()

    def looks(self) -> dict[str, tuple[Any, Any]]:
        """Looks that take a while, in the place of those that need a login."""

        def named(verb: str) -> tuple[Any, Any]:
            async def look(app: object, request: object) -> list[str]:
                self.begun.append((verb, ""))
                await self.go.wait()
                self.done.append((verb, ""))
                return []

            return look, list

        return {verb: named(verb) for verb in queries._LOOKS}

    def verbs(self) -> dict[str, Any]:
        """What a daemon with this actor answers to on its socket."""
        daemon = Daemon.__new__(Daemon)
        daemon._audience = TransitionListeners()
        daemon._supervision = SimpleNamespace(missing=str)
        daemon._settings = self.settings
        daemon._lookout = SimpleNamespace(fleet=SimpleNamespace(refused=""))
        daemon._reload = self.reload
        return daemon._verbs(self)


VERBS = [*Fleet().verbs()]  # a new verb is among them; it does its own name for each credential, or it stands below
ONE = {verb: [(verb, "")] for verb in ("reload", *queries._LOOKS)}
DOES = {"ping": [], **ONE, "states": (SEEN := [("seen", x) for x in NAMES]), "explain": SEEN}
MANY = {"names": NAMES, "within": "5s"}
REQUESTS: dict[str, dict[str, Any]] = {
    **{verb: {"verb": verb, **MANY} for verb in VERBS},
    "claim": {"verb": "claim", "everything": True},
    "unused": {"verb": "unused", "older": 60.0},
    "history": {"verb": "history", "name": "a"},
    "targets": {"verb": "targets", "name": "blog"},
    "end": {"verb": "end", "tokens": ["t"], "prune": True},
    "now, in an emergency": {"verb": "now", "emergency": True, **MANY},
    "now, until the predecessor is dead": {"verb": "now", "patient": True, **MANY},
    "revoke of all on a target": {"verb": "now", "emergency": True, "patient": True, "targets": ["blog"]},
}


def work(request: dict[str, Any]) -> list[tuple[str, str]]:
    """What a request begins, and for whom."""
    verb = request["verb"]
    return DOES.get(verb, [(verb, name) for name in NAMES])


@pytest.fixture
async def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fleet]:
    made = Fleet()
    monkeypatch.setattr(operator_commands, "_verdict", made.verdict)
    monkeypatch.setattr(operator_commands, "_SIGN", 0.0)
    monkeypatch.setattr(queries, "_LOOKS", made.looks())
    monkeypatch.setattr(queries, "_SIGN", 0.01)
    monkeypatch.setattr(control, "_READ_WITHIN", 0.2)
    monkeypatch.setattr(control, "_WRITE_WITHIN", 0.2)
    monkeypatch.setattr(status, "_seen", made.recall)
    server = Control(str(tmp_path / "s"), made.verbs(), lambda *_: None, lambda verb, bug: made.bugs.append(bug))
    async with anyio.create_task_group() as group:
        made.tasks.group = group
        await group.start(server.serve)
        yield made
        group.cancel_scope.cancel()


async def test_what_takes_longer_than_its_caller_waits_is_told_and_is_no_bug(fleet: Fleet, tmp_path: Path) -> None:
    quick = SimpleNamespace(now=fleet.clock.now, monotonic=lambda: 100 * time.monotonic())
    fleet.clock = quick
    request = {"verb": "now", "names": NAMES, "within": "1s"}
    replies = [each async for each in control.call(str(tmp_path / "s"), request)]
    assert replies[-1]["exit"] == 75
    assert not fleet.bugs


async def alive(folder: Path) -> bool:
    """Whether the next caller is served."""
    return [reply["alive"] async for reply in control.call(str(folder / "s"), {"verb": "ping"})] == [True]


def _close(wire: socket.socket) -> None:
    wire.close()


def _half(wire: socket.socket) -> None:
    wire.shutdown(socket.SHUT_WR)


def _nothing(wire: socket.socket) -> None:
    """It never reads, and stays."""


MANNERS: dict[str, Callable[[socket.socket], None]] = {
    "close at once": _close,
    "half-close": _half,
    "never read": _nothing,
}


@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize("asked", REQUESTS)
async def test_whatever_a_caller_does_its_verb_goes_on_and_the_next_is_served(
    fleet: Fleet, tmp_path: Path, asked: str, manner: str
) -> None:
    request = REQUESTS[asked]
    with socket.socket(socket.AF_UNIX) as wire:
        wire.connect(str(tmp_path / "s"))
        wire.sendall(json.dumps(request).encode() + b"\n")
        MANNERS[manner](wire)
        await until(lambda: sorted(fleet.begun) == work(request))
        await anyio.sleep(0.05)  # a caller that is gone is noticed at the next sign of life
        fleet.go.set()
        await until(lambda: sorted(fleet.done) == work(request))
        assert await alive(tmp_path)
    assert not fleet.bugs


@pytest.mark.parametrize(
    "asked", [asked for asked, request in REQUESTS.items() if request["verb"] in operator_commands.VERBS]
)
async def test_a_caller_that_is_reset_after_the_first_line_ends_nothing(
    fleet: Fleet, tmp_path: Path, asked: str
) -> None:
    request = REQUESTS[asked]
    async with await anyio.connect_unix(tmp_path / "s") as stream:
        await stream.send(json.dumps(request).encode() + b"\n")
        assert await stream.receive(1)
    await until(lambda: len(fleet.begun) == len(NAMES))
    fleet.go.set()
    await until(lambda: sorted(fleet.done) == work(request))
    assert await alive(tmp_path)
    assert not fleet.bugs


async def test_a_byte_at_a_time_is_given_up_and_the_next_is_served_meanwhile(fleet: Fleet, tmp_path: Path) -> None:
    async with await anyio.connect_unix(tmp_path / "s") as stream:

        async def drip() -> None:
            for byte in json.dumps({"verb": "pause", "names": NAMES}).encode() * 10:
                await stream.send(bytes([byte]))
                assert await alive(tmp_path)
                await anyio.sleep(0.02)

        with pytest.raises(anyio.BrokenResourceError):
            await drip()
    assert not fleet.begun


async def test_a_crowd_that_says_nothing_and_one_that_waits_keep_no_health_check_out(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "_READ_WITHIN", 30.0)
    async with AsyncExitStack() as stack:
        for number in range(320):
            wire = await stack.enter_async_context(await anyio.connect_unix(tmp_path / "s"))
            if number % 2:
                await wire.send(json.dumps({"verb": "now", "names": NAMES, "within": "60s"}).encode() + b"\n")
        with anyio.fail_after(10):
            for _ in range(3):
                assert await alive(tmp_path)
    assert not fleet.bugs


JUNK: tuple[object, ...] = (None, 1e300, "x", [{}], {"a": {}})
ARGUMENTS = ("names", "targets", "labels", "everything", "emergency", "patient", "within", "for", "until", "reason")


@pytest.mark.parametrize("verb", [each for each in VERBS if each != "now"])  # which `look` reads like
async def test_a_request_that_lacks_something_or_has_another_type_is_refused_in_words(
    fleet: Fleet, tmp_path: Path, verb: str
) -> None:
    """Whatever comes over the socket: an answer, and no bug in the daemon's log."""
    fleet.go.set()
    asked: list[dict[str, object]] = [{}]
    for key in (*ARGUMENTS, "name", "older", "tokens", "prune", "vault", "by"):
        asked += [{**MANY, key: value} for value in JUNK]
    with anyio.fail_after(60):  # a guard, no bound
        for request in asked:
            async for reply in control.call(str(tmp_path / "s"), {**request, "verb": verb}):
                assert "bug" not in str(reply.get("error")), request
    assert not fleet.bugs


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"verb": "end"}, "`end` was asked wrongly: Object missing required field `tokens`"),
        ({"verb": "end", "tokens": "all"}, "`end` was asked wrongly: Expected `array`, got `str` - at `$.tokens`"),
        ({"verb": "unused", "older": "30d"}, "`unused` was asked wrongly: Expected `float`, got `str`"),
        ({"verb": "unused", "older": -1}, "`unused` was asked wrongly: Expected `float` >= 0"),
        ({"verb": "history"}, "`history` was asked wrongly: Object missing required field `name`"),
        ({"verb": "states", "names": "a"}, "`states` was asked wrongly: Expected `array`, got `str` - at `$.names`"),
        ({"verb": "states", "limit": 0}, "`states` was asked wrongly: Expected `int` >= 1"),
        ({"verb": "explain", "names": [{}]}, "`names` must be a list of names"),
    ],
)
async def test_a_wrong_request_ends_with_2_and_says_what_is_wrong(
    fleet: Fleet, tmp_path: Path, request_: dict[str, Any], said: str
) -> None:
    [reply] = [each async for each in control.call(str(tmp_path / "s"), request_)]
    assert reply["exit"] == 2
    assert reply["error"].startswith(said)
    assert not fleet.begun


async def test_a_daemon_that_has_read_other_settings_leaves_the_look_to_the_caller(
    fleet: Fleet, tmp_path: Path
) -> None:
    fleet.go.set()
    for digest, elsewhere in (("other", True), ("d", False)):
        request = {"verb": "targets", "name": "blog", "digest": digest}
        replies = [each async for each in control.call(str(tmp_path / "s"), request)]
        assert ({"elsewhere": True} in replies) is elsewhere


async def test_a_bug_of_one_credential_is_its_verdict_and_the_others_get_theirs(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()

    async def said(app: object, wish: object, who: Any, end: float) -> object:
        if who.name == "b":
            raise ZeroDivisionError
        return None

    async def outcome(*_: object) -> tuple[str, str, int]:
        return "paused", "it is", 0

    monkeypatch.setattr(operator_commands, "_requested", said)
    monkeypatch.setitem(operator_commands.OUTCOMES, "pause", outcome)
    replies = [x async for x in control.call(str(tmp_path / "s"), {"verb": "pause", "names": NAMES})]
    verdicts = {each["credential"]: each["said"] for reply in replies for each in reply["verdicts"]}
    assert verdicts == {"a": "it is", "b": "a bug, the log has it: ZeroDivisionError", "c": "it is"}
    assert replies[-1]["exit"] == 1
