"""What `rotate check` finds out about an OAuth server: its habits, its clock, who is wrong and why."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from rotator.ports import Transient
from rotator.providers.http import Http
from rotator.providers.oauth_answer import Denied
from rotator.providers.oauth_keys import AssertionKeys, OAuthTargetKeys
from rotator.providers.oauth_site import OAuthSite
from rotator.providers.oauth_trial import findings
from tests.fakes.clock import HandClock
from tests.providers import desk
from tests.providers.keys import private_pem, rsa_key

pytestmark = pytest.mark.anyio

LIFE = timedelta(seconds=60)


@pytest.mark.parametrize(
    ("preset", "keys", "words"),
    [
        pytest.param("keycloak", {}, ["made 70s ago"], id="a maximum age that nobody set"),
        pytest.param("keycloak", {"max_age": timedelta(seconds=60)}, [], id="as the settings say"),
        pytest.param("oidc-provider", {}, [], id="any age, once"),
        pytest.param("oidc-provider", {"single_use": False}, ["takes an assertion once"], id="once after all"),
        pytest.param("halo", {}, ["takes an assertion again"], id="more often than the settings say"),
        pytest.param(
            "spring", {"single_use": False}, ["31s after its end, and not 65s after it"], id="the dead live on"
        ),
        pytest.param("spring", {"single_use": False, "leeway": timedelta(minutes=1)}, [], id="leeway as set"),
        pytest.param("hydra", {}, [], id="broken by one that has expired: it is not taken"),
        pytest.param("halo", {"tenant": "other"}, ["another tenant"], id="a server that does not answer is not judged"),
    ],
)
async def test_check_finds_out_how_often_and_how_old_a_server_takes_an_assertion(
    clock: HandClock, preset: str, keys: dict[str, Any], words: list[str]
) -> None:
    async with desk.running(preset, clock, **keys) as world:
        found = await world.site.audit((world.credential(),))
        assert len(found) == len(words)
        assert all(word in text for word, text in zip(words, found, strict=True))
        assert world.exchanges() <= 7


async def test_a_leeway_longer_than_any_that_is_tried_is_told_as_such(clock: HandClock) -> None:
    async with desk.running("keycloak", clock, max_age=timedelta(seconds=60)) as world:
        world.itsm.model.change(tolerance=600.0, max_age=None)
        (found,) = await world.site.audit((world.credential(),))
        assert "takes an assertion 65s after its end: set leeway to what" in found


def answering(clock: HandClock, ahead: float, status: int) -> httpx.MockTransport:
    """A token endpoint whose clock is behind ours, as its Date header says."""

    async def peer(request: httpx.Request) -> httpx.Response:
        date = format_datetime(clock.now() - timedelta(seconds=ahead), usegmt=True)
        body = b'{"error": "invalid_client"}' if status < 500 else b'{"error": "error"}'
        return httpx.Response(status, headers={"date": date}, stream=httpx.ByteStream(body))

    return httpx.MockTransport(peer)


@pytest.mark.parametrize("status", [401, 500])
@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        (2, 'our clock is 1.0 to 2.0 s ahead of the token endpoint\'s: set the clocks right, or backdate = "2s"'),
        (0, ""),
    ],
)
async def test_a_clock_ahead_of_the_servers_is_named_with_the_difference(
    clock: HandClock, status: int, ahead: float, words: str
) -> None:
    target = OAuthTargetKeys(url="https://desk.example")
    transport = answering(clock, ahead, status)
    site = OAuthSite(
        Http("desk", target, clock, transport), target, desk.Keys({desk.KEY: private_pem(rsa_key())}), clock
    )
    client = AssertionKeys(client_id="c", signing_key=desk.KEY)
    with pytest.raises((Denied, Transient)) as refusal:
        await site.exchange(client, await site.vouched(client))
    found = await findings(site, client, LIFE)
    await site.aclose()
    assert words in refusal.value.reason
    assert ("our clock" in refusal.value.reason) is bool(words)
    assert [text.partition(": ")[0] for text in found] == ([words.partition(": ")[0]] if words else [])


@pytest.mark.parametrize(
    ("ahead", "backdate", "words"),
    [
        (20, 0, "19.0 to 20.0 s ahead"),
        (20, 30, ""),
        (-3, 0, ""),
        (-20, 0, "20.0 to 21.0 s behind"),
        (90, 0, "clocks right"),
    ],
)
async def test_check_names_a_clock_that_is_wrong_unless_backdate_makes_up_for_it(
    clock: HandClock, ahead: float, backdate: int, words: str
) -> None:
    target = OAuthTargetKeys(url="https://desk.example")
    transport = answering(clock, ahead, 401)
    site = OAuthSite(
        Http("desk", target, clock, transport), target, desk.Keys({desk.KEY: private_pem(rsa_key())}), clock
    )
    client = AssertionKeys(client_id="c", signing_key=desk.KEY, backdate=timedelta(seconds=backdate))
    found = await findings(site, client, LIFE)
    await site.aclose()
    assert [words in text for text in found] == ([True] if words else [])
