"""Addresses at which no endpoint answers: what a person reads who gave them, or only the issuer."""

from __future__ import annotations

import pytest

from rotator.ports import Refused
from rotator.providers.oauth.config import AccessTokenOptions
from rotator.rotation.secret import Secret
from tests.kit.clock import HandClock
from tests.unit.providers import desk
from tests.unit.providers.issuer import FIRST, GRANTED, ISSUER, SOUND, TOKEN, Peer, calling

pytestmark = pytest.mark.anyio

WHERE = "https://as.example/shop/other"
BY_DOCUMENT = f"the discovery document of issuer {ISSUER} names {WHERE}: is that right? If not, set "
NO_ISSUER = {"issuer": "", "url": "https://as.example/shop"}


@pytest.mark.parametrize(
    ("endpoint", "named", "words"),
    [
        ("token", {}, BY_DOCUMENT + "token_url"),
        ("token", {"token_url": WHERE}, "is token_url right?"),
        ("token", {"auth_url": "https://as.example/shop"}, "is auth_url right, or has the server another token_url?"),
        ("token", NO_ISSUER, "is url right, or has the server another token_url?"),
        ("revocation", {}, BY_DOCUMENT + "revocation_url"),
        ("revocation", {"revocation_url": WHERE}, "is revocation_url right?"),
        ("introspection", {}, BY_DOCUMENT + "introspection_url"),
        ("introspection", {"introspection_url": WHERE}, "is introspection_url right?"),
    ],
)
async def test_where_no_endpoint_answers_what_named_it_is_told(
    clock: HandClock, endpoint: str, named: dict[str, str], words: str
) -> None:
    peer = Peer(**{f"{endpoint}_endpoint": WHERE})
    peer.answers.pop(TOKEN)
    async with calling(peer, clock, **named) as site:
        client = AccessTokenOptions(client_id="c", client_secret=desk.SECRET, probe="/me")
        asked = {
            "token": lambda: site.exchange(client, None),
            "revocation": lambda: site.revocation.revoke(client, Secret("canary-of-nobody-17")),
            "introspection": lambda: site.revocation.says_active(client, Secret("canary-of-nobody-17")),
        }
        with pytest.raises(Refused) as fault:
            await asked[endpoint]()
        assert fault.value.reason.startswith(
            f"the {endpoint} endpoint answers 404: no word of an OAuth server's: {words}"
        )
        peer.answers |= {f"{WHERE}{more}": GRANTED | {"access_token": None} for more in ("", "/token", "/auth/token")}
        peer.answers |= {f"https://as.example/shop{more}": {"expires_in": 1} for more in ("/token", "/auth/token")}
        if endpoint != "revocation":
            with pytest.raises(Refused) as fault:
                await asked[endpoint]()
            assert fault.value.remedy == words


async def test_an_endpoint_that_moved_is_found_within_a_minute(clock: HandClock) -> None:
    peer = Peer(revocation_endpoint=WHERE)
    async with calling(peer, clock) as site:
        client = AccessTokenOptions(client_id="c", client_secret=desk.SECRET, probe="/me")
        with pytest.raises(Refused, match="404"):
            await site.revocation.revoke(client, Secret("canary-of-nobody-18"))
        peer.answers |= {FIRST: SOUND | {"revocation_endpoint": f"{WHERE}/2"}, f"{WHERE}/2": GRANTED}
        clock.move(61)
        await site.revocation.revoke(client, Secret("canary-of-nobody-18"))
