"""Keys that are changed by a client's own registration: what is sent, what is kept, and what servers do to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from jwt.algorithms import RSAAlgorithm

from rotator.ports import Accepted, NeedsPerson, Outcome, Refused, Rejected, StoreRefused, Transient
from rotator.providers.base import Remark
from rotator.providers.oauth.kept_token import REFUSED
from rotator.providers.oauth.registration import NAMES, SENT
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret, SecretRef, SecretSource
from tests.kit.clock import HandClock
from tests.kit.shelf import HandShelf
from tests.sandbox.itsm.registrations import Registrations
from tests.unit.providers import desk
from tests.unit.providers.keys import rsa_key

pytestmark = pytest.mark.anyio

NAME = "rotator-lab1-crm-c0ffee-r1-a1"
KEPT = SecretRef(SecretSource.VAULT, "secret/crm/registration", "token")
FOREIGN = {**RSAAlgorithm.to_jwk(rsa_key().public_key(), as_dict=True), "kid": "theirs", "use": "sig"}


class Client:
    """A client that may change its registration, and the truth at its server."""

    def __init__(self, world: desk.Desk, **client: Any) -> None:
        self.world = world
        self.world.client.secret = ""
        self.authorise(self.server.register(world.client, {"keys": [FOREIGN]}, **client))
        self.provider = self.bound()

    @property
    def server(self) -> Registrations:
        return self.world.itsm.model.registrations

    @property
    def document_store(self) -> HandShelf:
        return self.world.keys.document_store(KEPT.name)

    @property
    def kids(self) -> list[str]:
        return self.server.kids(self.world.client)

    @property
    def whole(self) -> bool:
        """Whether the token that is kept is the one that the server takes."""
        return self.server.takes(self.world.client, str(self.document_store.values["token"]))

    def authorise(self, token: Secret) -> None:
        self.document_store.put(**{**self.document_store.values, "token": token, "owner": "ada"})

    def bound(self, **options: Any) -> Any:
        """As a process that has just begun."""
        self.world.server._registrations.clear()
        uri = f"{self.world.itsm.url}/register/{self.world.client.client_id}"
        alone: dict[str, Any] = {"client_secret": None, "signing_key": None, "algorithm": "ES256"}
        where = {"registration_client_uri": uri, "registration_access_token": KEPT}
        return self.world.bound("assertion-key", **{**alone, **where, **options})

    async def installed(self, name: str = NAME) -> Any:
        minted = await self.provider.mint(name, None)
        await self.provider.install(minted)
        return minted


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with desk.running("keycloak", HandClock()) as world:
        yield Client(world)


async def test_a_key_is_taken_at_once_beside_the_old_one_which_is_dead_once_it_left(client: Client) -> None:
    old = await client.installed()
    assert await client.provider.verify(old.token, old.secret) == Accepted()
    new = await client.installed("rotator-lab1-crm-c0ffee-r2-a1")
    assert client.kids == ["theirs", old.token.id, new.token.id]
    assert await client.provider.verify(old.token, old.secret) == Accepted()
    assert await client.provider.is_dead(old.token, old.secret) is False
    assert await client.provider.revoke(old.token) is Outcome.DONE
    assert client.kids == ["theirs", new.token.id]
    assert await client.provider.is_dead(old.token, old.secret) is True
    assert await client.provider.is_dead(old.token, None) is True
    assert isinstance(await client.provider.verify(old.token, old.secret), Rejected)
    assert await client.provider.verify(new.token, new.secret) == Accepted()
    assert client.whole


async def test_an_update_sends_everything_back_as_it_was_read_but_keys_and_what_is_forbidden(client: Client) -> None:
    """The sandbox refuses an update with a member that RFC 7592, section 2.2, forbids."""
    before = dict(client.server.known[client.world.client.client_id].client)
    minted = await client.installed()
    (sent,) = client.server.known[client.world.client.client_id].updates
    assert {**sent, "jwks": None} == {**before, "jwks": None}
    assert "software_id" in sent
    theirs, ours = sent["jwks"]["keys"]
    assert theirs == {name: FOREIGN[name] for name in theirs}
    assert (ours["kid"], ours.keys() & {"rotator", "d"}) == (minted.token.id, set())


@pytest.mark.parametrize("drops", [True, False])
async def test_ours_are_found_by_name_though_a_server_drops_members_of_keys(client: Client, drops: bool) -> None:
    client.server.drops_members = drops
    one = await client.installed()
    other = await client.installed("rotator-lab1-shop-c0ffee-r1-a1")
    assert await client.bound().find(NAME) == (Token(one.token.id, NAME),)
    assert {each.id for each in await client.provider.find("rotator-lab1")} == {one.token.id, other.token.id}
    assert (await client.provider.inspect(one.token)).exists
    await client.provider.revoke(one.token)
    assert client.document_store.values[NAMES] == {other.token.id: "rotator-lab1-shop-c0ffee-r1-a1"}


async def test_doing_a_thing_twice_sends_one_update(client: Client) -> None:
    minted = await client.installed()
    assert await client.bound().install(minted) == minted.token
    await client.provider.revoke(minted.token)
    assert await client.bound().revoke(minted.token) is Outcome.ALREADY
    assert len(client.server.known[client.world.client.client_id].updates) == 2


@pytest.mark.parametrize(("update", "look"), [(True, False), (False, False), (True, True)])
async def test_the_token_that_is_kept_is_the_servers_whether_or_not_it_changes(
    client: Client, update: bool, look: bool
) -> None:
    client.server.next_token, client.server.next_token_on_read = update, look
    first = client.document_store.values["token"]
    await client.installed()
    assert client.whole
    assert (client.document_store.values["token"] != first) is (update or look)
    assert client.document_store.values["owner"] == "ada"
    assert SENT not in client.document_store.values


async def test_a_lost_answer_is_told_once_and_the_key_that_arrived_is_taken(client: Client) -> None:
    minted = await client.provider.mint(NAME, None)
    client.world.itsm.faults.add("drop", when="after", method="PUT", path="/register/*")
    with pytest.raises(Transient):
        await client.provider.install(minted)
    with pytest.raises(NeedsPerson) as told:
        await client.provider.install(minted)
    for word in ("never arrived", "Keycloak", "Hydra", str(KEPT), "rotate now", client.world.client.client_id):
        assert word in told.value.reason
    assert await client.provider.verify(minted.token, minted.secret) == Accepted()
    assert await client.provider.is_dead(minted.token, minted.secret) is False
    assert await client.provider.is_dead(minted.token, None) is None
    calls = len(client.world.itsm.calls.since(0))
    for process in (client.provider, client.bound()):
        with pytest.raises(NeedsPerson):
            await process.mint(NAME, None)
        with pytest.raises(Refused) as waits:
            await process.revoke(minted.token)
        assert not isinstance(waits.value, NeedsPerson)
    assert len(client.world.itsm.calls.since(0)) == calls  # a refused token is not presented again
    client.world.clock.move(3600)  # something in front of the server may have refused it
    with pytest.raises(NeedsPerson, match="never arrived"):
        await client.provider.mint(NAME, None)
    assert len(client.world.itsm.calls.since(0)) == calls + 1
    client.authorise(client.server.renew(client.world.client))
    assert await client.provider.install(minted) == minted.token
    assert client.whole
    assert {REFUSED, SENT}.isdisjoint(client.document_store.values)


async def test_a_token_that_was_refused_by_something_in_front_of_the_server_is_taken_an_hour_later(
    client: Client,
) -> None:
    client.world.itsm.faults.add("status", status=401, times=1, path="/register/*")
    for _ in range(2):
        with pytest.raises(NeedsPerson):
            await client.provider.mint(NAME, None)
    client.world.clock.move(3600)
    await client.installed()
    assert client.whole


async def test_a_token_that_was_refused_is_taken_at_once_when_check_has_shown_it_again(client: Client) -> None:
    client.world.itsm.faults.add("status", status=401, times=1, path="/register/*")
    with pytest.raises(NeedsPerson) as told:
        await client.provider.mint(NAME, None)
    assert str(told.value.remedy).startswith("first let `rotate check` show it again")
    client.provider = client.bound()
    assert (await _looked(client)).sound
    await client.bound().mint(NAME, None)
    assert REFUSED not in client.document_store.values


async def test_a_lost_answer_of_a_server_that_keeps_the_token_is_nothing(client: Client) -> None:
    client.server.next_token = False
    minted = await client.provider.mint(NAME, None)
    client.world.itsm.faults.add("drop", when="after", method="PUT", path="/register/*")
    with pytest.raises(Transient):
        await client.provider.install(minted)
    assert await client.provider.install(minted) == minted.token
    assert SENT not in client.document_store.values


async def test_a_token_that_could_not_be_written_is_written_at_the_next_call(client: Client) -> None:
    minted = await client.provider.mint(NAME, None)

    def later() -> None:
        client.document_store.meanwhile = lambda: client.document_store.faults.append(StoreRefused("sealed"))

    client.document_store.meanwhile = later
    with pytest.raises(Transient, match="only this process has it"):
        await client.provider.install(minted)
    assert not client.whole
    assert await client.provider.install(minted) == minted.token
    assert client.whole


async def test_nothing_is_sent_that_could_not_be_noted(client: Client) -> None:
    minted = await client.provider.mint(NAME, None)
    for trouble in (
        lambda: client.document_store.faults.append(StoreRefused("sealed")),
        lambda: client.document_store.put(**{**client.document_store.values, "owner": "grace"}),
    ):
        client.document_store.meanwhile = trouble
        with pytest.raises(Transient):
            await client.provider.install(minted)
    assert client.kids == ["theirs"]
    assert await client.provider.install(minted) == minted.token
    assert client.document_store.values["owner"] == "grace"


async def test_a_token_that_a_person_has_put_there_meanwhile_is_not_written_over(client: Client) -> None:
    minted = await client.provider.mint(NAME, None)

    def later() -> None:
        client.document_store.meanwhile = lambda: client.authorise(client.server.renew(client.world.client))

    client.document_store.meanwhile = later
    assert await client.provider.install(minted) == minted.token
    assert client.whole


async def test_a_look_during_another_process_update_marks_nothing(client: Client) -> None:
    """`rotate check` beside the daemon, between the answer of an update and the write of its token."""
    client.server.renew(client.world.client)
    now = client.world.clock.now()
    client.document_store.put(**{**client.document_store.values, SENT: now.isoformat()})
    for words in ("another process", "another process"):
        with pytest.raises(Transient, match=words):
            await client.provider.mint(NAME, None)
    client.world.clock.move(60)
    with pytest.raises(NeedsPerson, match="never arrived"):
        await client.provider.mint(NAME, None)
    client.document_store.put(token=client.server.renew(client.world.client), **{SENT: "yesterday"})
    await client.installed()
    assert client.whole


@pytest.mark.parametrize(
    ("behaviour", "fault", "words"),
    [
        ({"does_nothing": True}, Transient, "took an update of jwks, and does not show it"),
        ({"answers_with_a_page": True}, Transient, "RFC 7592"),
        ({"allows_updates": False}, NeedsPerson, r"403 \(access_denied\)"),
    ],
)
async def test_a_server_that_does_not_what_it_is_told_is_told_of(
    client: Client, behaviour: dict[str, bool], fault: type[Exception], words: str
) -> None:
    minted = await client.provider.mint(NAME, None)
    for name, value in behaviour.items():
        setattr(client.server, name, value)
    with pytest.raises(fault, match=words):
        await client.provider.install(minted)
    assert client.whole or client.server.answers_with_a_page


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"jwks_uri": "https://crm.example/jwks", "jwks": None}, "jwks_uri"),
        ({"token_endpoint_auth_method": "client_secret_basic"}, "PATCH /admin/clients/ID"),
        ({"client_id": "another"}, "another client"),
        ({"client_id": None}, "without a client"),
        ({"jwks": {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}}, "private or symmetric"),
    ],
)
async def test_a_registration_whose_keys_are_not_to_be_changed_is_told_before_a_key_is_made(
    client: Client, change: dict[str, Any], words: str
) -> None:
    client.server.known[client.world.client.client_id].client |= change
    with pytest.raises((NeedsPerson, Transient), match=words) as told:
        await client.provider.mint(NAME, None)
    assert "c2VjcmV0" not in str(told.value)
    found = await _looked(client)
    assert words in f"{found.text}: {found.remedy}"
    assert found.grave is isinstance(told.value, NeedsPerson)
    elsewhere = {**_options(client), "registration_client_uri": "", "registration_access_token": None, "jwks": "a/b"}
    made = await client.world.bound("assertion-key", **elsewhere).mint(NAME, None)
    assert await client.provider.diagnose(made.secret) == [], "it has been told"


async def _looked(client: Client, *keep: Token) -> Remark:
    """What `rotate check` says of the registration."""
    (found,) = (
        await client.world.server.preview(client.world.credential("assertion-key", **_options(client)), keep) or ()
    )
    return found


def _options(client: Client) -> dict[str, Any]:
    uri = f"{client.world.itsm.url}/register/{client.world.client.client_id}"
    alone = {"client_secret": None, "signing_key": None, "algorithm": "ES256"}
    return {**alone, "registration_client_uri": uri, "registration_access_token": KEPT}


async def test_without_a_token_or_with_junk_a_person_is_asked_and_an_address_of_nothing_is_told(client: Client) -> None:
    for text, words in (("", "no registration access token"), ("zwei\x00teile", "is no token")):
        client.document_store.put(**({"token": text} if text else {}))
        with pytest.raises(NeedsPerson, match=words):
            await client.provider.mint(NAME, None)
    client.document_store.put(token="rat-canary-81")
    with pytest.raises(
        NeedsPerson, match="refuses the registration access token: first let `rotate check` show it again"
    ):
        await client.provider.mint(NAME, None)
    remark = await _looked(client)
    assert remark.grave
    assert remark.remedy.startswith("get another one for client"), "check has just shown it again"
    client.document_store.put(token="rat-canary-82")
    lost = client.bound(registration_client_uri=f"{client.world.itsm.url}/api/authinfo")
    with pytest.raises(Transient, match="without a client"):
        await lost.mint(NAME, None)
    with pytest.raises(NeedsPerson, match="404"):
        await client.bound(registration_client_uri=f"{client.world.itsm.url}/nothing").mint(NAME, None)


async def test_check_says_which_keys_stand_in_a_registration(client: Client) -> None:
    uri = f"{client.world.itsm.url}/register/{client.world.client.client_id}"
    said = f"the registration at {uri} is read; "
    assert await _looked(client) == Remark(f"{said}1 key in its jwks: theirs (not ours)", sound=True)
    one, two = await client.installed(), await client.installed("rotator-lab1-crm-c0ffee-r2-a1")
    shown = f"theirs (not ours), {one.token.id} (in use), {two.token.id} (ours: rotator-lab1-crm-c0ffee-r2-a1)"
    assert await _looked(client, one.token) == Remark(f"{said}3 keys in its jwks: {shown}", sound=True)
    known = client.server.known[client.world.client.client_id].client
    known["jwks"] = {"keys": [{**FOREIGN, "kid": f"\x1b{number}"} for number in range(9)]}
    text = (await _looked(client)).text
    assert "9 keys in its jwks: \\x1b0 (not ours)" in text
    assert text.endswith("\\x1b7 (not ours), 1 more")
    known["jwks"] = None
    assert (await _looked(client)).text == f"{said}0 keys in its jwks"


async def test_a_registration_that_cannot_be_read_now_is_no_reason_to_look_at_nothing_else(client: Client) -> None:
    client.world.itsm.faults.add("status", status=503, path="/register/*")
    found = await _looked(client)
    assert (found.grave, found.text.startswith("not looked at: GET to")) == (False, True)


async def test_a_published_key_that_left_a_registration_is_told(client: Client) -> None:
    minted = await client.installed()
    assert await client.provider.diagnose(minted.secret) == []
    await client.provider.revoke(minted.token)
    assert "our key set does not list" in (await client.provider.diagnose(minted.secret))[0]


async def test_the_next_token_is_a_secret_and_in_no_words(client: Client) -> None:
    client.world.itsm.faults.add("status", status=503, method="PUT", path="/register/*")
    minted = await client.provider.mint(NAME, None)
    kept = str(client.document_store.values["token"])
    with pytest.raises(Transient, match=r"503.*Keycloak.* internal id") as trouble:
        await client.provider.install(minted)
    assert kept not in trouble.value.reason
    assert kept not in repr(vars(client.provider._registration))


async def test_the_wait_for_caches_is_none_where_the_server_has_the_keys_itself(client: Client) -> None:
    options = client.world.credential("assertion-key", **_options(client)).options
    assert options.cached == timedelta(0)
    both = client.world.credential("assertion-key", **_options(client), jwks="secret/jwks").options
    assert both.cached == timedelta(hours=1)
