"""What the service manager hears of the daemon, and that a daemon without a sign of life does not feed its watchdog."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from rotator.app.systemd import Liveness, Notifier, SignOfLife, Supervision
from rotator.engine.circuit_breakers import CircuitBreakers
from rotator.engine.reconciler import ReconcileResult
from rotator.ports import Fault, Transient
from rotator.rotation.steps import Wait
from rotator.settings import DaemonConfig, Method, Settings, VaultAuth, VaultConfig
from tests.unit.app.systemd.ear import Ear
from tests.unit.engine.pools import at_work, bots
from tests.unit.vault.worlds import canary

pytestmark = pytest.mark.anyio
SETTINGS = Settings(VaultConfig("https://vault.test", VaultAuth(Method.TOKEN, "")), DaemonConfig("host-a"))


class Clock:
    """Time stands still; the last look ends with a TimeoutError."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def now(self) -> datetime:
        return datetime(2026, 3, 1, tzinfo=UTC)

    async def sleep(self, seconds: float) -> None:
        self.looks -= 1
        if not self.looks:
            raise TimeoutError
        await anyio.lowlevel.checkpoint()


def app(*, idle: bool = True, moved: float = 0.0, looks: int = 1) -> Any:
    """As much of an Actor as supervision looks at."""
    worker_pool = SimpleNamespace(idle=idle, moved=moved, seen={}, credentials={}, health=CircuitBreakers())
    return SimpleNamespace(worker_pool=worker_pool, settings=SETTINGS, clock=Clock(looks))


@pytest.fixture
def ear(tmp_path: Path) -> Iterator[Ear]:
    with Ear(tmp_path / "ear") as listening:
        yield listening


def supervised(ear: Ear, **ago: float) -> Supervision:
    """A supervision whose signs were felt so many seconds ago."""
    made = Supervision(SETTINGS, Notifier({"NOTIFY_SOCKET": ear.name, "WATCHDOG_USEC": "60000000"}))
    now = time.monotonic()
    made.pulse = Liveness(now - 10_000)
    for sign in SignOfLife:
        made.pulse.felt(sign, now - ago.get(sign.name.lower(), 0.0))
    return made


async def looked(supervision: Supervision, seen: Any) -> None:
    with pytest.raises(TimeoutError):
        await supervision.keep(seen)


async def test_a_living_daemon_feeds_the_watchdog_and_says_how_the_fleet_is(ear: Ear) -> None:
    supervision = supervised(ear)
    supervision.ready()
    await looked(supervision, app())
    assert ear.listen() == ["READY=1", "WATCHDOG=1", "STATUS=0 credentials"]


@pytest.mark.parametrize("ago", [{"loop": 60.0}, {"worker": 600.0}, {"vault": 1200.0}], ids=["loop", "worker", "Vault"])
async def test_one_missing_sign_alone_starves_the_watchdog_and_is_said(ear: Ear, ago: dict[str, float]) -> None:
    await looked(supervised(ear, **ago), app(idle=False))
    heard = ear.listen()
    assert "WATCHDOG=1" not in heard
    assert heard[-1].startswith("STATUS=no sign of ")


async def test_an_idle_crew_is_a_living_one(ear: Ear) -> None:
    await looked(supervised(ear, worker=600.0), app(idle=True))
    assert "WATCHDOG=1" in ear.listen()


async def test_a_visit_that_ended_is_a_sign_once(ear: Ear) -> None:
    supervision = supervised(ear, worker=600.0)
    await looked(supervision, app(idle=False, moved=5.0))
    assert "WATCHDOG=1" in ear.listen()
    supervision.pulse = Liveness(time.monotonic() - 600)
    supervision.turned()
    ear.forget()
    await looked(supervision, app(idle=False, moved=5.0))
    assert "WATCHDOG=1" not in ear.listen()


async def test_a_step_taken_is_a_sign_of_a_worker(ear: Ear) -> None:
    supervision = supervised(ear, worker=600.0)
    supervision.moved(None)
    await looked(supervision, app(idle=False))
    assert "WATCHDOG=1" in ear.listen()


