"""The clients of an OAuth server, their settings, and how consumers use them."""

from __future__ import annotations

import hashlib
import json
import secrets
import tempfile
import threading
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key, load_pem_public_key
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tests.kit.certificates import HERE, Authority, new_key, sign, written
from tests.kit.http_server import Heard, Reply
from tests.tools.oauth.consumers import LIMITS, Use, exchanging, opening, signing
from tests.tools.oauth.journey import Journey, call
from tests.tools.oauth.relay import Relay
from tests.tools.oauth.server import JSON, Client, Offer, Running
from tests.unit.providers.keys import private_pem

SETTLE = 5.0  # seconds
KINDS = {"asserted": "client-assertion", "pool": "client-assertion", "transit": "client-assertion"}
KINDS |= {"key-url": "assertion-key", "key-put": "assertion-key"}  # all others are access tokens
METHODS = {"basic": "client_secret_basic", "post": "client_secret_post", "secret-jwt": "client_secret_jwt"}
METHODS |= {"tls": "tls_client_auth", "tls-self": "self_signed_tls_client_auth"}
METHODS |= {"password": "client_secret_basic", "renewed": "client_secret_basic"}
METHODS |= {"public": "none", "family": "none"}  # all others sign
ALGORITHMS = {"es384": "ES384", "ps512": "PS512", "eddsa": "EdDSA", "key-put": "ES256", "secret-jwt": "HS256"}
READ = ("private_key_jwt", "self_signed_tls_client_auth")  # the server reads a key set
SHARED = {"renewed": 2, "key-url": 3, "key-put": 3, "post": 3}  # so many clients of a sort share the kills, or the lies
GRANTS = {"password": "password", "renewed": "refresh_token", "public": "refresh_token"}
GRANTS |= {"family": "refresh_token"}  # on a server that ends a consent with any of its tokens


def sort(name: str) -> str:
    """What a client is one of: `key-put-2` is another `key-put`."""
    stem, _, number = name.rpartition("-")
    return stem if number.isdigit() else name


def sharing(name: str) -> tuple[str, ...]:
    """All clients of a sort."""
    return (name, *(f"{name}-{number}" for number in range(2, SHARED.get(name, 1) + 1)))


def jwk(key: Any) -> dict[str, Any]:
    """A public key as a person registers it: its `kid` is the thumbprint of RFC 7638."""
    kinds = {
        rsa.RSAPublicKey: RSAAlgorithm,
        ec.EllipticCurvePublicKey: ECAlgorithm,
        ed25519.Ed25519PublicKey: OKPAlgorithm,
    }
    told = json.loads(next(kind for sort, kind in kinds.items() if isinstance(key, sort)).to_jwk(key))
    needed = {name: told[name] for name in ("crv", "e", "kty", "n", "x", "y") if name in told}
    digest = hashlib.sha256(json.dumps(needed, separators=(",", ":"), sort_keys=True).encode()).digest()
    return {**needed, "use": "sig", "kid": urlsafe_b64encode(digest).rstrip(b"=").decode()}


