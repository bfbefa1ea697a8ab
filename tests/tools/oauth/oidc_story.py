"""The chapters of `make try-oidc-provider MODULES=/path`: every OAuth kind against a real node oidc-provider."""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.system.daemon import Daemon, until
from tests.tools.oauth.consumers import signed
from tests.tools.oauth.journey import PATIENCE, Journey, say
from tests.tools.oauth.oidc_provider import OidcProvider, run
from tests.unit.providers.keys import ec_key, private_pem

ASSERTIONS = ("ps256", "rs256", "es256", "transit")
PAIRS = ("pair-rsa", "pair-ec")
TOKENS = ("basic", "post", "asserted")
RENEWED = ("renewed", "renewed-public")
JWKS_CACHE = 62  # seconds: this server believes a set for a minute at least
LIMITS = {"mints_per_day": 60}


def public(key: Any) -> dict[str, Any]:
    """A public key as a person registers it: its `kid` is the thumbprint of RFC 7638."""
    told = json.loads(RSAAlgorithm.to_jwk(key) if isinstance(key, rsa.RSAPublicKey) else ECAlgorithm.to_jwk(key))
    needed = {name: told[name] for name in ("crv", "e", "kty", "n", "x", "y") if name in told}
    digest = hashlib.sha256(json.dumps(needed, separators=(",", ":"), sort_keys=True).encode()).digest()
    return {**needed, "use": "sig", "kid": urlsafe_b64encode(digest).rstrip(b"=").decode()}


class Story:
    """What all chapters share: the keys, the clients, the settings."""

    def __init__(self, journey: Journey) -> None:
        self.journey = journey
        self.values = {name: secrets.token_hex(24) for name in ("basic", "post", "renewed")}
        self.refs = {name: journey.secret(f"{name}-secret", value) for name, value in self.values.items()}
        self.rsa, rsa_ref = journey.key("rsa")
        self.pems = {"rsa": rsa_ref, "ec": journey.secret("ec.pem", private_pem(ec_key()).reveal())}
        journey.bao.call("POST", "transit/keys/shop", {"type": "rsa-2048"})
        self.sso: OidcProvider = None  # type: ignore[assignment]  # before it runs
        self.daemon: Daemon | None = None

    def clients(self) -> list[dict[str, Any]]:
        """The server's list, as its operator would write it."""
        shown = self.journey.bao.call("GET", "transit/keys/shop")["data"]["keys"]["1"]["public_key"]
        keys = {
            **dict.fromkeys(("ps256", "rs256", "pool", "asserted"), self.rsa.public_key()),
            "es256": ec_key().public_key(),
            "transit": load_pem_public_key(shown.encode()),
        }
        machine = {"grant_types": ["client_credentials"], "redirect_uris": [], "response_types": []}
        signing = {"token_endpoint_auth_method": "private_key_jwt"}
        web = {"grant_types": ["authorization_code", "refresh_token"], "redirect_uris": ["https://shop.example/back"]}
        algorithms = {"rs256": "RS256", "es256": "ES256"}
        found: list[dict[str, Any]] = [
            {
                **machine,
                **signing,
                "client_id": name,
                "token_endpoint_auth_signing_alg": algorithms.get(name, "PS256"),
                "jwks": {"keys": [public(key)]},
            }
            for name, key in keys.items()
        ]
        found += [
            {**machine, **signing, "client_id": name, "jwks_uri": f"http://{self.journey.listen}/jwks/{name}"}
            for name in PAIRS
        ]
        for name, method in (("basic", "client_secret_basic"), ("post", "client_secret_post")):
            found.append(
                {**machine, "client_id": name, "client_secret": self.values[name], "token_endpoint_auth_method": method}
            )
        shown_secret = {"client_secret": self.values["renewed"], "token_endpoint_auth_method": "client_secret_basic"}
        found.append({**web, **shown_secret, "client_id": "renewed"})
        found.append({**web, "client_id": "renewed-public", "token_endpoint_auth_method": "none"})
        return found

    def settle(self) -> None:
        """The settings of everybody, as the examples have them."""
        common = {"target": "sso", "scopes": ["api:read"], "probe": "/api/me", "limits": LIMITS}
        assertion = {**common, "kind": "client-assertion", "lifetime": "1h", "fraction": 0.5}
        token = {**common, "kind": "oauth-token", "fraction": 0.66}
        pair = {**common, "kind": "assertion-key", "every": "30d", "retire": {"after": "30s"}}
        pair |= {"jwks_cache": f"{JWKS_CACHE}s", "assertion_life": "30s", "bits": 2048}
        renewed = {**token, "grant": "refresh_token", "scopes": ["openid", "profile"], "probe": "/me"}
        renewed |= {"identity": {"name": "Ada"}}
        rsa_key, header = {"signing_key": self.pems["rsa"]}, {"auth_method": "client_secret_basic"}
        wanted: dict[str, dict[str, Any]] = {
            "ps256": {**assertion, **rsa_key},
            "rs256": {**assertion, **rsa_key, "algorithm": "RS256"},
            "es256": {**assertion, "signing_key": self.pems["ec"], "algorithm": "ES256"},
            "transit": {**assertion, "transit_key": "transit/shop"},
            "pool": {**assertion, **rsa_key, "pool": 3},
            "pair-rsa": {**pair, "jwks": "secret/public/rsa"},
            "pair-ec": {**pair, "jwks": "secret/public/ec", "algorithm": "ES256"},
            "basic": {**token, **header, "client_secret": self.refs["basic"]},
            "post": {**token, "client_secret": self.refs["post"]},
            "asserted": {**token, **rsa_key},
            "renewed": {**renewed, **header, "client_secret": self.refs["renewed"]},
            "renewed-public": renewed,
        }
        for name in RENEWED:
            wanted[name] |= {"refresh_token": {"vault": f"secret/renewals/{name}#refresh_token"}}
        self.journey.credentials = {
            name: {"path": f"apps/{name}", "client_id": name, **keys} for name, keys in wanted.items()
        }
        self.journey.targets = {"sso": self.sso.target}
        self.journey.save()

    def authorise(self, name: str) -> None:
        """What the operator does once: consent, and the refresh token into Vault."""
        self.journey.hand_over(name, self.sso.consented(name))

    def record(self, name: str) -> dict[str, Any]:
        """The journal's record, read as root."""
        return self.journey.document(f"rotator/journal/{name}")

    def runs(self) -> Daemon:
        """The daemon, started when it does not run."""
        if self.daemon is None:
            self.daemon = self.journey.daemon()
        return self.daemon

    def killed(self) -> None:
        """kill -9, and its log is looked through."""
        if self.daemon is not None:
            self.journey.kill(self.daemon)
            self.daemon = None

    def works(self, name: str) -> None:
        """A consumer of what is published gets what it is for. Raises AssertionError."""
        told = self.journey.read(name)
        if name in PAIRS:
            status = self.sso.presented(signed(told))[0]
            assert status == 200, f"{name}: what a consumer signed got {status}"
        elif name in (*TOKENS, *RENEWED):
            assert self.sso.opens(told["access_token"]), f"{name}: the access token opens nothing"
        else:
            self.sso.opened(told["client_assertion"])


