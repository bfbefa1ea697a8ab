"""The chapters of `make try-keycloak` in which something goes wrong: a person's mistakes, a theft, kill -9."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.system.daemon import Daemon, until
from tests.tools.oauth.journey import PATIENCE
from tests.tools.oauth.keycloak import KEYED, by_certificate, by_url
from tests.tools.oauth.keycloak_story import READING
from tests.tools.oauth.shop import Shop

# What is changed, and the words by which a person knows what to look at.
WORDS = {
    "audience": ("invalid_client", "audience"),
    "kid": ("invalid_client", "kid"),
    "scope": ("invalid_scope", "scope"),
    "name": ("invalid_client", "client_id"),
    "disabled": ("invalid_client", "client_id"),
    "secret": ("unauthorized_client", "secret"),
    "robot": ("unauthorized_client", "service account"),
    "realm": ("404", "token_url"),
    "userinfo": ("openid",),
}


def mistakes(shop: Shop) -> str:
    """All at once, after each was right: nothing that is published changes, and each is told in words."""
    key, ref = shop.journey.key("mistaken")
    for name in WORDS:
        asserting = name in ("audience", "kid")
        if asserting:
            shop.sso.client(name, by_certificate(key), **KEYED)
            target = {} if name == "audience" else None
            shop.add(name, "client-assertion", target=target, transit_key=None, signing_key=ref, kid="none")
        else:
            shop.sso.client(name, secret=shop.secret(name).reveal())
            keys = shop.opening(grant=None, limits={"mints_per_day": 60})  # six mistakes are a day's, else
            target = {} if name == "realm" else None
            shop.add(name, "oauth-refresh-token", target=target, client_secret=shop.kept(name), **keys)
    shop.journey.rotate("now", "--all", "--within", f"{PATIENCE:g}s", expect=0)
    right, before = {name: dict(keys) for name, keys in shop.journey.credentials.items()}, published(shop)
    break_all(shop)
    told = shop.journey.ended("now", "--all", "--within", f"{PATIENCE:g}s")
    assert told.returncode == 1, f"exit {told.returncode}"
    lines = told.stdout.splitlines()
    for name, words in WORDS.items():
        own = " ".join(line for line in lines if line.startswith(name))
        lacking = [word for word in words if word not in own]
        assert not lacking, f"{name}: not a word of {', '.join(lacking)} in: {own[-400:]}"
    assert published(shop) == before, "what is published has changed"
    explained = shop.journey.rotate("explain", "disabled")
    assert "invalid_client" in explained, "explain does not say why"
    mend_all(shop, right)
    shop.journey.rotate("now", "--all", "--within", f"{PATIENCE:g}s", expect=0)
    assert not [name for name, value in published(shop).items() if value == before[name]]
    return f"{len(WORDS)} mistakes told by their words, nothing lost, all mended"


def published(shop: Shop) -> dict[str, str]:
    return {
        name: shop.journey.read(name)[keys.get("key", key_of(name))] for name, keys in shop.journey.credentials.items()
    }


def key_of(name: str) -> str:
    return "client_assertion" if name in ("audience", "kid") else "access_token"


def break_all(shop: Shop) -> None:
    shop.journey.targets["sso-audience"]["audience"] = "https://sso.example/other"
    shop.journey.targets["sso-realm"]["token_url"] = shop.sso.token_url.replace("/realms/", "/realms/no-")
    shop.journey.credentials["kid"]["kid"] = "nonsense"
    shop.journey.credentials["scope"]["scopes"] = ["openid", "nonsense"]
    shop.journey.credentials["name"]["client_id"] = "nobody"
    shop.journey.credentials["userinfo"]["scopes"] = ["profile"]
    shop.sso.change("disabled", enabled=False)
    shop.sso.change("secret", secret="another-one-by-now")
    shop.sso.change("robot", serviceAccountsEnabled=False)
    shop.journey.save()


def mend_all(shop: Shop, right: dict[str, dict[str, object]]) -> None:
    shop.journey.credentials.update(right)
    shop.journey.targets["sso-audience"]["audience"] = "issuer"
    shop.journey.targets["sso-realm"]["token_url"] = shop.sso.token_url
    shop.sso.change("disabled", enabled=True)
    shop.sso.change("secret", secret=shop.known("secret"))
    shop.sso.change("robot", serviceAccountsEnabled=True)
    shop.journey.save()


def expired_certificate(shop: Shop) -> str:
    key, ref = shop.journey.key("outdated")
    shop.sso.client("outdated", by_certificate(key, days=-2), **KEYED)
    shop.add("outdated", "client-assertion", transit_key=None, signing_key=ref, kid="none")
    status, _ = shop.exchange("outdated", shop.journey.now("outdated")["client_assertion"])
    assert status == 200, f"the published assertion gets {status}"
    return "this server does not look at the certificate's dates: published and exchanged"


def theft(shop: Shop) -> str:
    """A spent refresh token is shown: the server ends the session, and with it what is published."""
    shop.sso.client("stolen", secret=shop.secret("stolen").reveal(), directAccessGrantsEnabled=True)
    shop.renew("stolen")
    spent = shop.journey.renewal("stolen")
    access = shop.journey.now("stolen")["access_token"]
    shop.journey.hand_over("stolen", spent)
    told = shop.journey.ended("now", "stolen", "--within", "60s")
    said = told.stdout + shop.journey.rotate("explain", "stolen")
    assert told.returncode != 0, "it was taken"
    for word in ("stolen", "secret/renewals/stolen#refresh_token", "rotate now", "anew"):
        assert word in said, f"not a word of {word}: {said[-500:]}"
    lives = shop.opens(access)
    shop.consent("stolen")
    assert shop.opens(shop.journey.now("stolen")["access_token"])
    return f"waits for a person, goes on with a new consent; what was published {'lives on' if lives else 'died'}"


def killed(shop: Shop) -> str:
    """Each kind once, at another place of its rotation, and what is published then is accepted."""
    key, ref = shop.journey.key("killed")
    shop.sso.client("k-assertion", by_certificate(key), **KEYED)
    shop.sso.client("k-pair", by_url(f"http://{shop.journey.listen}/jwks/k-pair"), **KEYED)
    shop.add("k-assertion", "client-assertion", transit_key=None, signing_key=ref, kid="none")
    shop.add("k-pair", "assertion-key", jwks="secret/public/k-pair", **READING)
    for name in ("k-token", "k-renewed"):
        shop.sso.client(name, secret=shop.secret(name).reveal(), directAccessGrantsEnabled=True)
    shop.add("k-token", "oauth-refresh-token", client_secret=shop.kept("k-token"), **shop.opening(grant=None))
    shop.renew("k-renewed")
    daemon = shop.journey.daemon()
    shop.journey.await_everything()
    took = []
    for name, place in KILLED.items():
        daemon, seconds = killed_at(shop, daemon, name, place)
        took.append(f"{name[2:]} at {place.partition('.')[2]} {seconds:.0f} s")
    shop.journey.kill(daemon)
    accepted = {
        "k-token": shop.opens(shop.journey.read("k-token")["access_token"]),
        "k-renewed": shop.opens(shop.journey.read("k-renewed")["access_token"]),
        "k-pair": shop.signed(shop.journey.read("k-pair"))[0] == 200,
    }
    assert all(accepted.values()), f"not accepted: {[name for name, taken in accepted.items() if not taken]}"
    return "converged: " + ", ".join(took)


KILLED = {
    "k-assertion": "candidate.staged",
    "k-pair": "candidate.installed",
    "k-token": "rotation.requested",
    "k-renewed": "candidate.staged",
}


def killed_at(shop: Shop, daemon: Daemon, name: str, place: str) -> tuple[Daemon, float]:
    """Kill it there, start another; that one, and the seconds until it had published."""
    before = shop.journey.published(name)
    shop.journey.kill_at(daemon, place, name)
    began = time.monotonic()
    heir = shop.journey.daemon()
    until(f"{name} to be published", lambda: shop.journey.published(name) > before, PATIENCE)
    return heir, time.monotonic() - began


ASIDE: dict[str, Callable[[Shop], str]] = {
    "what a person does wrong": mistakes,
    "an expired certificate": expired_certificate,
    "a refresh token shown twice": theft,
    "kill -9, once in each kind": killed,
}
