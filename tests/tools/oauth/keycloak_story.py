"""The chapters of `make try-keycloak` in which all goes well. Each is told by one line of figures."""

from __future__ import annotations

from collections.abc import Callable

from rotator.providers.keys.algorithms import Algorithm
from rotator.providers.keys.signing import public_jwk, public_key
from tests.system.daemon import until
from tests.tools.oauth.keycloak import KEYED, by_certificate, by_set, by_url
from tests.tools.oauth.shop import Shop

READING = {"jwks_cache": "12s", "assertion_life": "5s", "retire": {"after": "6s"}}  # instead of hours


def local_key(shop: Shop) -> str:
    key, ref = shop.journey.key("local")
    shop.sso.client("local", by_certificate(key), **KEYED)
    shop.add("local", "client-assertion", transit_key=None, signing_key=ref, kid="none")
    return f"{twice_exchanged(shop, 'local')}; check warns: {shop.checked() or 'of nothing'}"


def transit_key(shop: Shop) -> str:
    bao = shop.journey.bao
    bao.call("POST", "transit/keys/shop", {"type": "rsa-3072"})
    pem = bao.call("GET", "transit/keys/shop")["data"]["keys"]["1"]["public_key"]
    jwk = public_jwk(public_key(pem), Algorithm.PS256)
    for name in ("transit", "pooled"):
        shop.sso.client(name, by_set(jwk), **KEYED)
    shop.add("transit", "client-assertion")
    return twice_exchanged(shop, "transit")


def twice_exchanged(shop: Shop, name: str) -> str:
    for _ in range(2):
        assertion = shop.journey.now(name)["client_assertion"]
        status, told = shop.exchange(name, assertion)
        assert status == 200, f"the published assertion gets {status} {told.get('error')}"
        assert shop.opens(told["access_token"]), "its access token opens nothing"
        assert shop.exchange(name, assertion)[0] == 400, "it was taken twice"
    return "two published, each exchanged once and no more"


def pool(shop: Shop) -> str:
    shop.add("pooled", "assertion-pool")
    read = shop.journey.now("pooled")
    slots = [read["client_assertion"], *(read[f"client_assertion_{slot}"] for slot in (1, 2, 3))]
    assert [shop.exchange("pooled", each)[0] for each in slots] == [200] * 4
    return "three slots and the spare, exchanged by four consumers"


def key_pairs(shop: Shop) -> str:
    shop.sso.client("signing", by_url(f"http://{shop.journey.listen}/jwks/signing"), **KEYED)
    shop.add("signing", "assertion-key", jwks="secret/public/signing", **READING)
    daemon = shop.journey.daemon()
    until("the first key", lambda: shop.journey.read("signing"), 300)
    first = shop.journey.read("signing")
    assert shop.signed(first)[0] == 200, "the first key is not taken"
    second = shop.journey.now("signing", "--wait")
    assert second["kid"] != first["kid"]
    assert shop.signed(second)[0] == 200, "the second key is not taken"
    status, told = shop.signed(first)
    assert status == 400, f"the old key gets {status}"
    retired = daemon.says("predecessor.retired", credential="signing")
    shop.journey.kill(daemon)
    return f"old key {told['error']}; {retired['said'][-70:]}"


def by_secret(shop: Shop) -> str:
    secret = shop.secret("plain")
    shop.sso.client("plain", secret=secret.reveal())
    shop.add("plain", "oauth-refresh-token", client_secret=shop.kept("plain"), **shop.opening(grant=None))
    shop.checked()
    return twice_opened(shop, "plain")


def by_assertion(shop: Shop) -> str:
    key, ref = shop.journey.key("asserting")
    shop.sso.client("asserting", by_certificate(key), **KEYED)
    keys = shop.opening(grant=None)
    shop.add("asserting", "oauth-refresh-token", client_secret=None, signing_key=ref, kid="none", **keys)
    return twice_opened(shop, "asserting")


def by_password(shop: Shop) -> str:
    name = "direct"
    shop.sso.client(name, secret=shop.secret(name).reveal(), directAccessGrantsEnabled=True)
    keys = shop.opening(grant="password", username="ada", password=shop.kept("ada-password"))
    shop.add(name, "oauth-refresh-token", client_secret=shop.kept(name), **keys)
    return twice_opened(shop, name)


def by_password_in_public(shop: Shop) -> str:
    name = "direct-public"
    shop.sso.client(name, publicClient=True, serviceAccountsEnabled=False, directAccessGrantsEnabled=True)
    keys = shop.opening(grant="password", username="ada", password=shop.kept("ada-password"))
    shop.add(name, "oauth-refresh-token", client_secret=None, **keys)
    shop.checked()
    return twice_opened(shop, name)


def twice_opened(shop: Shop, name: str) -> str:
    first = shop.journey.now(name)["access_token"]
    second = shop.journey.now(name)["access_token"]
    assert shop.opens(second), "the published access token opens nothing"
    return f"two published, the second opens; the first {'too, until it expires' if shop.opens(first) else 'no more'}"


def renewed(shop: Shop) -> str:
    shop.sso.client("renewing", secret=shop.secret("renewing").reveal(), directAccessGrantsEnabled=True)
    shop.renew("renewing")
    return renewed_thrice(shop, "renewing")


def renewed_in_public(shop: Shop) -> str:
    name = "renewing-public"
    shop.sso.client(name, publicClient=True, serviceAccountsEnabled=False, directAccessGrantsEnabled=True)
    shop.renew(name)
    shop.checked()
    return renewed_thrice(shop, name)


def renewed_thrice(shop: Shop, name: str) -> str:
    seen = [shop.journey.renewal(name)]
    for _ in range(3):
        assert shop.opens(shop.journey.now(name)["access_token"]), "the published access token opens nothing"
        seen.append(shop.journey.renewal(name))
    assert len(set(seen)) == 4, "the refresh token did not rotate along"
    return "three published, and each time the next refresh token"


CHAPTERS: dict[str, Callable[[Shop], str]] = {
    "client-assertion, a local key": local_key,
    "client-assertion, a key in Transit": transit_key,
    "client-assertion, a pool": pool,
    "assertion-key, fetched from the daemon": key_pairs,
    "oauth-token by secret": by_secret,
    "oauth-token by assertion": by_assertion,
    "oauth-token by password": by_password,
    "oauth-token by password, public client": by_password_in_public,
    "oauth-token by refresh token": renewed,
    "oauth-token by refresh token, public client": renewed_in_public,
}