class Stage:
    """The clients of a server, their settings, and where they are used."""

    def __init__(self, journey: Journey, relay: Relay, offer: Offer) -> None:
        self.journey, self.relay, self.offer = journey, relay, offer
        self.password = secrets.token_hex(24)
        self.tls = Authority(Path(tempfile.mkdtemp(dir=journey.folder)))
        self.keys = {"rsa": rsa.generate_private_key(65537, 2048), "ec": ec.generate_private_key(ec.SECP384R1())}
        self.keys |= {"ed": ed25519.Ed25519PrivateKey.generate()}
        journey.bao.call("POST", "transit/keys/shop", {"type": "rsa-2048"})
        shown = journey.bao.call("GET", "transit/keys/shop")["data"]["keys"]["1"]["public_key"]
        public = [*(key.public_key() for key in self.keys.values()), load_pem_public_key(shown.encode())]
        self.set = {"keys": [jwk(each) for each in public]}
        self.certificates = {name: self.certificate(name) for name in ("tls", "tls-self") if name in offer.names}
        self.stale = threading.Event()  # a set of ours is passed on as it was before, as by a cache
        self._sets: dict[str, Any] = {}
        self._uses: dict[str, Use] = {}
        relay.own["/jwks"] = self.read_set
        self.helped: dict[str, list[tuple[float, float]]] = {}  # monotonic: a person began to help, and had done it
        self.clients = {each: self.client(each) for name in offer.names for each in self.sharing(name)}
        self.running: Running

    def sharing(self, name: str) -> tuple[str, ...]:
        """All clients of a sort, here."""
        return sharing(name) if self.offer.shares or name == "post" else (name,)

    def read_set(self, heard: Heard) -> Reply:
        """The keys of the settings, or at /jwks/NAME those of the daemon, and while none runs, of the Vault."""
        path = heard.target
        if path == "/jwks":
            return 200, self.set, JSON
        if path not in self._sets or not self.stale.is_set():
            try:
                self._sets[path] = call("GET", f"http://{self.journey.listen}{path}")[1]
            except OSError:
                self._sets[path] = json.loads(self.journey.document(f"public/{path.rpartition('/')[2]}")["jwks"])
        return 200, self._sets[path], JSON

    def certificate(self, name: str) -> str:
        """A file: by our authority, or by itself, and then it stands in the key set."""
        if name == "tls":
            return self.tls.issue(name)
        key = new_key()
        made = sign(key.public_key(), name, key, name, host=HERE)
        shown = {**jwk(key.public_key()), "x5c": [b64encode(made.public_bytes(Encoding.DER)).decode()]}
        self.set["keys"].append(shown)
        return str(written(self.tls.folder / f"{name}.pem", made, key))

    def client(self, name: str) -> Client:
        """As the server has to know it."""
        which = sort(name)
        method, grant = METHODS.get(which, "private_key_jwt"), GRANTS.get(which, "client_credentials")
        signs = method in ("private_key_jwt", "client_secret_jwt")
        return Client(
            name,
            method,
            grant,
            secret=secrets.token_hex(32) if method.startswith("client_secret") else "",
            algorithm=ALGORITHMS.get(which, "PS256") if signs else "",
            jwks=self.address(name) if method in READ and which != "key-put" else "",
            key=jwk(self.keys["rsa"].public_key()) if which == "key-put" else {},
            certificate=self.certificates.get(name, ""),
        )

    def address(self, name: str) -> str:
        return f"{self.relay.url}/jwks" + (f"/{name}" if sort(name) == "key-url" else "")

    # --- settings ---------------------------------------------------------------------------------------------------

    def settle(self, running: Running) -> None:
        """The settings, as somebody would write them for this server."""
        self.running = running
        journey, offer = self.journey, self.offer
        target: dict[str, Any] = {"kind": "oauth", "url": self.relay.url}
        target |= {"calls": 100_000, "settle": f"{SETTLE:g}s", **running.target}
        journey.targets = {"site": target}
        self.kept = {name: journey.secret(f"{name}.pem", private_pem(key).reveal()) for name, key in self.keys.items()}
        self.kept["password"] = journey.secret("ada-password", self.password)
        journey.credentials = {name: self.credential(each) for name, each in self.clients.items()}
        if running.secure:
            secure = {**target, "url": running.secure, "ca_file": self.tls.ca_file}
            secure |= {"token_url": f"{running.secure}{offer.token}"}
            journey.targets["secure"] = secure | {"revocation_url": f"{running.secure}{offer.revocation}"}
        journey.save()

    def credential(self, client: Client) -> dict[str, Any]:
        """As settings have it."""
        name, scopes = client.name, list(self.offer.scopes)
        found: dict[str, Any] = {"target": "site", "path": f"apps/{name}", "client_id": name, "limits": LIMITS}
        found |= {"kind": KINDS.get(sort(name), "oauth-token"), "scopes": scopes, "probe": self.offer.probe}
        if client.secret:
            found |= {"client_secret": self.journey.secret(f"{name}-secret", client.secret)}
        if found["kind"] == "oauth-token":
            found |= {"lifetime": "10m", "fraction": 0.66}
            ended = self.offer.ends and client.grant == "refresh_token"
            found |= {} if ended else {"retire": {"after": "1s"}}
            if client.method not in ("private_key_jwt", "none"):
                found |= {"auth_method": client.method}
        if client.algorithm:
            found |= {"algorithm": client.algorithm}
        if found["kind"] == "client-assertion":
            life = "1m" if "max_age" in self.running.target else "5m"
            found |= {"lifetime": life, "fraction": 0.5, "rest": "10s"} | ({"pool": 3} if name == "pool" else {})
        if name == "transit":
            found |= {"transit_key": "transit/shop"}
        elif found["kind"] == "assertion-key":
            found |= {"assertion_life": "5s", "every": "10m", "retire": {"after": "6s"}, "bits": 2048}
            cache = {"jwks": f"secret/public/{name}", "jwks_cache": f"{self.offer.jwks_cache:g}s"}
            found |= cache if client.jwks else self.registered(client)
        elif client.method == "private_key_jwt":
            found |= {"signing_key": self.kept[{"es384": "ec", "eddsa": "ed"}.get(name, "rsa")]}
        if client.certificate:
            found |= {"target": "secure", "tls_certificate": {"file": client.certificate}}
        if client.grant == "password":
            found |= {"grant": "password", "username": "ada", "password": self.kept["password"]}
        if client.grant == "refresh_token":
            found |= {"grant": "refresh_token", "refresh_token": {"vault": f"secret/renewals/{name}#refresh_token"}}
            found |= {"scopes": [*scopes, "offline_access"]} if "openid" in scopes else {}
            found |= {} if self.offer.ends else {"refresh_ends_access": False}
            self.help(name)
        return found | ({"identity": self.offer.identity} if client.grant != "client_credentials" else {})

    def registered(self, client: Client) -> dict[str, Any]:
        """A client that changes its own keys (RFC 7592): its token is handed over as a person would."""
        told = self.running.options[client.name]
        self.keep(client.name, told["registration_access_token"])
        kept = {"vault": f"secret/registrations/{client.name}#registration_access_token"}
        return {"registration_client_uri": told["registration_client_uri"], "registration_access_token": kept}

    def keep(self, name: str, token: str) -> None:
        self.journey.bao.call(
            "POST", f"secret/data/registrations/{name}", {"data": {"registration_access_token": token}}
        )

    def help(self, name: str) -> None:
        """What a person does who is asked: another consent, or another registration access token."""
        began = time.monotonic()
        try:
            self._help(name)
        finally:
            self.helped.setdefault(name, []).append((began, time.monotonic()))

    def _help(self, name: str) -> None:
        client = self.clients[name]
        if client.grant == "refresh_token":
            self.journey.hand_over(name, self.running.consent(client))
            return
        assert client.key, f"{name}: nobody can help"
        assert self.running.renew
        published = load_pem_private_key(self.journey.read(name)["private_key"].encode(), None).public_key()
        self.keep(name, self.running.renew(replace(client, key=jwk(published))))

    # --- what is seen -----------------------------------------------------------------------------------------------

    def use(self, name: str) -> Use:
        """What a consumer does; at the server itself, past the relay. Each assertion is used once by all."""
        return self._uses.setdefault(name, self._use(name))

    def _use(self, name: str) -> Use:
        kind, url, scope = (
            KINDS.get(sort(name)),
            f"{self.running.upstream}{self.offer.token}",
            " ".join(self.offer.scopes),
        )
        if kind is None:
            return opening(self.running.opens)
        return (signing if kind == "assertion-key" else exchanging)(url, scope)

    def dead(self, name: str, read: dict[str, str]) -> bool:
        """Whether the server refuses what was published, and says so when it is asked."""
        token = read.get("access_token", "")
        return not self.use(name)(read) and not (token and self.running.active(token))

    def works(self, name: str) -> None:
        """Raises AssertionError when what is published is refused, and OSError where there is no answer thrice."""
        for last in (False, False, True):
            try:
                accepted = self.use(name)(self.journey.read(name))
                break
            except OSError:  # Hydra over SQLite cuts a connection where it took ten seconds
                if last:
                    raise
        assert accepted is not False, f"{name}: what is published is refused"

    @property
    def named(self) -> Callable[..., tuple[str, ...]]:
        return lambda *names: tuple(name for name in names if name in self.clients)