# --- the chapters ----------------------------------------------------------------------------------------------------


def check(story: Story) -> str:
    shown = story.journey.rotate("check", expect=0)
    warned = [line for line in shown.splitlines() if "warning" in line or "refusal" in line]
    return f"nothing refused, {len(warned)} warnings" + "".join(f"\n{'':11}{line.strip()}" for line in warned)


def first(story: Story) -> str:
    """The daemon publishes what was never published by itself."""
    daemon = story.runs()
    story.journey.await_everything()
    assert daemon.process.poll() is None
    for name in story.journey.credentials:
        story.works(name)
    return f"{len(story.journey.credentials)} published, and each used by a consumer of its own"


def twice(story: Story) -> str:
    """Assertions and access tokens, once more on demand."""
    names = (*ASSERTIONS, *TOKENS, *RENEWED)
    before = {name: story.journey.read(name) for name in names}
    refresh = {name: story.journey.renewal(name) for name in RENEWED}
    story.journey.now(*names)
    for name in names:
        assert story.journey.read(name)["rotation"] != before[name]["rotation"]
        story.works(name)
    for name in (*TOKENS, *RENEWED):
        assert story.sso.opens(before[name]["access_token"]), f"{name}: the old one died before its date"
    assert all(story.journey.renewal(name) != refresh[name] for name in RENEWED), "a refresh token was not replaced"
    return f"{len(names)} rotated again; the access tokens before live on to their dates; 2 refresh tokens replaced"


