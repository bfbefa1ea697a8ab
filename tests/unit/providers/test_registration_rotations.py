"""Whole rotations by a client's own registration: a death at every call of it, and what becomes of key and token."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from rotator.engine.worker_pool import PendingRequest
from rotator.ports import Document, StoreRefused
from rotator.providers import KINDS
from rotator.providers.http.client import HttpClient, HttpResponse
from rotator.providers.oauth.server import OAuthServer
from rotator.rotation.credential import Limits, Retirement
from rotator.rotation.credential_state import state
from rotator.rotation.record import Phase
from rotator.rotation.rotation_request import RequestAnswer, RotationRequest
from rotator.rotation.secret import Secret, SecretRef, SecretSource
from tests.kit.shelf import HandShelf
from tests.unit.engine.world import Actor, Crash, World
from tests.unit.providers import desk

pytestmark = pytest.mark.anyio

KEPT = SecretRef(SecretSource.VAULT, "secret/crm/registration", "token")
MOMENTS = 32  # of a rotation: before and after each call to the document and to the registration


class Moments:
    """Counts the moments before and after each call, and dies at one of them."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.dies_at = 0

    def __call__(self, label: str) -> None:
        self.seen.append(label)
        if len(self.seen) == self.dies_at:
            raise Crash(label)


class WatchedShelf(HandShelf):
    """A document whose calls are moments."""

    moment: Callable[[str], None] = staticmethod(lambda label: None)

    async def read(self) -> Document:
        self.moment("before read")
        found = await super().read()
        self.moment("after read")
        return found

    async def write(self, values: Any, over: int) -> int:
        self.moment("before write")
        version = await super().write(values, over)
        self.moment("after write")
        return version


class WatchedHttp(HttpClient):
    """Calls to the registration are moments."""

    moment: Callable[[str], None] = staticmethod(lambda label: None)

    async def request(self, method: str, path: str, *args: Any, **more: Any) -> HttpResponse:
        registration = "/register/" in self._base
        if registration:
            self.moment(f"before {method}")
        answer = await super().request(method, path, *args, **more)
        if registration:
            self.moment(f"after {method}")
        return answer


