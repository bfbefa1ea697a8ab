"""The kinds of credentials that the campaigns go through: settings, the consumer's use, and what must be so.

Consumers and judges here know the servers only: nothing of ours reads, signs or decides.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from tests.sandbox.environment import World
from tests.sandbox.itsm_process import MANAGEMENT, TENANT, Desk
from tests.system.wire import Wire

PATS = "/apis/uc.api.security.halo.run/v1alpha1/personalaccesstokens"
BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
STATUS = "/api/Status"
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_TOKEN = f"/auth/token?tenant={TENANT}"

Document = dict[str, str]  # what consumers read


@dataclass(frozen=True)
class Use:
    """One request of a consumer: 200 means that the value is good."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""


@dataclass
class Heard:
    """What was said on the wires: to the desk, an application's number, a property and a value; to Vault, what to keep.

    A value of an API key that Vault never kept is known to nobody: it was made to write a slot over.
    """

    told: set[tuple[str, str, str]] = field(default_factory=set)
    kept: list[str] = field(default_factory=list)
    denied: list[str] = field(default_factory=list)  # calls that were answered 403

    def desk(self, body: bytes) -> None:
        """A request to the desk."""
        if not body.startswith(b"["):
            return
        for wish in json.loads(body):
            for name in {"clientSecret", "new_apikey1", "new_apikey2"} & set(wish):
                self.told.add((str(wish["id"]), name, wish[name]))

    def vault(self, body: bytes) -> None:
        """A request to Vault."""
        if body:
            self.kept.append(body.decode())

    def made(self, key: str) -> set[str]:
        """The values that the desk has made and Vault was ever given, staged, or published under `key`."""
        return {value for text in self.kept for value in re.findall(rf'"(?:value|{key})": ?"([^"]+)"', text)}

    def known(self, number: str) -> Iterator[tuple[str, str]]:
        """The properties and values that this application was told and that somebody may know."""
        for whose, name, value in sorted(self.told):
            if whose == number and any(value in text for text in self.kept):
                yield name, value


NOTHING_HEARD = Heard()


@dataclass(frozen=True)
class Kind:
    """One row of the table. `applications`: the endings of the names of those that each credential needs."""

    name: str
    document_field: str
    use: Callable[[Desk | None, str, Document], Use]
    settings: Callable[[Desk, str], dict[str, Any]] = lambda desk, name: {}
    applications: tuple[str, ...] = ()
    revokes: bool = False  # access tokens are revoked at the desk
    overlap: bool = True  # consumers of what is published never notice a rotation
    faults: Callable[[World, str, Document, Heard], list[str]] = lambda world, name, document, heard: []

    @property
    def edge(self) -> str:
        """Which server it lives on."""
        return "desk" if self.applications else "halo"

    def add(self, world: World, name: str, **more: Any) -> None:
        """A credential of this kind."""
        own = self.settings(_desk(world), name) if self.applications else {}
        world.add(name, **({"target": "desk", **own} if self.applications else {}), **more)


def kind_of(world: World, name: str) -> Kind:
    """By its settings."""
    settings = world.credentials[name]
    kind = settings.get("kind", "halo-pat")
    if kind == "oauth-token" and "retire" in settings:
        return KINDS["oauth-token-revoked"]
    return KINDS["halo-client-secret-two" if "second_application" in settings else kind]


def _desk(world: World) -> Desk:
    assert world.desk is not None, "this world has no service desk"
    return world.desk


# --- what a consumer does -------------------------------------------------------------------------------------------


def _read_own_record(desk: Desk | None, name: str, document: Document) -> Use:
    bearer = {"Authorization": f"Bearer {document['token']}", "Accept": "application/json"}
    return Use("GET", f"{PATS}/{document['provider_id']}", bearer)


def opens(value: str) -> Use:
    """A call with an access token or an API key."""
    return Use("GET", STATUS, {"Authorization": f"Bearer {value}"})


def grants(client_id: str, secret: str, **more: str) -> Use:
    """A token request."""
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret, "scope": "all"}
    return Use("POST", _TOKEN, dict(_FORM), urlencode({**form, **more}))


def _present(desk: Desk | None, name: str, document: Document) -> Use:
    """HaloITSM takes an assertion again and again, and wants the secret beside it."""
    assert desk is not None
    secret = desk.secrets[f"{name}-pair"].reveal()
    value = document["client_assertion"]
    return grants(document["client_id"], secret, client_assertion_type=BEARER, client_assertion=value)


