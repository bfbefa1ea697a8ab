"""Two applications that take turns: the real engine, provider and desk in memory, and a wire between them that
loses calls, or lets them land late. Time stands still but where a story moves it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import count

import httpx

from rotator.engine.reconciler import ReconcileResult
from rotator.providers import KINDS
from rotator.providers.halo_itsm.config import ClientSecretOptions
from rotator.providers.halo_itsm.server import HaloItsmServer
from rotator.providers.http.client import HttpClient
from rotator.providers.oauth.config import ManagementClientConfig, OAuthTargetConfig
from rotator.rotation.credential import Credential, Limits, Retirement
from rotator.rotation.record import Phase, Record
from rotator.rotation.rotation_request import RotationRequest
from rotator.rotation.schedule import Every
from rotator.rotation.secret import Secret, SecretRef, SecretSource
from tests.sandbox.itsm.applications import Application
from tests.sandbox.itsm.model import ItsmModel
from tests.sandbox.itsm.routes import ItsmSite
from tests.sandbox.messages import Request
from tests.unit.engine.world import PLACE, Actor, Crash, World
from tests.unit.providers.desk import Keys

URL = "http://127.0.0.1:9"  # nobody listens there: no call leaves this process
CHIEF = SecretRef(SecretSource.FILE, "/turns/chief")
BEFORE_US = Secret("canary-turns-before-us-71c4")
SETTLE = timedelta(seconds=4)
LOOKS = 200  # a rotation that needs more of them does not end


class Lost(StrEnum):
    """On which side of its effect a call is lost."""

    BEFORE = "before"
    AFTER = "after"
    LATE = "late"  # its effect comes when the sender has long gone on


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one call. A late one lands before the so-manieth `later` call, and within the settle time.
    `kill`: who sent it is gone."""

    lost: Lost
    later: int = 0
    kill: bool = False


