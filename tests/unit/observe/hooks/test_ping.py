"""The dead-man ping: sent while all is well, withheld when it is not, its troubles told once."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import structlog
from structlog.testing import capture_logs

from rotator.app.monitoring import Monitoring
from rotator.observe.hooks import Heartbeat
from rotator.ports import Refused
from rotator.providers.http.hook_client import HookClient
from rotator.rotation.record import Phase
from rotator.rotation.secret import Secret
from rotator.settings import DaemonConfig, Method, Ping, Settings, VaultAuth, VaultConfig
from tests.kit.fleet import FakeView, named, settled
from tests.kit.proxy_password import no_password
from tests.unit.observe.hooks import transitions as they
from tests.unit.rotation.builders import record

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def as_configured() -> Iterator[None]:
    """Another test may have left the log at a level where nothing of this is heard."""
    before = structlog.get_config()
    structlog.reset_defaults()
    yield
    structlog.configure(**before)


class Watcher:
    """Who waits for the ping."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.status = 200
        self.unwell = ""
        self.counted = they.Counted()
        box = HookClient(no_password, transport=httpx.MockTransport(self._answer))
        self.heart = Heartbeat(Ping("https://ping.test/uuid"), lambda: self.unwell, self.counted, box)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(f"{request.method} {request.url}")
        return httpx.Response(self.status, text="OK")

    async def beat(self) -> list[str]:
        with capture_logs() as log:
            await self.heart.beat(nobody)
        return [line["event"] for line in log]


async def nobody(ref) -> Secret:
    raise Refused("there is no secret")


async def test_while_all_is_well_the_address_is_called_without_a_word_in_the_log() -> None:
    watcher = Watcher()
    assert await watcher.beat() == []
    assert watcher.calls == ["GET https://ping.test/uuid"]
    assert watcher.counted.calls == {("ping", "delivered"): 1}
    await watcher.heart.aclose()


async def test_while_something_is_wrong_nothing_is_sent_and_that_is_told_once() -> None:
    watcher = Watcher()
    watcher.unwell = "blog: overdue"
    assert await watcher.beat() == ["ping.withheld"]
    assert await watcher.beat() == []
    assert watcher.calls == []
    assert watcher.counted.calls == {("ping", "withheld"): 2}
    watcher.unwell = ""
    assert await watcher.beat() == ["ping.resumed"]
    assert len(watcher.calls) == 1
    await watcher.heart.aclose()


async def test_a_receiver_in_trouble_is_told_once_and_once_when_it_is_over() -> None:
    watcher = Watcher()
    watcher.status = 503
    assert [await watcher.beat() for _ in range(3)] == [["ping.failed"], [], []]
    watcher.status = 200
    assert await watcher.beat() == ["ping.resumed"]
    await watcher.heart.aclose()


def test_all_is_well_is_what_the_probes_say() -> None:
    settings = Settings(VaultConfig("https://vault.test", VaultAuth(Method.TOKEN, "")), DaemonConfig("host-a"))
    missing = ""
    monitoring = Monitoring(settings, lambda: missing)
    assert "vault: starting" in monitoring.unwell()
    view = FakeView()
    view.moved = monitoring.fleet.clock.monotonic()
    view.put(named("blog"), settled(monitoring.fleet.clock.now()))
    monitoring.fleet.show(view)
    assert monitoring.unwell() == ""
    missing = "no sign of the scheduler's loop for 31 s"
    assert monitoring.unwell() == f"not alive: {missing}"
    missing = ""
    for number in range(5):
        view.put(named(f"c{number}"), record(Phase.HELD))
    assert monitoring.unwell().endswith("; and 2 more")
