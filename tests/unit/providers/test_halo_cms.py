"""The tests of what is particular to Halo CMS: releases, refusals, probes, listings, and answers not its own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from rotator.ports import Accepted, Fault, MinterRefused, Outcome, Refused, Rejected, Transient, Unknown, Verdict
from rotator.providers.halo_cms.client import HaloCmsServer
from rotator.providers.halo_cms.config import HaloPatOptions
from rotator.providers.halo_cms.provider import HaloPat
from rotator.providers.http.auth import Auth, Basic, Bearer
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret
from tests.kit.clock import HandClock
from tests.unit.providers import halo
from tests.unit.providers.halo import ROLE, World, credential

pytestmark = pytest.mark.anyio

STEM = "rotator-lab1-blog-c0ffee"
NAME = f"{STEM}-r1-a1"
CANARY = Secret("pat_canary.31aa.77bb")
POSTS = "/apis/content.halo.run/v1alpha1/posts?page=1&size=1"
PLUGINS = "/apis/plugin.halo.run/v1alpha1/plugins?page=1&size=1"
TRAP = "/apis/api.console.halo.run/v1alpha1/users/-"


@pytest.fixture
async def world(clock: HandClock) -> AsyncIterator[World]:
    async with halo.running("2.26.0", clock) as running:
        yield running


# --- what a mint sends and learns -----------------------------------------------------------------------------------


async def test_a_mint_sends_name_label_mark_roles_and_expiry_and_no_finalizers(world: World, clock: HandClock) -> None:
    await world.pat(description="nightly build").mint(NAME, clock.now() + timedelta(days=7))
    record = world.halo.model.records.get(NAME)
    assert record is not None
    assert record.labels == {"rotator/mint": NAME}
    assert record.description == f"nightly build rotator:{NAME}"
    assert record.roles == [ROLE]
    assert record.expires_at == clock.now() + timedelta(days=7)
    assert record.finalizers is None


async def test_a_mint_tells_its_secret_in_the_secret_only(world: World) -> None:
    minted = await world.pat().mint(NAME, None)
    assert minted.secret.reveal().startswith("pat_")
    assert minted.secret.reveal() not in repr(minted)
    assert minted.fields == {}


@pytest.mark.parametrize(("version", "kept"), [("2.26.0", True), ("2.20.18", False)])
async def test_whether_names_are_kept_is_learnt_from_the_first_mint(version: str, kept: bool, clock: HandClock) -> None:
    async with halo.running(version, clock) as world:
        assert world.server.server.names_kept is None
        assert not world.pat().capabilities.takes_token_name
        await world.pat().mint(NAME, None)
        assert world.server.server.names_kept is kept


async def test_what_is_learnt_through_one_minter_is_known_to_all(world: World) -> None:
    async def minter() -> Auth:
        return world.auth

    await pat_on(world.server.minted_by(minter)).mint(NAME, None)
    assert world.pat().capabilities.takes_token_name


async def test_a_version_in_the_settings_says_it_beforehand(clock: HandClock) -> None:
    async with halo.running("2.26.0", clock, version="2.26.0") as world:
        assert world.pat().capabilities.takes_token_name


async def test_looking_for_a_kept_name_reads_one_record_and_lists_nothing(world: World) -> None:
    await world.pat().mint(NAME, None)
    assert len(await world.pat().find(NAME)) == 1
    assert world.listings() == 0


async def test_a_name_of_an_older_server_is_found_by_its_mark_after_an_upgrade(world: World) -> None:
    world.halo.model.mint("minter", name="pat-minter-XyZaB", description=f"rotator:{NAME}")
    await world.pat().mint(f"{STEM}-r2-a1", None)
    found = await world.pat().find(NAME)
    assert [(token.id, token.name) for token in found] == [("pat-minter-XyZaB", NAME)]


async def test_a_role_that_the_minter_lacks_is_refused_and_is_no_duplicate(world: World, clock: HandClock) -> None:
    limited = Bearer(world.halo.model.mint("minter", name="limited", roles=[ROLE]))
    site = await halo.open_site(world.halo.url, limited, clock)
    with pytest.raises(Refused, match="role") as caught:
        await HaloPat(site, HaloPatOptions(roles=("super-role",))).mint(NAME, None)
    assert type(caught.value) is Refused
    await site.aclose()


# --- the minter -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["2.20.2", "2.19.3"])
async def test_a_token_cannot_mint_before_2_20_3_and_is_told_what_can(version: str, clock: HandClock) -> None:
    async with halo.running(version, clock, by_token=True) as world:
        with pytest.raises(Refused, match=r"before 2\.20\.3 .* Basic Auth"):
            await world.pat().mint(NAME, None)


@pytest.mark.parametrize("verb", ["mint", "find", "inspect", "revoke", "restore", "is_dead"])
async def test_a_dead_minter_is_told_apart_from_every_other_refusal(world: World, verb: str) -> None:
    world.halo.model.revoke("minter", "minter-pat")
    token, pat = Token(NAME, NAME), world.pat()
    calls: dict[str, Callable[[], Any]] = {
        "mint": lambda: pat.mint(NAME, None),
        "find": lambda: pat.find(STEM),
        "inspect": lambda: pat.inspect(token),
        "revoke": lambda: pat.revoke(token),
        "restore": lambda: pat.restore(token),
        "is_dead": lambda: pat.is_dead(token, None),
    }
    with pytest.raises(MinterRefused, match="minter's token is refused"):
        await calls[verb]()


async def minter_fault(world: World, auth: Any, clock: HandClock) -> str:
    site = await halo.open_site(world.halo.url, auth, clock)
    with pytest.raises(MinterRefused) as caught:
        await HaloPat(site, HaloPatOptions()).mint(NAME, None)
    await site.aclose()
    return caught.value.reason


async def test_basic_auth_that_is_switched_off_is_told_from_a_wrong_password(clock: HandClock) -> None:
    wrong = Basic("minter", Secret("canary-wrong-password"))
    async with halo.running("2.26.0", clock) as world:
        assert "name or password" in await minter_fault(world, wrong, clock)
        world.halo.model.basic_auth = False
        assert "off by default since 2.20.0" in await minter_fault(world, wrong, clock)


@pytest.mark.parametrize(
    ("version", "words"),
    [("2.26.0", "refused"), ("2.20.18", "saw no token"), ("2.20.2", "ignored"), ("2.19.3", "ignored")],
)
async def test_a_minter_that_is_no_token_is_refused_however_the_server_shows_it(
    version: str, words: str, clock: HandClock
) -> None:
    async with halo.running(version, clock) as world:
        assert words in await minter_fault(world, Bearer(Secret("canary-not-a-pat")), clock)
        assert "no Authorization header may carry" in await minter_fault(world, Bearer(Secret("canary \n")), clock)


async def test_a_token_that_mints_its_own_successor_ends_by_its_hand(clock: HandClock) -> None:
    async with halo.running("2.26.0", clock) as world:
        auth = Bearer(world.halo.model.mint("minter", name="self", roles=[ROLE]))
        first = await halo.open_site(world.halo.url, auth, clock)
        minted = await HaloPat(first, HaloPatOptions(roles=(ROLE,))).mint(NAME, None)
        second = await halo.open_site(world.halo.url, Bearer(minted.secret), clock)
        pat = HaloPat(second, HaloPatOptions(roles=(ROLE,)))
        assert await pat.revoke(Token("self")) is Outcome.DONE
        assert await pat.is_dead(Token("self"), auth.secret) is True
        await first.aclose()
        await second.aclose()


async def test_proxies_of_the_environment_are_not_asked(clock: HandClock, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with halo.running("2.26.0", clock) as world:
        assert (await world.pat().mint(NAME, None)).token.id == NAME


# --- the proof ------------------------------------------------------------------------------------------------------


async def rejected(pat: HaloPat, token: Token, secret: Secret) -> Rejected:
    verdict = await pat.verify(token, secret)
    assert isinstance(verdict, Rejected)
    return verdict


async def test_a_token_with_other_roles_than_wanted_is_rejected_for_good(world: World) -> None:
    minted = await world.pat().mint(NAME, None)
    for roles in ([], [ROLE, "role-template-view-plugins"], ["role-template-view-plugins"]):
        verdict = await rejected(world.pat(roles=roles), minted.token, minted.secret)
        assert verdict.final
        assert "roles" in verdict.reason


async def test_a_token_of_another_user_is_rejected_for_good(clock: HandClock) -> None:
    async with halo.running("2.26.0", clock, username="somebody") as world:
        minted = await world.pat().mint(NAME, None)
        verdict = await rejected(world.pat(), minted.token, minted.secret)
        assert (verdict.final, verdict.reason) == (
            True,
            "the token belongs to user minter, and the target's settings name somebody",
        )


async def test_a_token_of_the_same_name_but_another_id_is_rejected_for_good(world: World) -> None:
    minted = await world.pat().mint(NAME, None)
    other = replace(minted.token, serial="00000000-0000-0000-0000-000000000000")
    assert (await rejected(world.pat(), other, minted.secret)).final
    assert not (await world.pat().inspect(other)).exists


async def test_the_probe_proves_a_right_or_names_its_lack(world: World) -> None:
    minted = await world.pat().mint(NAME, None)
    assert await world.pat(probe=POSTS).verify(minted.token, minted.secret) == Accepted()
    verdict = await rejected(world.pat(probe=PLUGINS), minted.token, minted.secret)
    assert verdict.final
    assert "lacks a right" in verdict.reason
    assert isinstance(await world.pat(probe="/apis/nowhere").verify(minted.token, minted.secret), Unknown | Rejected)


async def test_the_mail_gate_of_2_26_0_is_named(world: World) -> None:
    minted = await world.pat().mint(NAME, None)
    world.halo.model.about.requires_verified_email = True
    verdict = await rejected(world.pat(), minted.token, minted.secret)
    assert verdict.final
    assert "e-mail" in verdict.reason


@pytest.mark.parametrize("version", halo.VERSIONS)
@pytest.mark.parametrize("value", ["canary-no-prefix", "pat_canary\n", "pat_", "pat_x.y.z"])
async def test_no_release_passes_junk(version: str, value: str, clock: HandClock) -> None:
    async with halo.running(version, clock) as world:
        minted = await world.pat().mint(NAME, None)
        assert isinstance(await world.pat().verify(minted.token, Secret(value)), Rejected)
        assert await world.pat().is_dead(minted.token, Secret(value)) in (False, True)


@pytest.mark.parametrize("version", halo.VERSIONS)
async def test_junk_is_no_proof_of_death_of_a_living_token(version: str, clock: HandClock) -> None:
    async with halo.running(version, clock) as world:
        minted = await world.pat().mint(NAME, None)
        assert await world.pat().is_dead(minted.token, Secret("canary-no-prefix")) is False


# --- the negative control -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", halo.VERSIONS)
async def test_the_control_passes_on_every_release_with_a_guarded_probe(version: str, clock: HandClock) -> None:
    async with halo.running(version, clock) as world:
        await world.server.control(credential())
        await world.server.control(credential(probe=POSTS))


@pytest.mark.parametrize("probe", [TRAP, "/actuator/health", "/login"])
async def test_a_public_probe_is_refused(world: World, probe: str) -> None:
    with pytest.raises(Refused):
        await world.server.control(credential(probe=probe))
    if probe == TRAP:
        with pytest.raises(Refused, match="accepts anyone"):
            await world.server.control(credential(probe=probe))


# --- the sweep ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", halo.VERSIONS)
async def test_a_sweep_lists_once_for_all_credentials_of_a_target(version: str, clock: HandClock) -> None:
    async with halo.running(version, clock) as world:
        stems = [f"rotator-lab1-{name}-c0ffee" for name in ("blog", "shop", "mail")]
        minted = {(await world.pat().mint(f"{stem}-r1-a1", None)).token for stem in stems}
        before = world.listings()
        tokens = await world.server.list_tokens()
        assert {token.name.rpartition("-r")[0] for token in tokens} == set(stems)
        assert set(tokens) == minted
        assert world.listings() - before == 1


async def test_the_listing_leaves_out_strangers_and_the_dead(world: World) -> None:
    kept = await world.pat().mint(NAME, None)
    gone = await world.pat().mint(f"{STEM}-r2-a1", None)
    deleted = await world.pat().mint(f"{STEM}-r3-a1", None)
    world.halo.model.mint("minter", name="by-hand", description="my own rotator")
    await world.pat().revoke(gone.token)
    await world.pat().delete(deleted.token)
    assert await world.server.list_tokens() == (kept.token,)


async def test_pruning_deletes_only_our_records_and_only_those_revoked_long_ago(world: World, clock: HandClock) -> None:
    pat, names = world.pat(), [f"{STEM}-r{number}-a1" for number in (1, 2, 3)]
    old, recent, alive = [(await pat.mint(name, None)).token for name in names]
    foreign = (await pat.mint("rotator-lab2-blog-facade-r1-a1", None)).token
    by_hand = world.halo.model.mint("minter", name="by-hand")
    for token in (old, foreign, Token("by-hand")):
        await pat.revoke(token)
    clock.move(25 * 3600)
    await pat.revoke(recent)
    assert await world.server.prune(lambda name: name.startswith("rotator-lab1-"), timedelta(hours=24)) == 1
    clock.move(5)
    left = {record.name for record in world.halo.model.own("minter")}
    assert left == {"minter-pat", "by-hand", recent.id, alive.id, foreign.id}
    assert not world.halo.model.accepts(by_hand)


async def test_the_audit_names_roles_that_the_minter_does_not_hand_out(world: World, clock: HandClock) -> None:
    assert await world.server.audit((credential(),)) == ["the minter holds roles that it hands to nobody: super-role"]
    limited = Bearer(world.halo.model.mint("minter", name="limited", roles=[ROLE]))
    site = await halo.open_site(world.halo.url, limited, clock)
    assert await site.audit((credential(),)) == []
    await site.aclose()


# --- races ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["revoke", "restore", "delete"])
async def test_a_lost_race_is_run_again_and_a_hopeless_one_is_given_up(world: World, verb: str) -> None:
    pat = world.pat()
    token = (await pat.mint(NAME, None)).token
    if verb == "restore":
        await pat.revoke(token)
    method = "DELETE" if verb == "delete" else "PUT"
    world.halo.faults.add("status", status=409, method=method, times=4)
    assert await getattr(pat, verb)(token) is Outcome.DONE
    undo = {"revoke": pat.restore, "restore": pat.revoke}.get(verb)
    if undo:
        await undo(token)
        world.halo.faults.add("status", status=409, method=method, times=5)
        with pytest.raises(Transient, match="races"):
            await getattr(pat, verb)(token)


async def test_a_race_lost_to_the_same_change_is_already(world: World) -> None:
    pat = world.pat()
    token = (await pat.mint(NAME, None)).token
    world.halo.faults.add("status", status=409, method="PUT", when="after")
    assert await pat.revoke(token) is Outcome.ALREADY


# --- answers that are not Halo's ------------------------------------------------------------------------------------


def reply(status: int, content: bytes = b"", **headers: str) -> httpx.Response:
    async def body() -> AsyncIterator[bytes]:
        yield content

    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return httpx.Response(status, content=body(), headers=named)


def record(**spec: Any) -> bytes:
    said = {"tokenId": "t-1", "username": "minter", "roles": [ROLE], "revoked": False, **spec}
    return json.dumps({"metadata": {"name": NAME, "version": 0}, "spec": said}).encode()


JSON = "application/json"
PROBLEM = "application/problem+json"
TOKEN = Token(NAME, NAME, "t-1")
OTHERS: dict[str, Callable[[], httpx.Response]] = {
    "302": lambda: reply(302, location="/login?authentication_required"),
    "200 page": lambda: reply(200, b"<html>log in</html>", content_type="text/html"),
    "200 of another shape": lambda: reply(200, b'{"hello": "world"}', content_type=JSON),
    "200 list": lambda: reply(200, b"[]", content_type=JSON),
    "200 cut off": lambda: reply(200, record()[:40], content_type=JSON),
    "401 page": lambda: reply(401, b"<html></html>", content_type="text/html"),
    "401 of a proxy": lambda: reply(401, www_authenticate='Basic realm="proxy"'),
    "401 without token": lambda: reply(401, www_authenticate='FormLogin realm="console"'),
    "403 page": lambda: reply(403, b"<html>blocked</html>", content_type="text/html"),
    "404 page": lambda: reply(404, b"default backend - 404", content_type="text/plain"),
    "404 of a gateway that speaks JSON": lambda: reply(404, b'{"message":"no Route matched"}', content_type=JSON),
    "400 of a gateway that speaks JSON": lambda: reply(400, b'{"message":"bad"}', content_type=JSON),
    "403 of a gateway that speaks JSON": lambda: reply(403, b'{"message":"blocked"}', content_type=JSON),
    "429": lambda: reply(429, retry_after="7"),
    "500": lambda: reply(500, b"{}", content_type=PROBLEM),
    "502 page": lambda: reply(502, b"<html></html>", content_type="text/html"),
    "503": lambda: reply(503, retry_after="7"),
}


@pytest.fixture(params=OTHERS)
async def elsewhere(request: pytest.FixtureRequest, clock: HandClock) -> AsyncIterator[HaloCmsServer]:
    """A site whose every answer comes from something in front of Halo."""
    transport = httpx.MockTransport(lambda _: OTHERS[request.param]())
    site = await halo.open_site("https://blog.example", Bearer(Secret("pat_canary.of.minter")), clock, transport)
    yield site
    await site.aclose()


def pat_on(site: HaloCmsServer) -> HaloPat:
    return HaloPat(site, HaloPatOptions(roles=(ROLE,)))


async def test_what_stands_in_front_of_halo_never_judges_a_token(elsewhere: HaloCmsServer) -> None:
    assert isinstance(await pat_on(elsewhere).verify(TOKEN, CANARY), Unknown)


async def test_what_stands_in_front_of_halo_never_declares_a_token_dead(elsewhere: HaloCmsServer) -> None:
    for secret in (CANARY, None):
        try:
            dead = await pat_on(elsewhere).is_dead(TOKEN, secret)
        except Fault:
            dead = None
        assert dead is not True


async def test_what_stands_in_front_of_halo_can_neither_revoke_nor_mint_nor_list(elsewhere: HaloCmsServer) -> None:
    pat = pat_on(elsewhere)
    for call in (pat.revoke(TOKEN), pat.restore(TOKEN), pat.mint(NAME, None), pat.delete(TOKEN), pat.inspect(TOKEN)):
        with pytest.raises(Fault):
            await call


async def test_what_stands_in_front_of_halo_does_not_pass_the_control(elsewhere: HaloCmsServer) -> None:
    with pytest.raises(Fault):
        await elsewhere.control(credential())


async def verdict_on(answer: Callable[[], httpx.Response], clock: HandClock) -> Verdict:
    """What Halo's answer to a token says of it, while Halo takes the minter."""
    minter = Bearer(Secret("pat_canary.of.minter"))

    def peer(request: httpx.Request) -> httpx.Response:
        sound = request.headers["authorization"].endswith("canary.of.minter")
        return reply(404, b"{}", content_type=PROBLEM) if sound else answer()

    site = await halo.open_site("https://blog.example", minter, clock, httpx.MockTransport(peer))
    return await pat_on(site).verify(TOKEN, CANARY)


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (lambda: reply(200, record(), content_type=JSON), Accepted()),
        (lambda: reply(200), Rejected("200 with nothing in it: Halo ignored the token")),
        (lambda: reply(401, www_authenticate="Bearer"), Rejected("401: the token is refused")),
        (lambda: reply(200, record(tokenId="t-2"), content_type=JSON), Rejected("the record is another token's", True)),
        (
            lambda: reply(200, record(revoked=True), content_type=JSON),
            Rejected("the token is revoked or deleted", True),
        ),
        (
            lambda: reply(404, b"{}", content_type=PROBLEM),
            Rejected("accepted, but the record is gone or another user's", True),
        ),
    ],
    ids=["record", "empty", "Bearer 401", "another id", "revoked", "404 problem"],
)
async def test_halos_own_answers_judge_a_token(
    answer: Callable[[], httpx.Response], verdict: Verdict, clock: HandClock
) -> None:
    assert await verdict_on(answer, clock) == verdict