class AnsweringVault:
    """Answers a heartbeat, or does not."""

    def __init__(self, fault: Fault | None = None) -> None:
        self.fault = fault
        self.session = SimpleNamespace(login_end=None, forwards=True)
        self.tells: dict[str, object] = {}

    async def beat(self) -> None:
        if self.fault:
            raise self.fault


async def test_only_an_answer_of_vault_is_a_sign_of_it(ear: Ear) -> None:
    """Nobody need visit anything for it: a Vault that is away is told of by the heartbeat, too."""
    supervision = supervised(ear, vault=1200.0)
    async with at_work(bots("bot")) as stage:
        vault, pool = stage.worker_pool.health.vault, stage.worker_pool
        await supervision.ask_vault(SimpleNamespace(kv=AnsweringVault(Transient("sealed")), worker_pool=pool))
        assert "Vault" in supervision.missing()
        assert (vault.trips, vault.reason) == (1, "sealed")
        stage.clock.move(5)
        await supervision.ask_vault(SimpleNamespace(kv=AnsweringVault(), worker_pool=pool))
        assert supervision.missing() == ""
        assert vault.trips == 0


async def test_until_ready_and_while_stopping_more_time_is_asked_for(ear: Ear) -> None:
    supervision = supervised(ear)
    await looked(supervision, app())
    assert "EXTEND_TIMEOUT_USEC=60000000" in ear.listen()
    supervision.ready()
    ear.forget()
    await looked(supervision, app())
    assert not [line for line in ear.listen() if line.startswith("EXTEND")]
    supervision.stopping()
    await looked(supervision, app())
    assert "EXTEND_TIMEOUT_USEC=60000000" in ear.listen()
    assert ear.heard[-1] != "STATUS=0 credentials"


async def test_a_start_that_hangs_gets_no_more_time(ear: Ear) -> None:
    await looked(supervised(ear, loop=60.0), app())
    assert not [line for line in ear.listen() if line.startswith("EXTEND")]


async def test_a_line_is_said_again_only_when_it_changed(ear: Ear) -> None:
    await looked(supervised(ear), app(looks=5))
    assert ear.listen().count("STATUS=0 credentials") == 1


def test_a_wait_for_vault_is_said_and_asks_for_time(ear: Ear) -> None:
    supervised(ear).waiting("no answer")
    assert ear.listen() == ["EXTEND_TIMEOUT_USEC=60000000", "STATUS=Waiting for Vault: no answer"]


async def test_ready_is_who_has_looked_at_every_name(ear: Ear) -> None:
    waited = app(looks=2)
    waited.settings = SimpleNamespace(credentials={"blog": None})
    supervision = supervised(ear)
    with pytest.raises(TimeoutError):
        await supervision.await_ready(waited)
    assert "READY=1" not in ear.listen()
    waited.worker_pool.seen["blog"] = ReconcileResult(None, Wait(None, "nothing to do"))
    await supervision.await_ready(waited)
    assert "READY=1" in ear.listen()


def test_a_reload_before_the_start_is_complete_does_not_complete_it(ear: Ear) -> None:
    supervision = supervised(ear)
    supervision.reloading()
    supervision.reloaded()
    assert ear.listen() == []


async def test_refused_settings_stay_in_the_status_until_sound_ones_come(ear: Ear) -> None:
    supervision = supervised(ear)
    supervision.ready()
    supervision.reloading()
    supervision.reloaded("rotator.toml:3: lease: must be from 5s to 1h")
    await looked(supervision, app())
    refused = (
        "Settings refused, the old ones stay, the next start will fail: rotator.toml:3: lease: must be from 5s to 1h"
    )
    assert ear.listen()[-1] == f"STATUS={refused}. 0 credentials"
    assert ear.heard.index("RELOADING=1") < len(ear.heard) - 1 - ear.heard[::-1].index("READY=1")
    supervision.reloaded()
    await looked(supervision, app())
    assert ear.listen()[-1] == "STATUS=0 credentials"


def test_a_secret_in_a_reason_does_not_reach_the_status(ear: Ear) -> None:
    secret = canary("status")
    supervised(ear).waiting(f"refused {secret.reveal()}")
    assert ear.listen()[-1] == "STATUS=Waiting for Vault: refused [redacted]"