def once_only(story: Story) -> str:
    story.journey.now("ps256")
    value = story.journey.read("ps256")["client_assertion"]
    story.sso.opened(value)
    status, told = story.sso.presented(value)
    assert (status, told["error"]) == (401, "invalid_client")
    return "a published assertion serves one exchange, then 401 invalid_client"


def pool(story: Story) -> str:
    for _ in range(2):
        told = story.journey.read("pool")
        if _:
            story.journey.now("pool")
            told = story.journey.read("pool")
            story.sso.opened(told["client_assertion"])
        for slot in (1, 2, 3):
            story.sso.opened(told[f"client_assertion_{slot}"])
    return "two rotations, three slots each and the spare: every one opened the resource"


def pairs(story: Story) -> str:
    """A key joins beside the old one, is proven and published; the old one leaves, and is proven refused."""
    before = {name: story.journey.read(name) for name in PAIRS}
    story.journey.rotate("now", "--wait", "--within", f"{2 * PATIENCE:g}s", *PAIRS, expect=0)
    for name in PAIRS:
        story.works(name)
        assert story.sso.presented(signed(before[name]))[0] == 401, f"{name}: the old key still gets a token"
        shown = json.loads(story.journey.document(f"public/{name.removeprefix('pair-')}")["jwks"])
        assert [each["kid"] for each in shown["keys"]] == [story.journey.read(name)["kid"]]
    assert all(story.runs().heard("predecessor.retired", credential=name) for name in PAIRS)
    assert "Settled" in story.journey.rotate("history", PAIRS[0], expect=0)
    return "PS256 and ES256 by jwks_uri; the old keys left, and the server refuses what they sign"


def spent(story: Story) -> str:
    """Somebody else shows a spent refresh token: the server ends the consent, a person is asked, and goes on."""
    for name in RENEWED:
        old = story.journey.renewal(name)
        story.journey.now(name)
        client = {"client_id": name} | ({"client_secret": story.values[name]} if name in story.values else {})
        assert story.sso.refreshed(old, **client) == 400, "a spent refresh token was taken"
    ended = story.journey.ended("now", "--within", "60s", *RENEWED)
    assert ended.returncode != 0, "it rotated with a refresh token that the server has ended"
    shown = story.journey.rotate("status") + story.journey.rotate("explain", RENEWED[0])
    assert "Authorise client" in shown, shown
    for name in RENEWED:
        story.authorise(name)
    story.journey.now(*RENEWED)
    for name in RENEWED:
        story.works(name)
    return "theft seen by the server: awaits a person with the remedy; consent, `rotate now`, published again"


def ended_elsewhere(story: Story) -> str:
    """RFC 7009 and 7662 are not the kind's: what somebody revoked is found by the probe, and replaced by itself."""
    value = story.journey.read("post")["access_token"]
    secret = story.values["post"]
    assert story.sso.introspected(value, "post", secret)
    story.sso.revoked(value, "post", secret)
    assert not story.sso.introspected(value, "post", secret)
    assert not story.sso.opens(value)
    story.journey.now("post")
    story.works("post")
    assert story.sso.introspected(story.journey.read("post")["access_token"], "post", secret)
    return "revoked by RFC 7009, told inactive by RFC 7662: `rotate now` brings one that is active"


def mid_kill(name: str, event: str) -> Callable[[Story], str]:
    """A daemon killed right after it has logged `event` of a rotation; another one converges."""

    def chapter(story: Story) -> str:
        daemon = story.runs()
        before = story.journey.published(name)
        story.journey.kill_at(daemon, event, name)
        story.daemon = None
        if name not in ASSERTIONS:
            story.works(name)
        story.runs()
        if name in RENEWED and _awaits(story, name):
            story.authorise(name)
            story.journey.now(name)
        until(f"{name} to converge", lambda: story.journey.published(name) != before, 2 * PATIENCE, 0.5)
        story.works(name)
        return f"killed after {event}; rotation {before} -> {story.journey.read(name)['rotation']}"

    return chapter


def _awaits(story: Story, name: str) -> bool:
    """Whether the rotation came to rest, and by asking a person."""
    before = story.journey.published(name)

    def rests() -> bool:
        return '"awaiting"' in json.dumps(story.record(name)) or story.journey.published(name) != before

    until(f"{name} to go on", rests, 2 * PATIENCE, 1.0)
    return '"awaiting"' in json.dumps(story.record(name))