@dataclass
class Registered:
    """A client at a service desk that may change its registration; processes come and go."""

    world: World
    desk: desk.Desk
    moment: Moments
    opened: list[OAuthServer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.desk.client.secret = ""
        self.document_store = WatchedShelf(KEPT.name)
        self.document_store.put(token=self.server.register(self.desk.client))
        self.document_store.moment = self.moment
        self.desk.keys.shelves[KEPT.name] = self.document_store

    @property
    def server(self) -> Any:
        return self.desk.itsm.model.registrations

    def actor(self, holder: str) -> Actor:
        made = self.world.actor(holder, retire=Retirement(after=timedelta(0)), limits=Limits(mints_per_day=100))
        config, clock = self.desk.server.config, self.desk.clock
        http = WatchedHttp("desk", config, clock, self.desk.keys.fetch)
        http.moment = self.moment
        server = OAuthServer(http, config, self.desk.keys, clock)
        self.opened.append(server)
        uri = f"{self.desk.itsm.url}/register/{self.desk.client.client_id}"
        where: dict[str, Any] = {"registration_client_uri": uri, "registration_access_token": KEPT}
        own = self.desk.credential("assertion-key", client_secret=None, signing_key=None, algorithm="ES256", **where)
        provider = KINDS["assertion-key"].bind(server, own)
        made.dependencies = replace(made.dependencies, provider=provider)
        return made

    async def rest(self, actor: Actor, *, asks: bool = True) -> Phase:
        """Visit, with the waits that are asked for, until it rests, or fails for a lasting reason."""
        self.world.clock.move(1)
        wish = RotationRequest(self.world.clock.now(), "ada") if asks else None
        for _ in range(30):
            seen = await actor.reconcile(wish)
            assert seen.record
            if seen.record.phase in (Phase.SETTLED, Phase.AWAITING, Phase.HELD) and not seen.record.retry_at:
                assert seen.record.held is None, seen.record.held
                return seen.record.phase
            if seen.record.failures > 3:
                return seen.record.phase
            wait = seen.wait.until - self.world.clock.now() if seen.wait.until else timedelta(seconds=40)
            self.world.clock.move(max(wait, timedelta(seconds=1)))
        raise AssertionError("it does not come to rest")

    @property
    def kids(self) -> list[str]:
        found: list[str] = self.server.kids(self.desk.client)
        return found

    @property
    def serves(self) -> bool:
        """Whether the server has the published key."""
        return self.world.consumer.text("kid") in self.kids

    @property
    def whole(self) -> bool:
        """Whether the published key alone is registered, and the token that is kept would be taken."""
        kept = self.server.takes(self.desk.client, str(self.document_store.values["token"]))
        return bool(kept and self.kids == [self.world.consumer.text("kid")])


@pytest.fixture
async def registered() -> AsyncIterator[Registered]:
    world = World()
    clock: Any = world.clock
    async with desk.running("keycloak", clock) as running:
        made = Registered(world, running, Moments())
        yield made
        for server in made.opened:
            await server.aclose()


async def test_a_rotation_is_two_updates_with_both_keys_in_between(registered: Registered) -> None:
    one = registered.actor("host-a")
    for _ in range(3):
        assert await registered.rest(one) is Phase.SETTLED
        assert registered.whole
    updates = registered.server.known[registered.desk.client.client_id].updates
    assert [len(each["jwks"]["keys"]) for each in updates] == [1, 2, 1, 2, 1]
    retired = next(each.event for each in reversed(one.told) if type(each.event).__name__ == "Retired")
    assert "its value is refused" in retired.proof
    assert "Faulted" not in one.events
    registered.moment.seen.clear()
    assert await registered.rest(one) is Phase.SETTLED
    assert len(registered.moment.seen) == MOMENTS


async def test_a_death_at_any_call_ends_no_published_key_and_loses_a_token_only_with_its_answer(
    registered: Registered,
) -> None:
    """Only the death between the answer of an update and the write of its token needs a person."""
    assert await registered.rest(registered.actor("host-0")) is Phase.SETTLED
    asked = []
    for dies_at in range(2, MOMENTS + 1, 2):  # after each call, which is before the next one
        registered.moment.seen.clear()
        registered.moment.dies_at = dies_at
        registered.world.clock.move(120)  # an install without an answer may have landed by then
        with pytest.raises(Crash) as death:
            await registered.rest(registered.actor(f"host-{dies_at}"))
        assert registered.serves
        registered.moment.dies_at = 0
        registered.world.clock.move(60)
        phase = await registered.rest(next_process := registered.actor(f"next-{dies_at}"))
        assert registered.serves
        if phase is not Phase.SETTLED:
            record = await registered.world.record()
            words = record.awaiting or (record.failure.reason if record.failure else "")
            assert "never arrived" in words
            assert str(KEPT) in words
            asked.append((dies_at, str(death.value)))
            registered.document_store.put(
                **{**registered.document_store.values, "token": registered.server.renew(registered.desk.client)}
            )
            assert await registered.rest(next_process) is Phase.SETTLED
        assert registered.whole, (dies_at, str(death.value))
    assert [label for _, label in asked] == ["after PUT", "after PUT"]


async def test_a_lost_answer_of_the_first_update_publishes_the_key_that_arrived(registered: Registered) -> None:
    one = registered.actor("host-a")
    assert await registered.rest(one) is Phase.SETTLED
    before = registered.world.consumer.text("kid")
    registered.desk.itsm.faults.add("drop", when="after", method="PUT", path="/register/*")
    phase = await registered.rest(one)
    assert registered.world.consumer.text("kid") != before  # it is published, for consumers lose nothing by it
    assert set(registered.kids) == {before, registered.world.consumer.text("kid")}
    assert phase is not Phase.SETTLED
    registered.document_store.put(token=registered.server.renew(registered.desk.client))
    assert await registered.rest(one) is Phase.SETTLED
    assert registered.whole


async def test_a_lost_answer_of_the_last_update_waits_for_a_person_who_is_told(registered: Registered) -> None:
    """The key before is out of the set, or will be: nobody knows until a person has got another token."""
    one = registered.actor("host-a")
    assert await registered.rest(one) is Phase.SETTLED
    registered.desk.itsm.faults.add("slow", method="PUT", path="/register/*", times=1)
    registered.desk.itsm.faults.add("drop", when="after", method="PUT", path="/register/*")
    assert await registered.rest(one) is Phase.CONDEMNED
    record, now = await registered.world.record(), registered.world.clock.now()
    seen = state(one.credential, record, now)
    assert (seen.word, seen.exit) == ("needs you", 3)
    assert seen.awaiting_at
    assert "never arrived" in seen.said
    assert f"write it to {KEPT}" in seen.do
    asked = PendingRequest(RotationRequest(now, "ada", emergency=True), patient=True)
    assert asked.hears(record)
    assert asked.answer is RequestAnswer.AWAITING
    assert registered.serves
    registered.document_store.put(token=registered.server.renew(registered.desk.client))
    assert await registered.rest(one) is Phase.SETTLED
    assert registered.whole
    assert state(one.credential, await registered.world.record(), registered.world.clock.now()).exit == 0


async def test_a_refused_write_keeps_the_token_until_it_can_be_written(registered: Registered) -> None:
    one = registered.actor("host-a")
    faults = StoreRefused("the policy lacks it"), StoreRefused("sealed"), StoreRefused("still")
    registered.document_store.refuse(*faults, after=1)  # the mark of the update is written
    assert await registered.rest(one) is Phase.SETTLED
    assert registered.whole
    assert one.events.count("Staged") == 1
    assert one.events.count("Faulted") == 3


async def test_nobody_sees_the_registration_access_token(registered: Registered) -> None:
    assert await registered.rest(registered.actor("host-a")) is Phase.SETTLED
    kept = Secret(str(registered.document_store.values["token"]))
    seen = repr(registered.world.consumer.values) + repr(await registered.world.record())
    assert kept.reveal() not in seen + repr(registered.world.vault.history)
