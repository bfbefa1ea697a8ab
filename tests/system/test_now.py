"""`rotate now`: with and without a daemon it ends with a verdict, and its exit code is one that machines can use."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from rotator.commands.rotate import RotateCommand, follow
from rotator.engine.reconciler import Transition
from rotator.engine.worker_pool import PendingRequest
from rotator.host.cron import SystemClock
from rotator.host.threads import BackgroundTasks
from rotator.ports import Entry
from rotator.rotation.events import MintLost, Swept
from rotator.rotation.record import Phase
from tests.sandbox.environment import World
from tests.system.daemon import Daemon, rotate, until
from tests.system.proxy import Call, Proxy
from tests.system.quick import quick
from tests.system.truth import PATS, faults_of, journal, settled
from tests.unit.rotation.builders import NOW, ask, credential, published, record

pytestmark = pytest.mark.system


def test_without_a_daemon_it_works_alone_and_ends_with_0(world: World) -> None:
    world.add("bot")
    path = quick(world)
    assert rotate(path, "now", "bot").returncode == 0
    ended = rotate(path, "now", "bot", "--wait")
    assert ended.returncode == 0, ended.stderr
    assert "bot: done: rotation 2" in ended.stdout
    assert not faults_of(world, "bot")


def test_through_a_daemon_it_tells_each_step_and_ends_with_0(world: World) -> None:
    world.add("bot")
    path = quick(world)
    with Daemon(path).ready() as daemon:
        until("published", lambda: settled(world, "bot"))
        ended = rotate(path, "now", "bot", "--wait")
        assert ended.returncode == 0, ended.stderr
        steps = [line.split()[1] for line in ended.stdout.splitlines()[:-1]]
        assert steps == [
            "request.taken",
            "rotation.requested",
            "candidate.staged",
            "candidate.verified",
            "value.published",
            "predecessor.condemned",
            "predecessor.retired",
            "rotation.settled",
        ]
        assert daemon.heard("control.called", verb="now")


def test_who_asks_while_a_rotation_is_in_flight_joins_it(world: World) -> None:
    world.add("bot")
    path = quick(world)
    with Daemon(path).ready() as daemon:
        until("published", lambda: settled(world, "bot"))
        world.halo.fault(kind="slow", method="POST", path=f"{PATS}$", delay=0.8)
        verdicts: list[dict] = []
        callers = [threading.Thread(target=lambda: verdicts.append(daemon.ask("bot")[-1])) for _ in range(5)]
        for caller in callers:
            caller.start()
            time.sleep(0.1)
        for caller in callers:
            caller.join(30)
        assert [each["exit"] for each in verdicts] == [0] * 5
        assert journal(world, "bot")["rotation"] == "2"


@pytest.fixture
def alone(world: World) -> World:
    """A world with one credential, published by the shell; no daemon runs."""
    world.add("bot")
    assert rotate(quick(world), "now", "bot").returncode == 0
    return world


def test_a_target_that_refuses_to_mint_ends_it_with_1(alone: World) -> None:
    alone.halo.fault(kind="status", status=400, method="POST", path=f"{PATS}$", times=None)
    ended = rotate(quick(alone), "now", "bot")
    assert ended.returncode == 1
    assert "bot: failed: given up for now: making a new value failed" in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bott"], "no credential is called 'bott'; did you mean `bot`?"),
        ([], "say which"),
        (["--label", "team"], "is not KEY=VALUE"),
        (["--label", "team=web"], "no credential carries team=web"),
    ],
)
def test_a_demand_that_makes_no_sense_ends_it_with_2(calm: Path, arguments: list[str], said: str) -> None:
    ended = rotate(calm, "now", *arguments)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert not ended.stdout


@pytest.fixture(scope="module")
def calm() -> Iterator[Path]:
    """Settings of a world in which nothing happens."""
    with World() as world:
        world.add("bot")
        yield quick(world)


def test_a_value_that_somebody_else_wrote_is_left_alone_and_ends_it_with_3(alone: World) -> None:
    place = f"{alone.mount}/data/apps/bot/halo"
    alone.bao.call("POST", place, {"data": {"token": "written-by-hand"}})
    ended = rotate(quick(alone), "now", "bot")
    assert ended.returncode == 3
    assert "held: secret/apps/bot/halo holds a value that we did not write" in ended.stdout
    assert alone.bao.call("GET", place)["data"]["data"]["token"] == "written-by-hand"
    assert rotate(quick(alone), "status").returncode == 3


def test_no_verdict_in_time_ends_it_with_75_and_the_rotation_goes_on(alone: World) -> None:
    with Daemon(quick(alone, defaults={"retire": {"after": "3s"}})).ready():
        ended = rotate(quick(alone, defaults={"retire": {"after": "3s"}}), "now", "bot", "--wait", "--within", "1s")
        assert ended.returncode == 75
        assert "undecided: predecessor in grace until 20" in ended.stdout
        assert "it is written down in Vault, and it goes on" in ended.stdout
        until("it went on", lambda: settled(alone, "bot", 2))


def test_a_sealed_vault_ends_it_with_75(alone: World) -> None:
    alone.bao.seal()
    ended = rotate(quick(alone), "now", "bot", "--within", "5s")
    assert ended.returncode == 75
    assert ended.stderr.startswith("rotate: ")


def test_faulty_settings_end_it_with_78(alone: World) -> None:
    path = quick(alone)
    path.write_text(path.read_text().replace('every = "1d"', 'every = "now and then"'))
    ended = rotate(path, "now", "bot")
    assert ended.returncode == 78
    assert f"{path}:" in ended.stderr
    assert "every" in ended.stderr


@contextmanager
def working_elsewhere(world: World) -> Iterator[Daemon]:
    """A daemon on another host, as it were: in mid-rotation, stuck at a call to Halo."""
    stuck = threading.Event()

    def judge(call: Call) -> None:
        if call.method == "POST":
            stuck.wait(20)

    with Proxy("halo", world.halo.url) as halo:
        hangs = {"timeout": "15s", "deadline": "15s"}
        path = quick(world, "elsewhere", halo=halo.url, target=hangs, daemon={"lease": "40s"})
        with Daemon(path).ready() as daemon:
            halo.judge = judge
            daemon.begin("bot")
            until("it mints", lambda: journal(world, "bot")["phase"] == "requested")
            yield daemon
            stuck.set()


def test_a_credential_that_another_actor_works_on_is_left_to_it(alone: World) -> None:
    with working_elsewhere(alone):
        ended = rotate(quick(alone), "now", "bot", "--within", "2s")
        assert ended.returncode == 75
        assert "worked on by elsewhere/" in ended.stdout


class Watched:
    """What `follow` needs of an app: two happenings, then the answer."""

    def __init__(self) -> None:
        self.worker_pool, self.clock, self.seen = self, SystemClock(), {}
        self.passing, self.hooks = False, None
        self.tasks, self.journal, self.requests = BackgroundTasks(lambda name, bug: None), self, self
        self.asked = PendingRequest(ask(NOW), patient=False)

    async def load(self, name: str) -> Entry:
        return Entry(name, 0, None)

    async def put(self, *_: object) -> None:
        """Vault has it."""

    def ask(self, *_: object, **__: object) -> PendingRequest:
        return self.asked


@pytest.mark.anyio
async def test_a_caller_that_reads_slowly_still_gets_every_line_and_the_verdict() -> None:
    app, bot = Watched(), credential(name="bot")
    before = record(Phase.REQUESTED)
    send, receive = anyio.create_memory_object_stream[Transition](8)
    async with send, receive, anyio.create_task_group() as app.tasks.group:
        for event in (MintLost(NOW, "a"), Swept(NOW, ())):
            send.send_nowait(Transition(bot, before, event, before, 0.1, "me"))
        lines = []
        async for line in follow(app, ("bot",), RotateCommand(), receive):  # type: ignore[arg-type]  # the part that it uses
            lines.append(line)
            await anyio.sleep(0.25)
            app.asked.hears(record(Phase.SETTLED, current=published(2, NOW)))
            app.asked.done.set()
    assert [line.get("event") for line in lines[1:]] == ["mint.lost", "rotation.settled", None]
    assert lines[-1]["exit"] == 0