WRONG: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    # the mistake, and what the message must say
    "rs256": ({"client_id": "nobody"}, ("invalid_client", "client_id")),
    "es256": ({"algorithm": "PS256"}, ("PS256 needs an RSA key",)),
    "transit": ({"kid": "mistaken"}, ("invalid_client", "kid")),
    "ps256": ({"algorithm": "RS256"}, ("invalid_client", "algorithm")),
    "asserted": ({"scopes": ["api:read", "api:wish"]}, ("did not grant: api:wish",)),
    "basic": ({"scopes": ["api:wish"]}, ("names no granted scope", "api:wish")),
    "renewed": ({"scopes": ["openid", "api:wish"]}, ("invalid_scope",)),
    "post": ({"client_secret": "another"}, ("invalid_client",)),
    "pool": ({"target": "strange"}, ("invalid_client", "audience")),
}


def mistakes(story: Story) -> str:
    """Every mistake at once: each message names place and remedy, nothing published is touched, and it is mended."""
    story.killed()
    before = {name: story.journey.read(name) for name in WRONG}
    refresh = story.journey.renewal("renewed")
    right, wrong = story.journey.credentials, deepcopy(story.journey.credentials)
    for name, (keys, _) in WRONG.items():
        wrong[name] |= keys
    wrong["post"]["client_secret"] = story.journey.secret("another", secrets.token_hex(20))
    story.journey.targets["strange"] = {**story.sso.target, "audience": "https://elsewhere.example"}
    story.journey.credentials = {name: wrong[name] for name in WRONG}
    story.journey.save()
    checked = story.journey.rotate("check")
    ended = story.journey.ended("now", "--within", f"{PATIENCE:g}s", *WRONG)
    assert ended.returncode in (1, 75), f"exit {ended.returncode} for nothing but mistakes"
    unclear = []
    for name, (_, words) in WRONG.items():
        lines = [line.strip() for line in ended.stdout.splitlines() if line.strip().startswith(f"{name}: failed")]
        found = [line for line in checked.splitlines() if line.startswith("refusal") and f"({name})" in line]
        say("\n".join(f"{'':11}{line}" for line in (*found, *lines)))
        text = "\n".join(lines)
        unclear += [f"{name} lacks {word!r}" for word in words if word not in text]
    assert {name: story.journey.read(name) for name in WRONG} == before, "something published was touched"
    assert story.journey.renewal("renewed") == refresh, "the refresh token was touched"
    story.journey.credentials = right
    story.journey.save()
    story.journey.now(*WRONG)
    for name in WRONG:
        story.works(name)
    assert not unclear, "; ".join(unclear)
    return f"{len(WRONG)} mistakes told, nothing published was touched, all mended and rotated"


CHAPTERS: tuple[tuple[str, Callable[[Story], str]], ...] = (
    ("check", check),
    ("first publication of everything", first),
    ("twice: assertions, tokens, refresh tokens", twice),
    ("an assertion once only", once_only),
    ("pool of three", pool),
    ("key pairs by jwks_uri", pairs),
    ("a spent refresh token shown again", spent),
    ("revoked and introspected by others", ended_elsewhere),
    ("kill -9: client-assertion", mid_kill("ps256", "rotation.requested")),
    ("kill -9: access token by secret", mid_kill("basic", "candidate.staged")),
    ("kill -9: refresh token, confidential", mid_kill("renewed", "candidate.staged")),
    ("kill -9: refresh token, public client", mid_kill("renewed-public", "rotation.requested")),
    ("kill -9: key pair that waits for a cache", mid_kill("pair-ec", "candidate.installed")),
    ("what a person does wrong", mistakes),
)


def tell(journey: Journey, modules: Path, only: str) -> None:
    """The whole story, or the chapters whose titles hold a part of `only`, after the one that all need."""
    story = Story(journey)
    settings = {"clients": story.clients(), "resource": True, "life": 3600}
    with run(modules, journey.folder, settings) as server:
        story.sso = server
        for name in RENEWED:
            story.authorise(name)
        story.settle()
        say(f"node oidc-provider {server.version}, {len(settings['clients'])} clients")
        for title, chapter in CHAPTERS:
            if not only or any(each in title for each in only.split(",")) or chapter is first:
                journey.chapter(title, partial(chapter, story))
        story.killed()
        story.journey.keeps_still(server.log.read_text())
