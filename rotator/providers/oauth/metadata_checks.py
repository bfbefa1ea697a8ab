"""Settings compared with what an authorisation server says of itself, for `rotate check`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rotator.ports import Fault, Refused, Transient
from rotator.providers.http.client import HttpClient
from rotator.providers.keys.algorithms import other_names
from rotator.providers.oauth.config import ENDPOINT_URLS, AccessTokenOptions, ClientOptions, OAuthTargetConfig
from rotator.providers.oauth.discovery import Discovery, Endpoints, Unbelievable, merged
from rotator.rotation.credential import Credential
from rotator.rotation.wording import visible

_LONGEST = 200  # characters of a foreign list that are shown
_OPENID = {"openid", "profile", "email", "address", "phone", "offline_access", "offline"}


async def findings(
    config: OAuthTargetConfig, discovery: Discovery, http: HttpClient, credentials: Sequence[Credential[ClientOptions]]
) -> list[str]:
    """Where the settings differ from what the issuer says now. Raises Transient or Refused where only that says where
    the token endpoint is."""
    if not config.issuer_is_url:
        return await _authinfo(config, http)
    try:
        told = await discovery.read(http, anew=True)
    except Fault as fault:
        if config.discovers:
            raise
        lies = [fault.reason] if isinstance(fault, Unbelievable) else []
        return lies + await _authinfo(config, http)
    found = differences(config, told, credentials) + await _authinfo(config, http)
    if keys := merged(config, told).jwks:
        found += await unreadable_keys(http.at(keys), config.question("jwks", keys))
    return found


async def _authinfo(config: OAuthTargetConfig, http: HttpClient) -> list[str]:
    """HaloITSM's public metadata."""
    try:
        answer = await http.request("GET", "/api/authinfo")
    except (Transient, Refused):
        return []
    told = answer.document if isinstance(answer.document, dict) else {}
    found = []
    url = told.get("auth_url") if not config.discovers else None
    if url and str(url).rstrip("/") != config.authority:
        found.append("the server names another authorisation server in /api/authinfo: compare auth_url")
    if (tenant := told.get("tenant_id")) and str(tenant) != config.tenant:
        found.append("the server names another tenant in /api/authinfo: compare tenant")
    return found


def differences(
    config: OAuthTargetConfig, told: Endpoints, credentials: Sequence[Credential[ClientOptions]]
) -> list[str]:
    """Endpoints and clients of the settings that the document does not confirm. What it does not tell is no
    difference."""
    return [*_addresses(config, told), *(text for each in credentials for text in _client(each, told))]


def _addresses(config: OAuthTargetConfig, told: Endpoints) -> Iterator[str]:
    for option in ENDPOINT_URLS:
        name = option.removesuffix("_url")
        ours = getattr(config, option) or (config.endpoint if name == "token" and not config.discovers else "")
        theirs = getattr(told, name)
        if ours and theirs and ours != theirs:
            yield f"{option} is {ours}, and the server itself names {visible(theirs, _LONGEST)}: compare them"
        elif not ours and (why := told.refused.get(name)):
            yield f"{why}; nothing is sent there; if it is right, set {option}"
    yield from (why for name, why in told.refused.items() if name.startswith("mtls "))


def _client(credential: Credential[ClientOptions], told: Endpoints) -> Iterator[str]:
    client, said = credential.options, f"{credential.name}: the server does not list"
    method = _method(client)
    if told.auth_methods is not None and method not in told.auth_methods:
        yield f"{said} {method} among the ways in which a client may prove itself: {_shown(told.auth_methods)}"
    elif method.endswith("_jwt") and told.algorithms is not None and client.algorithm not in told.algorithms:
        same = [each for each in other_names(client.algorithm) if each in told.algorithms]
        remedy = f'; it has the same under another name: set algorithm = "{same[0]}"' if same else ""
        yield f"{said} {client.algorithm} among the algorithms of assertions: {_shown(told.algorithms)}{remedy}"
    grant = client.grant if isinstance(client, AccessTokenOptions) else "client_credentials"
    if told.grants is not None and grant not in told.grants:
        yield f"{said} the grant {grant}: {_shown(told.grants)}"
    if told.scopes is None or told.scopes <= _OPENID:  # it names only those of OpenID, as Spring and Hydra do
        return
    if unlisted := sorted(set(client.scopes) - told.scopes):
        yield f"{said} the scope {', '.join(unlisted)}; a server may know more scopes than it lists"


def _method(client: ClientOptions) -> str:
    """By its registered name (RFC 8414, section 2)."""
    if client.auth_method not in ("client_secret_post", "client_secret_basic"):
        return client.auth_method
    if client.asserts or client.makes_key:
        return "private_key_jwt"
    return client.auth_method if client.client_secret else "none"


def _shown(listed: frozenset[str]) -> str:
    return visible(", ".join(sorted(listed)), _LONGEST) or "none"


async def unreadable_keys(http: HttpClient, question: str) -> list[str]:
    """What is wrong with the server's own key set, by which those who take its tokens check them. `question`: what to
    compare when there is none."""
    means = "who checks its tokens by that refuses them"
    try:
        answer = await http.request("GET", "")
    except (Transient, Refused) as fault:
        return [f"the server's own key set cannot be read, {means}: {fault.reason}"]
    told = answer.document if isinstance(answer.document, dict) else {}
    if answer.status == 200 and isinstance(told.get("keys"), list) and told["keys"]:
        return []
    return [f"the server's own key set holds no keys (it answers {answer.status}), {means}; {question}"]