@dataclass
class Wire(httpx.AsyncBaseTransport):
    """The way to the desk. `changes` lists the numbers of the calls that changed an application, counted from 1;
    `holds` is what goes on before a call leaves, as its sender stands still; `refusals` are answered 422."""

    server: ItsmSite
    clock: World
    fates: dict[int, Fate] = field(default_factory=dict)
    holds: dict[int, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    refusals: set[int] = field(default_factory=set)
    calls: int = 0
    changes: list[int] = field(default_factory=list)
    under_way: list[tuple[int, datetime, Request]] = field(default_factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if meanwhile := self.holds.pop(self.calls + 1, None):
            await meanwhile()
        headers = {name.lower(): value for name, value in request.headers.items()}
        path, _, query = request.url.raw_path.decode().partition("?")
        asked = Request(request.method, path, query, headers, request.content)
        self.calls += 1
        self.land()
        if self.calls in self.refusals:
            return httpx.Response(422, stream=httpx.ByteStream(b""))
        if (asked.method, asked.path) == ("POST", "/api/Application"):
            self.changes.append(self.calls)
        return self._suffer(asked, self.fates.pop(self.calls)) if self.calls in self.fates else self._served(asked)

    def _suffer(self, asked: Request, fate: Fate) -> httpx.Response:
        if fate.lost is Lost.AFTER:
            self.server.answer(asked)
        if fate.lost is Lost.LATE:
            self.under_way.append((self.calls + fate.later, self.clock.clock.now() + SETTLE, asked))
        if fate.kill:
            raise Crash
        raise httpx.ReadError("lost")

    def _served(self, asked: Request) -> httpx.Response:
        answer = self.server.answer(asked)
        return httpx.Response(answer.status, headers=list(answer.headers), stream=httpx.ByteStream(answer.body))

    def land(self) -> None:
        """What is under way for long enough has its effect now."""
        now = self.clock.clock.now()
        due = [each for each in self.under_way if each[0] <= self.calls or each[1] <= now]
        self.under_way = [each for each in self.under_way if each not in due]
        for _, _, asked in due:
            self.server.answer(asked)


class Turns:
    """The two applications, `crm` first and `spare` second, and daemons that rotate the secret.

    `fenced`: the desk refuses a change of a version that is no longer the newest, as an old `concurrencyToken` says.
    """

    def __init__(self, *, fenced: bool = True) -> None:
        self.world = World()
        self.model = ItsmModel("halo", clock=self.world.clock.now, tenant="acme", calls=0)
        self.model.keeps_versions = fenced
        self.model.url = URL
        add = self.model.add_application
        self.crm, self.spare, self._chief = (add(name, secret=BEFORE_US) for name in ("crm", "spare", "chief"))
        self.wire = Wire(ItsmSite(self.model), self.world)
        self.refused: list[Phase] = []  # when a consumer found what is published refused
        self._numbers = count(1)

    def daemon(self, mints: int = 3) -> Actor:
        """A process of its own, which knows nothing of what others have done. `mints` are allowed in one rotation."""
        made = self.world.actor(f"host-{next(self._numbers)}")
        chief = ManagementClientConfig(client_id=self._chief.client_id, client_secret=CHIEF, scopes=("admin",))
        keys = OAuthTargetConfig(url=URL, tenant="acme", calls=100_000, manage_applications=True, management=chief)
        ring, clock = Keys({CHIEF: BEFORE_US}), self.world.clock
        site = HaloItsmServer(HttpClient("desk", keys, clock, ring.fetch, self.wire), keys, ring, clock)
        made.credential = Credential(
            "blog/bot",
            "halo-client-secret",
            "desk",
            PLACE,
            key="client_secret",
            schedule=Every(timedelta(days=30), jitter=0),
            lifetime=None,
            retire=Retirement(after=timedelta(seconds=1)),
            limits=Limits(settle=SETTLE, mints_per_rotation=mints, mints_per_day=100),
            options=ClientSecretOptions(
                application=self.crm.id,
                client_id=self.crm.client_id,
                second_application=self.spare.id,
                second_client_id=self.spare.client_id,
                scopes=("all",),
                probe="/api/Status",
            ),
        )
        made.dependencies = replace(made.dependencies, provider=KINDS["halo-client-secret"].bind(site, made.credential))
        return made

    async def rotated(self, daemon: Actor, times: int = 1) -> Actor:
        """One more rotation, or several, each to its end. Returns who is alive."""

        def over(record: Record) -> bool:
            return bool(record.phase is Phase.SETTLED and record.current and record.current.at > before)

        for _ in range(times):
            before = self.world.clock.now()
            daemon = await self.until(daemon, over)
        return daemon

    async def until(self, daemon: Actor, enough: Callable[[Record], bool]) -> Actor:
        """A new value is asked for; second by second somebody looks, and who dies is replaced. Returns who is alive."""
        self.world.clock.move(1)
        ask = RotationRequest(self.world.clock.now(), "ada")
        for _ in range(LOOKS):
            try:
                seen = await self.look(daemon, ask)
            except Crash:
                daemon = self.daemon()
                continue
            if seen.record and enough(seen.record):
                return daemon
        raise AssertionError("it does not come to that")

    async def look(self, daemon: Actor, ask: RotationRequest | None = None) -> ReconcileResult:
        """One visit, a glance of a consumer, a second."""
        seen = await daemon.reconcile(ask)
        if not self.accepted and self.world.consumer.version:
            self.refused.append((await self.world.record()).phase)
        self.world.clock.move(1)
        self.wire.land()
        return seen

    async def quiet(self, daemon: Actor) -> None:
        """Time passes, everything lands, and the daemon looks now and then."""
        for _ in range(3):
            self.world.clock.move(60)
            await self.look(daemon)

    @property
    def published(self) -> Application:
        """The application whose secret consumers have."""
        client_id = self.world.consumer.text("client_id")
        return next(each for each in (self.crm, self.spare) if each.client_id == client_id)

    @property
    def accepted(self) -> bool:
        """Whether what consumers have is accepted."""
        secret = self.world.consumer.secret("client_secret")
        return secret is not None and self.model.accepts_secret(self.published, secret)

    @property
    def active(self) -> list[str]:
        """The names of the applications that are switched on."""
        return [each.name for each in (self.crm, self.spare) if not each.inactive]
