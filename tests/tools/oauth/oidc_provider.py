"""A real node oidc-provider on loopback, as a process of server.mjs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.kit.certificates import Authority
from tests.tools.oauth.journey import bearer, form
from tests.tools.oauth.server import Client, Offer, Running, announced, basic, from_npm, installed

VERSION = "9.13.3"


def install() -> Path:
    """folder/node_modules, for node 20 or newer."""
    wanted = f"oidc-provider@{VERSION}"
    return installed(f"oidc-provider-{VERSION}", wanted, lambda folder: from_npm(folder, wanted))


def described(client: Client) -> dict[str, Any]:
    """As RFC 7591 has it."""
    told: dict[str, Any] = {"client_id": client.name, "token_endpoint_auth_method": client.method}
    told |= {"grant_types": [client.grant], "redirect_uris": [], "response_types": []}
    if client.grant == "refresh_token":
        told |= {"grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"]}
        told |= {"redirect_uris": ["https://shop.example/back"]}
    for name, value in (("client_secret", client.secret), ("jwks_uri", client.jwks)):
        told |= {name: value} if value else {}
    return told | ({"token_endpoint_auth_signing_alg": client.algorithm} if client.algorithm else {})


@contextmanager
def run(folder: Path, outside: str, clients: list[Client], _password: str, _tls: Authority) -> Iterator[Running]:
    """`folder`: for its log."""
    command = ["node", str(Path(__file__).with_name("server.mjs")), str(install())]
    given = {"issuer": outside, "clients": [described(each) for each in clients]}
    looking = next(each for each in clients if each.method == "client_secret_basic")
    with announced(command, folder / "oidc-provider.log", given) as server:
        url = server["url"]

        def active(token: str) -> bool:
            return bool(form(f"{url}/token/introspection", {"token": token}, basic(looking))[1].get("active"))

        yield Running(
            url,
            opens=lambda token: bearer(f"{url}/resource", token) == 200,
            active=active,
            consent=lambda client: form(f"{url}/browser/consent", {"client_id": client.name})[1]["refresh_token"],
            target={"issuer": outside, "audience": "issuer"},
        )


NAMES = ("basic", "post", "secret-jwt", "ps256", "es384", "ps512", "eddsa", "family", "asserted", "pool", "transit")
OFFER = Offer(run, NAMES, token="/token", revocation="/token/revocation", probe="/resource", ends=False)