async def test_a_pause_that_was_asked_for_reaches_the_verdict(clock: HandClock) -> None:
    verdict = await verdict_on(lambda: reply(429, retry_after="7"), clock)
    assert isinstance(verdict, Unknown)
    assert verdict.retry_after == 7


async def test_a_moved_api_declares_nothing_dead(clock: HandClock) -> None:
    transport = httpx.MockTransport(lambda _: reply(404, b"{}", content_type=PROBLEM))
    site = await halo.open_site("https://blog.example", Bearer(Secret("pat_canary.of.minter")), clock, transport)
    with pytest.raises(Refused, match="api_group"):
        await pat_on(site).is_dead(TOKEN, None)


@pytest.mark.parametrize("annotations", [{}, {"security.halo.run/access-token": ""}, None, []])
async def test_a_mint_that_shows_no_token_is_unknown(annotations: Any, clock: HandClock) -> None:
    said = json.dumps({"metadata": {"name": NAME, "annotations": annotations}, "spec": {"tokenId": "t"}}).encode()
    transport = httpx.MockTransport(lambda _: reply(200, said, content_type=JSON))
    site = await halo.open_site("https://blog.example", Bearer(Secret("pat_canary.of.minter")), clock, transport)
    with pytest.raises(Transient, match="shows no token"):
        await pat_on(site).mint(NAME, None)


async def test_a_mint_with_an_unreadable_record_does_not_quote_its_token(clock: HandClock) -> None:
    where = {"security.halo.run/access-token": CANARY.reveal()}
    said = json.dumps({"metadata": {"name": CANARY.reveal(), "annotations": where}, "spec": {"tokenId": 5}}).encode()
    transport = httpx.MockTransport(lambda _: reply(200, said, content_type=JSON))
    site = await halo.open_site("https://blog.example", Bearer(Secret("pat_canary.of.minter")), clock, transport)
    with pytest.raises(Transient) as caught:
        await pat_on(site).mint(NAME, None)
    assert CANARY.reveal() not in repr(caught.value)


async def test_the_list_of_a_large_site_is_read(clock: HandClock) -> None:
    one = json.loads(record(description=f"rotator:{NAME} "))
    said = json.dumps([{**one, "padding": "x" * 400} for _ in range(10_000)]).encode()
    transport = httpx.MockTransport(lambda _: reply(200, said, content_type=JSON))
    site = await halo.open_site("https://blog.example", Bearer(Secret("pat_canary.of.minter")), clock, transport)
    assert len(said) > 4_000_000
    assert len(await site.list_tokens()) == 10_000