def _sign(desk: Desk | None, name: str, document: Document) -> Use:
    """Sign as a consumer would, a new assertion every half minute."""
    assert desk is not None
    secret = next(desk.secrets[f"{name}{ending}"] for ending in ("-pair", "-keys") if f"{name}{ending}" in desk.secrets)
    signed = _assertion(document["private_key"], document["kid"], document["client_id"], f"{desk.url}/auth/token")
    return grants(document["client_id"], secret.reveal(), client_assertion_type=BEARER, client_assertion=signed)


_SIGNED_FOR = 60.0  # seconds


def _assertion(pem: str, kid: str, client_id: str, audience: str) -> str:
    return _signed(pem, kid, client_id, audience, int(time.time() / _SIGNED_FOR * 2))


@lru_cache(maxsize=256)
def _signed(pem: str, kid: str, client_id: str, audience: str, half_minute: int) -> str:
    now = int(time.time())
    claims = {"iss": client_id, "sub": client_id, "aud": audience, "jti": str(uuid4())}
    times = {"iat": now - 5, "exp": now + 2 * int(_SIGNED_FOR)}
    return jwt.encode({**claims, **times}, _private(pem), "PS256", {"kid": kid})


@lru_cache(maxsize=256)
def _private(pem: str) -> RSAPrivateKey:
    """Parsed once, its primes not tested: that takes 50 ms in which no other thread of the campaign moves."""
    key = load_pem_private_key(pem.encode(), None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(key, RSAPrivateKey)
    return key


def ask(wire: Wire, use: Use) -> tuple[int, bytes]:
    """Status and body. Raises OSError or HTTPException."""
    return wire.ask(use.method, use.path, use.headers, use.body)


# --- what must be so at rest ----------------------------------------------------------------------------------------


def _application(world: World, name: str) -> dict[str, Any]:
    """As the Application API shows it to its administrator."""
    desk = _desk(world)
    wire = Wire(desk.url)
    login = grants(desk.clients[MANAGEMENT], desk.secrets[MANAGEMENT].reveal())
    token = json.loads(ask(wire, login)[1])["access_token"]
    path = f"/api/Application/{desk.numbers[name]}"
    found = ask(wire, Use("GET", path, {"Authorization": f"Bearer {token}"}))[1]
    wire.close()
    return dict(json.loads(found))


def _others_are_refused(world: World, name: str, document: Document, heard: Heard) -> list[str]:
    """Of all values of this credential that the desk was ever told, only what is published opens it."""
    desk, kind = _desk(world), kind_of(world, name)
    wire, wrong = Wire(desk.url), []
    for ending in kind.applications:
        number, client = desk.numbers[name + ending], desk.clients[name + ending]
        for what, value in heard.known(number):
            use = grants(client, value) if what == "clientSecret" else opens(value)
            if (value, client) != (document[kind.document_field], document["client_id"]) and ask(wire, use)[0] == 200:
                wrong.append(f"another {what} of application {number} is accepted")
    wire.close()
    return wrong


def _older_are_refused(world: World, name: str, document: Document, heard: Heard) -> list[str]:
    """Of all values that Vault was ever given, only what is published opens the desk."""
    field = kind_of(world, name).document_field
    wire, made = Wire(_desk(world).url), heard.made(field)
    assert document[field] in made, "what is published was never heard on the wire"
    open_ = [value for value in made if value != document[field] and ask(wire, opens(value))[0] == 200]
    wire.close()
    return [f"{len(open_)} older values are accepted"] if open_ else []


def _api_key(world: World, name: str, document: Document, heard: Heard) -> list[str]:
    slot = document["provider_id"].split("/")[1].removeprefix("new_")
    shown = _application(world, name)
    record = world.bao.call("GET", f"{world.mount}/data/rotator/journal/{name}")["data"]["data"]
    made, known = shown[f"{slot}_date_generated"], record["current"]["token"]["serial"]
    return [*([] if made == known else [f"{slot} was made at {made}, the journal says {known}"]),
            *_others_are_refused(world, name, document, heard)]  # fmt: skip


def _blue_green(world: World, name: str, document: Document, heard: Heard) -> list[str]:
    apart = [name + ending for ending in kind_of(world, name).applications]
    shown = [(each, _application(world, each)) for each in apart]
    active = {found["clientId"]: _as_it_was(world, each) for each, found in shown if not found["inactive"]}
    return taking_turns(document, active) + _others_are_refused(world, name, document, heard)


def taking_turns(document: Document, active: Mapping[str, bool]) -> list[str]:
    """One application is active, and it is the published one's. `active`, by client id: whether it holds what it held
    before the first rotation. Such a value is not the rotator's to end, until it needs the place for its second one."""
    ours = [client for client, as_it_was in active.items() if not as_it_was]
    if ours == [document["client_id"]]:
        return []
    return [f"active are {ours}, published is {document['client_id']} of rotation {document['rotation']}"]


def _as_it_was(world: World, name: str) -> bool:
    """Whether an application still takes the secret that it was set up with."""
    desk = _desk(world)
    wire = Wire(desk.url)
    status = ask(wire, grants(desk.clients[name], desk.secrets[name].reveal()))[0]
    wire.close()
    return status == 200


def _only_key(world: World, name: str, document: Document, heard: Heard) -> list[str]:
    key = _private(document["private_key"]).public_key()
    public = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    known = _application(world, f"{name}-pair")["public_key"]
    return [] if known.strip() == public.strip() else ["the application knows another key than the published one"]


def _only_key_of_the_set(world: World, name: str, document: Document, heard: Heard) -> list[str]:
    kids = [each["kid"] for each in json.loads(_desk(world).jwks(f"{name}-keys").read_text())["keys"]]
    wrong = [] if kids == [document["kid"]] else [f"the set holds {kids}, published is {document['kid']}"]
    fits = thumbprint(_private(document["private_key"])) == document["kid"]
    return wrong + ([] if fits else ["the published key is not what kid says"])


def thumbprint(key: RSAPrivateKey) -> str:
    """RFC 7638."""
    numbers = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    text = json.dumps({name: numbers[name] for name in ("e", "kty", "n")}, separators=(",", ":"))
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


# --- the table ------------------------------------------------------------------------------------------------------


def _pair(desk: Desk, name: str) -> dict[str, Any]:
    return {**desk.client(f"{name}-pair"), "probe": STATUS}


def _application_keys(desk: Desk, name: str) -> dict[str, Any]:
    return {"application": desk.numbers[name], "client_id": desk.clients[name], "probe": STATUS}


def _one_secret(desk: Desk, name: str) -> dict[str, Any]:
    return {"kind": "halo-client-secret", **_application_keys(desk, name), "scopes": ["all"]}


KINDS = {
    each.name: each
    for each in (
        Kind("halo-pat", "token", _read_own_record),
        Kind(
            "client-assertion",
            "client_assertion",
            _present,
            lambda desk, name: {
                "kind": "client-assertion",
                **_pair(desk, name),
                "signing_key": {"file": str(desk.pair)},
                "lifetime": "2h",
                "every": "1h",
            },
            ("-pair",),
        ),
        Kind(
            "oauth-token",
            "access_token",
            lambda desk, name, document: opens(document["access_token"]),
            lambda desk, name: {
                "kind": "oauth-token",
                **desk.client(name),
                "probe": STATUS,
                "lifetime": "1h",
                "every": "30m",
            },
            ("",),
        ),
        Kind(
            "oauth-token-revoked",
            "access_token",
            lambda desk, name, document: opens(document["access_token"]),
            lambda desk, name: {
                "kind": "oauth-token",
                **desk.client(name),
                "probe": STATUS,
                "lifetime": "1h",
                "every": "30m",
                "retire": {"after": "1s"},
            },
            ("",),
            revokes=True,
            faults=_older_are_refused,
        ),
        Kind(
            "halo-api-key",
            "api_key",
            lambda desk, name, document: opens(document["api_key"]),
            lambda desk, name: {"kind": "halo-api-key", **_application_keys(desk, name)},
            ("",),
            faults=_api_key,
        ),
        Kind(
            "halo-client-secret",
            "client_secret",
            lambda desk, name, document: grants(document["client_id"], document["client_secret"]),
            _one_secret,
            ("",),
            overlap=False,
            faults=_others_are_refused,
        ),
        Kind(
            "halo-client-secret-two",
            "client_secret",
            lambda desk, name, document: grants(document["client_id"], document["client_secret"]),
            lambda desk, name: {
                **_one_secret(desk, name),
                "second_application": desk.numbers[f"{name}-second"],
                "second_client_id": desk.clients[f"{name}-second"],
                "retire": {"after": "1s"},
            },
            ("", "-second"),
            faults=_blue_green,
        ),
        Kind(
            "halo-assertion-key",
            "private_key",
            _sign,
            lambda desk, name: {
                "kind": "halo-assertion-key",
                **_pair(desk, name),
                "application": desk.numbers[f"{name}-pair"],
                "bits": 2048,
            },
            ("-pair",),
            overlap=False,
            faults=_only_key,
        ),
        Kind(
            "assertion-key",
            "private_key",
            _sign,
            lambda desk, name: {
                "kind": "assertion-key",
                **desk.client(f"{name}-keys"),
                "probe": STATUS,
                "jwks_file": str(desk.jwks(f"{name}-keys")),
                "jwks_cache": "2s",
                "assertion_life": "1s",
                "bits": 2048,
            },
            ("-keys",),
            faults=_only_key_of_the_set,
        ),
    )
}
