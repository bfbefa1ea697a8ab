"""Behaviour of real Halo CMS servers that the recorded exchanges do not show, measured or read in their source."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections import Counter
from datetime import timedelta
from typing import Any

import anyio
import pytest
from hypothesis import given, settings, strategies

from rotator.rotation.secret import Secret
from tests.kit.clock import HandClock
from tests.sandbox.cms.model import Wish
from tests.sandbox.cms.refusals import Refused
from tests.sandbox.cms.routes import HaloSite
from tests.sandbox.halo_cms import HaloCms
from tests.sandbox.messages import Request
from tests.unit.sandbox.client import OWN, TOKEN, Browserless, basic

pytestmark = pytest.mark.anyio

WHO_AM_I = "/apis/api.console.halo.run/v1alpha1/users/-"
ANY = "/apis/security.halo.run/v1alpha1/personalaccesstokens"
PASSWORD = "canary5word"


def halo_with_admin(version: str = "2.26.0", **settings: Any) -> tuple[HaloCms, str]:
    halo = HaloCms(version, seed=1, **settings)
    halo.model.add_user("admin", PASSWORD, ["super-role"])
    return halo, bearer(halo.model.mint("admin", name="boot", roles=["super-role"]))


def bearer(secret: Secret | str) -> str:
    return f"Bearer {secret.reveal() if isinstance(secret, Secret) else secret}"


def wish(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"name": name, **spec}}


@pytest.mark.parametrize(("version", "outcome"), [("2.26.0", {200: 1, 400: 11}), ("2.20.18", {200: 12})])
async def test_of_twelve_mints_of_one_name_one_wins_since_names_are_kept(version: str, outcome: dict[int, int]) -> None:
    halo, boot = halo_with_admin(version)
    seen: Counter[int] = Counter()

    async def mint() -> None:
        async with Browserless(halo.url) as client:
            seen[(await client.call("POST", OWN, boot, json=wish("one"))).status_code] += 1

    async with halo.running(), anyio.create_task_group() as group:
        for _ in range(12):
            group.start_soon(mint)
        while sum(seen.values()) < 12:
            await anyio.lowlevel.checkpoint()
    assert seen == outcome


async def test_before_2_20_3_only_a_password_mints_and_twelve_of_one_name_all_succeed() -> None:
    halo, boot = halo_with_admin("2.20.2", basic_auth=True)
    async with halo.running(), Browserless(halo.url) as client:
        assert (await client.call("POST", OWN, boot, json=wish("one"))).status_code == 403
        answers = [await client.call("POST", OWN, basic("admin", PASSWORD), json=wish("one")) for _ in range(12)]
    assert [answer.status_code for answer in answers] == [200] * 12
    assert len(halo.model.live_tokens()) == 13


async def test_a_deleted_record_keeps_its_name_until_collected_and_then_frees_it(clock: HandClock) -> None:
    halo, boot = halo_with_admin(clock=clock.now)
    async with halo.running(), Browserless(halo.url) as client:
        token = (await client.call("POST", OWN, boot, json=wish("one"))).json()["metadata"]["annotations"][TOKEN]
        assert (await client.call("DELETE", f"{OWN}/one", boot)).status_code == 200
        assert (await client.call("GET", OWN, bearer(token))).status_code == 401
        assert "deletionTimestamp" in (await client.call("GET", f"{OWN}/one", boot)).json()["metadata"]
        assert (await client.call("DELETE", f"{OWN}/one", boot)).status_code == 200
        assert (await client.call("POST", OWN, boot, json=wish("one"))).status_code == 400
        clock.move(0.5)
        assert (await client.call("GET", f"{OWN}/one", boot)).status_code == 404
        gone = await client.call("GET", OWN, bearer(token))
        assert (gone.status_code, gone.headers["www-authenticate"]) == (401, "Bearer")
        assert (await client.call("POST", OWN, boot, json=wish("one"))).status_code == 200
        reborn = await client.call("GET", OWN, bearer(token))
        assert (reborn.status_code, halo.model.accepts(token)) == (401, False), (
            "the name lives again, the token does not"
        )


async def test_a_record_with_a_foreign_finalizer_hangs_in_deletion_and_keeps_its_name(clock: HandClock) -> None:
    halo, boot = halo_with_admin(clock=clock.now)
    async with halo.running(), Browserless(halo.url) as client:
        body = {"metadata": {"name": "one", "finalizers": ["mine"]}, "spec": {"name": "one"}}
        await client.call("POST", OWN, boot, json=body)
        await client.call("DELETE", f"{OWN}/one", boot)
        clock.move(3600)
        assert (await client.call("GET", f"{OWN}/one", boot)).status_code == 200
        assert not halo.model.is_accepted("one")


@pytest.mark.parametrize("version", ["2.26.0", "2.20.18", "2.20.2", "2.19.3"])
async def test_an_expired_token_is_accepted_for_sixty_seconds_more(version: str, clock: HandClock) -> None:
    halo, _ = halo_with_admin(version, clock=clock.now)
    secret = halo.model.mint("admin", name="brief", expires_at=clock.now() + timedelta(seconds=3))
    seen = []
    async with halo.running(), Browserless(halo.url) as client:
        for seconds in (5, 52, 67):
            clock.wall = HandClock().now() + timedelta(seconds=3 + seconds)
            seen.append((await client.call("GET", OWN, bearer(secret))).status_code)
            assert halo.model.accepts(secret) is halo.model.is_accepted("brief") is (seen[-1] == 200)
    assert seen == [200, 200, 401]
    record = halo.model.records.get("brief")
    assert record is not None
    assert not record.revoked


async def test_last_use_is_written_at_most_once_a_minute_and_reading_by_others_leaves_it(clock: HandClock) -> None:
    halo, boot = halo_with_admin(clock=clock.now)
    secret = halo.model.mint("admin", name="one")
    async with halo.running(), Browserless(halo.url) as client:

        async def last_used() -> str | None:
            return (await client.call("GET", f"{OWN}/one", boot)).json()["spec"].get("lastUsed")

        assert halo.model.accepts(secret)
        assert await last_used() is None
        await client.call("GET", OWN, bearer(secret))
        first = await last_used()
        clock.move(59)
        await client.call("GET", OWN, bearer(secret))
        assert await last_used() == first
        clock.move(1)
        await client.call("GET", OWN, bearer(secret))
        assert await last_used() != first


async def test_basic_auth_switched_off_is_ignored_so_right_and_wrong_passwords_look_alike() -> None:
    halo, _ = halo_with_admin()
    async with halo.running(), Browserless(halo.url) as client:
        for password in (PASSWORD, "wrong"):
            guarded = await client.call("GET", OWN, basic("admin", password))
            assert guarded.headers["www-authenticate"].startswith("FormLogin")
            trap = await client.call("GET", WHO_AM_I, basic("admin", password))
            assert (trap.status_code, trap.json()["user"]["metadata"]["name"]) == (200, "anonymousUser")


async def test_a_wrong_password_is_challenged_only_without_the_xhr_header() -> None:
    halo, _ = halo_with_admin(basic_auth=True)
    async with halo.running(), Browserless(halo.url) as client:
        loud = await client.call("GET", OWN, basic("admin", "wrong"), xhr=False)
        quiet = await client.call("GET", OWN, basic("admin", "wrong"))
    assert (loud.status_code, loud.headers["www-authenticate"]) == (401, 'Basic realm="Realm"')
    assert (quiet.status_code, "www-authenticate" in quiet.headers) == (401, False)


async def test_a_session_cookie_answers_where_the_authorization_header_went_missing() -> None:
    halo, _ = halo_with_admin(basic_auth=True)
    async with halo.running(), Browserless(halo.url) as client:
        cookie = (await client.call("GET", OWN, basic("admin", PASSWORD))).headers["set-cookie"].partition(";")[0]
        masked = await client.call("GET", OWN, headers={"Cookie": cookie})
        dead = await client.call("GET", OWN, "Bearer pat_a.b.c", headers={"Cookie": cookie})
    assert (masked.status_code, dead.status_code) == (200, 401)


async def test_a_role_less_token_may_restore_a_super_role_token_of_its_user() -> None:
    halo, _ = halo_with_admin()
    weak = halo.model.mint("admin", name="weak")
    async with halo.running(), Browserless(halo.url) as client:
        assert (await client.call("PUT", f"{OWN}/boot/actions/revocation", bearer(weak))).status_code == 200
        assert not halo.model.is_accepted("boot")
        assert (await client.call("PUT", f"{OWN}/boot/actions/restoration", bearer(weak))).status_code == 200
        assert halo.model.is_accepted("boot")


@pytest.mark.parametrize(("version", "survives"), [("2.26.0", False), ("2.20.18", True)])
async def test_tokens_survive_a_disabled_user_but_a_deleted_one_only_before_2_26(version: str, survives: bool) -> None:
    halo, _ = halo_with_admin(version, basic_auth=True)
    halo.model.add_user("writer", PASSWORD)
    secret = halo.model.mint("writer", name="one")
    async with halo.running(), Browserless(halo.url) as client:
        halo.model.disable_user("writer")
        assert (await client.call("GET", OWN, bearer(secret))).status_code == 200
        assert (await client.call("GET", OWN, basic("writer", PASSWORD))).status_code == 401
        halo.model.remove_user("writer")
        assert ((await client.call("GET", OWN, bearer(secret))).status_code == 200) is survives


async def test_a_missing_required_email_closes_every_api_but_not_to_a_super_role() -> None:
    halo, boot = halo_with_admin()
    halo.model.add_user("writer", PASSWORD)
    secret = halo.model.mint("writer", name="one")
    halo.model.about.requires_verified_email = True
    async with halo.running(), Browserless(halo.url) as client:
        refused = await client.call("GET", OWN, bearer(secret))
        assert (refused.status_code, refused.json()["type"]) == (403, "email-not-set")
        assert (await client.call("GET", OWN, boot)).status_code == 200


async def test_a_caller_without_super_role_hands_out_only_what_its_roles_imply() -> None:
    halo, _ = halo_with_admin()
    manager = bearer(halo.model.mint("admin", name="posts", roles=["role-template-manage-posts"]))
    async with halo.running(), Browserless(halo.url) as client:
        implied = await client.call("POST", OWN, manager, json=wish("a", roles=["role-template-view-tags"]))
        foreign = await client.call("POST", OWN, manager, json=wish("b", roles=["role-template-view-plugins"]))
    assert (implied.status_code, foreign.status_code) == (200, 400)


async def test_administrators_list_by_label_and_write_only_the_version_they_read() -> None:
    halo, boot = halo_with_admin()
    for number in range(3):
        halo.model.mint("admin", name=f"t{number}", labels={"of": "x", "n": str(number)})
    async with halo.running(), Browserless(halo.url) as client:

        async def names(selector: str) -> list[str]:
            found = await client.call("GET", ANY, boot, params={"labelSelector": selector})
            return sorted(item["metadata"]["name"] for item in found.json()["items"])

        assert await names("of=x") == ["t0", "t1", "t2"]
        assert await names("of=x,n!=1") == ["t0", "t2"]
        assert await names("n=(0,1)") == ["t0", "t1"]
        assert await names("!of") == ["boot"]
        assert await names("of") == ["t0", "t1", "t2"]
        document = (await client.call("GET", f"{ANY}/t0", boot)).json()
        document["spec"]["revoked"] = True
        assert (await client.call("PUT", f"{ANY}/t0", boot, json=document)).status_code == 200
        assert not halo.model.is_accepted("t0")
        assert (await client.call("PUT", f"{ANY}/t0", boot, json=document)).status_code == 409
        assert (await client.call("GET", f"{ANY}/none", boot)).json()["type"].endswith("extension-not-found")


async def test_an_unknown_api_is_hidden_from_all_but_a_super_role_and_an_unknown_page_is_missing_for_anybody() -> None:
    halo, boot = halo_with_admin()
    weak = bearer(halo.model.mint("admin", name="weak"))
    async with halo.running(), Browserless(halo.url) as client:
        api = [(await client.call("GET", "/apis/x/v1/y", who)).status_code for who in (None, weak, boot)]
        page = [(await client.call("GET", "/archives/x", who)).status_code for who in (None, weak, boot)]
    assert (api, page) == ([401, 403, 404], [404, 404, 404])


async def test_a_name_with_a_slash_is_reached_when_quoted() -> None:
    halo, boot = halo_with_admin()
    async with halo.running(), Browserless(halo.url) as client:
        assert (await client.call("POST", OWN, boot, json=wish("Ex a/ü"))).status_code == 200
        assert (await client.call("GET", f"{OWN}/Ex%20a%2F%C3%BC", boot)).json()["metadata"]["name"] == "Ex a/ü"


async def test_the_longest_name_fits_and_one_sign_more_is_a_server_error() -> None:
    halo, boot = halo_with_admin()
    async with halo.running(), Browserless(halo.url) as client:
        answers = [await client.call("POST", OWN, boot, json=wish("x" * length)) for length in (206, 208)]
    assert [answer.status_code for answer in answers] == [200, 500]


async def test_the_token_is_a_signed_jwt_that_names_its_record() -> None:
    halo, boot = halo_with_admin()
    async with halo.running(), Browserless(halo.url) as client:
        body = wish("one", expiresAt="2126-01-01T00:00:00Z")
        metadata = (await client.call("POST", OWN, boot, json=body)).json()["metadata"]
    header, claims = (
        json.loads(urlsafe_b64decode(part + "==")) for part in metadata["annotations"][TOKEN][4:].split(".")[:2]
    )
    assert (header.keys(), header["alg"]) == ({"kid", "alg"}, "RS256")
    assert claims.keys() == {"iss", "sub", "iat", "jti", "pat_name", "exp"}
    assert (claims["iss"], claims["sub"], claims["pat_name"]) == (halo.url, "admin", "one")


async def test_another_sites_token_is_refused_even_on_public_pages() -> None:
    halo, _ = halo_with_admin(key_bits=1024 * 3)
    _, foreign = halo_with_admin()
    async with halo.running(), Browserless(halo.url) as client:
        for path in (OWN, WHO_AM_I, "/actuator/health"):
            assert (await client.call("GET", path, foreign)).status_code == 401


async def test_a_fresh_server_is_set_up_once_and_refuses_odd_passwords() -> None:
    halo = HaloCms()
    fields = {"username": "admin", "password": PASSWORD, "siteTitle": "t", "externalUrl": "http://blog.example"}
    async with halo.running(), Browserless(halo.url) as client:
        odd = await client.call("POST", "/system/setup", data={**fields, "password": "with space"})
        done = await client.call("POST", "/system/setup", data=fields)
        again = await client.call("POST", "/system/setup", data=fields)
    assert (odd.status_code, done.status_code) == (400, 204)
    assert (again.status_code, again.headers["location"]) == (302, "/console")
    assert halo.model.users.require("admin").roles == ("super-role",)


def test_the_model_alone_tells_which_tokens_live(clock: HandClock) -> None:
    model = HaloCms(clock=clock.now).model
    model.add_user("admin", Secret(PASSWORD), ["super-role"])
    secrets = {name: model.mint("admin", name=name) for name in ("a", "b", "c", "d")}
    model.revoke("admin", "a")
    model.delete("admin", "b")
    model.mint("admin", name="e", expires_at=clock.now() + timedelta(seconds=1))
    clock.move(120)
    assert set(model.live_tokens()) == {"c", "d"}
    assert {name for name, secret in secrets.items() if model.accepts(secret)} == {"c", "d"}
    model.restore("admin", "a")
    assert model.is_accepted("a")
    with pytest.raises(Refused, match="400"):
        model.mint("admin", name="a")


def test_the_same_seed_gives_the_same_names() -> None:
    def names() -> list[str]:
        model = HaloCms("2.20.18", seed=3).model
        model.add_user("admin", PASSWORD, ["super-role"])
        return [model.mint_for("admin", ["super-role"], Wish("x")).name for _ in range(3)]

    assert names() == names()


def test_a_version_without_the_user_centre_is_refused() -> None:
    with pytest.raises(ValueError, match=r"before 2\.17\.0"):
        HaloCms("2.16.3")


FIELD_NAMES = strategies.sampled_from(
    ["spec", "metadata", "name", "roles", "expiresAt", "labels", "generateName", "finalizers", "version", "password"]
)
ANYTHING = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers() | strategies.text(max_size=8),
    lambda inner: strategies.lists(inner, max_size=3) | strategies.dictionaries(FIELD_NAMES, inner, max_size=4),
    max_leaves=8,
)


@settings(deadline=None, max_examples=300)
@given(
    path=strategies.sampled_from([OWN, f"{ANY}/boot", "/apis/api.console.halo.run/v1alpha1/users", "/system/setup"]),
    method=strategies.sampled_from(["POST", "PUT"]),
    body=strategies.dictionaries(FIELD_NAMES, ANYTHING, max_size=4),
)
def test_no_json_document_breaks_the_site(path: str, method: str, body: dict[str, Any]) -> None:
    halo, boot = halo_with_admin()
    headers = {"authorization": boot, "content-type": "application/json", "host": "x"}
    answer = HaloSite(halo.model).answer(Request(method, path, "", headers, json.dumps(body).encode()))
    assert answer.status in (200, 400, 404, 409) or (answer.status == 500 and body.get("spec", 0) is None)
