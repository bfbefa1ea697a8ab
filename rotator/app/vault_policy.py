"""The rights that the daemon needs in Vault for given settings, and the policy that grants exactly those.

vault/preflight.py checks whether a token has them. config/vault/rotator.hcl is a general version to read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import chain

import msgspec

from rotator.app.factories import is_known, place_of
from rotator.providers import kind_of
from rotator.rotation.credential import Credential, VaultPath
from rotator.rotation.secret import SecretRef, SecretSource
from rotator.settings import Method, Settings


class UngrantableError(Exception):
    """A path that a policy would read as a pattern; the text names it."""


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One path of a policy, and why the daemon needs it."""

    path: str
    capabilities: tuple[str, ...]
    why: str


_PUBLISHED = "The published secrets. Foreign keys in them are read, kept and written back."
_LIMITS = "Their limits (max_versions, delete_version_after): versions that are still needed must not vanish."
_JOURNAL = "Records and leases, one per credential; no secrets in them. The daemon never deletes them."
_STAGED = "Candidates, between minting and publication. Nobody else should be able to read these."
_NODE = (
    "Heartbeats; writing one is also how a read makes sure that it is not stale. Those of daemons gone for a day are"
    " removed."
)
_META = "The installation's lineage and fingerprint key, made once."
_REFERRED = "Secrets that the settings refer to: minters, client secrets, keys."
_KEPT = (
    "Documents that are read and written beside the published ones: public keys, refresh tokens, registration access"
    " tokens."
)
_TRANSIT = "Signing keys that stay in Transit: look at the public half, sign; make a version of those that are rotated."
_FLIGHT = "The pre-flight's table of what this policy lacks."
_SELF = 'Its own token: tell "dead" from "not allowed", renew it, end it at shutdown.'
_LOGIN = "When the secret-id that it logs in with ends, and how many uses are left (whoever asks must know it)."
_WISH = "What operators asked for and nobody has taken up yet; removed once a record knows it."
_FLEET = "Pauses of the whole installation."
_OF_LOGIN = (_SELF, _LOGIN)  # what concerns the token itself is where the login is
_PATTERNS = (_LOGIN, _JOURNAL, _STAGED, _WISH, _NODE)
_READ, _UPDATE, _WRITE = ("read",), ("update",), ("create", "update", "read")
REPLACED_OPTIONS = ("refresh_token", "registration_access_token")  # each use may replace what these name
KEPT_OPTIONS = ("jwks", *REPLACED_OPTIONS)  # options that name a document which a provider keeps in Vault


def grants(settings: Settings) -> tuple[PolicyRule, ...]:
    """Every path once, in the order of the policy. Raises UngrantableError."""
    found: dict[str, PolicyRule] = {}
    for grant in _all(settings):
        if ("+" in grant.path.split("/") or "*" in grant.path) and grant.why not in _PATTERNS:
            raise UngrantableError(f"{grant.path}: Vault would take this for a pattern; rename it")
        known = found.get(grant.path, grant)
        union = tuple(dict.fromkeys((*known.capabilities, *grant.capabilities)))
        found[grant.path] = PolicyRule(grant.path, union, known.why)
    return tuple(found.values())


def policy(settings: Settings) -> str:
    """The policy in HCL, for the namespace of the login. Raises UngrantableError."""
    where, below = _namespaces(settings)
    lines = [
        "# What rotator may do, and nothing more; written from its settings. After a change there, write it anew:",
        f"#   rotate policy | bao policy write {f'-namespace={where} ' if where else ''}rotator -",
    ]
    lines += [f"# {each}" for each in guesses(settings)]
    wanted = [
        replace(each, path=f"{below}{each.path}") if below and each.why not in _OF_LOGIN else each
        for each in grants(settings)
    ]
    width = max(len(each.path) for each in wanted)
    for why in dict.fromkeys(each.why for each in wanted):
        lines += ["", f"# {why}"]
        lines += [_rule(each, width) for each in wanted if each.why == why]
    return "\n".join(lines) + "\n"


def _namespaces(settings: Settings) -> tuple[str, str]:
    """The namespace of the login, and the path from there to the namespace of the secrets, as a policy writes it.

    Raises UngrantableError if the secrets are not below the login: a policy reaches down only.
    """
    secrets, own = settings.vault.namespace, settings.vault.auth.namespace
    if own is None or own == secrets:
        return secrets, ""
    if own and not secrets.startswith(f"{own}/"):
        raise UngrantableError(
            f"the secrets' namespace {secrets or 'root'!r} is not below the login's, {own!r},"
            " and no policy there reaches them"
        )
    return own, f"{secrets.removeprefix(own).strip('/')}/"


def guesses(settings: Settings) -> list[str]:
    """The mounts that are only assumed, in words: Vault alone knows which mount serves a path."""
    refs = (ref for ref in (*references(settings), *kept(settings)) if ref.source is SecretSource.VAULT)
    names = dict.fromkeys(ref.name for ref in refs if not is_known(ref, settings))
    return [
        f"{json.dumps(name.partition('/')[0])} is taken for the mount of {json.dumps(name)}: where it is another, name"
        " it in [vault] mounts."
        for name in names
    ]


def _rule(grant: PolicyRule, width: int) -> str:
    return f"path {json.dumps(grant.path):<{width + 2}} {{ capabilities = {json.dumps(grant.capabilities)} }}"


def _all(settings: Settings) -> Iterator[PolicyRule]:
    vault = settings.vault
    places = [each.place for each in settings.credentials.values()]
    yield from (PolicyRule(f"{place.mount}/data/{place.path}", _WRITE, _PUBLISHED) for place in places)
    yield from (PolicyRule(f"{place.mount}/metadata/{place.path}", _READ, _LIMITS) for place in places)
    mounts = (vault.mount, *(each.mount for each in places), *sorted({each.mount for each in kept_places(settings)}))
    yield from (PolicyRule(f"{mount}/config", _READ, _LIMITS) for mount in mounts)
    yield PolicyRule(f"{vault.mount}/data/{vault.prefix}/journal/*", _WRITE, _JOURNAL)
    yield PolicyRule(f"{vault.mount}/metadata/{vault.prefix}/journal/*", ("list",), _JOURNAL)
    yield PolicyRule(f"{vault.mount}/data/{vault.prefix}/staged/*", _WRITE, _STAGED)
    yield PolicyRule(f"{vault.mount}/destroy/{vault.prefix}/staged/*", _UPDATE, _STAGED)
    yield PolicyRule(f"{vault.mount}/data/{vault.prefix}/wish/*", _WRITE, _WISH)
    yield PolicyRule(f"{vault.mount}/metadata/{vault.prefix}/wish/*", ("list", "delete"), _WISH)
    yield PolicyRule(f"{vault.mount}/data/{vault.prefix}/fleet", _WRITE, _FLEET)
    yield PolicyRule(f"{vault.mount}/data/{vault.prefix}/node/*", _WRITE, _NODE)
    yield PolicyRule(f"{vault.mount}/metadata/{vault.prefix}/node/*", ("list", "delete"), _NODE)
    yield PolicyRule(f"{vault.mount}/data/{vault.prefix}/meta", ("create", "read"), _META)
    for key, value in entries(settings):
        yield from _named(settings, key, value)
    yield from _rotated_in_transit(settings)
    yield PolicyRule("sys/capabilities-self", _UPDATE, _FLIGHT)
    yield PolicyRule("auth/token/lookup-self", _READ, _SELF)
    yield PolicyRule("auth/token/renew-self", _UPDATE, _SELF)
    yield PolicyRule("auth/token/revoke-self", _UPDATE, _SELF)
    if vault.auth.method is Method.APPROLE:
        yield PolicyRule(f"auth/{vault.auth.mount}/role/+/secret-id/lookup", _UPDATE, _LOGIN)


def _named(settings: Settings, key: str, value: SecretRef | str) -> Iterator[PolicyRule]:
    """The path in Vault that an option names, if any."""
    if key == "transit_key" and value:
        mount, _, name = str(value).rpartition("/")
        yield PolicyRule(f"{mount}/keys/{name}", _READ, _TRANSIT)
        yield PolicyRule(f"{mount}/sign/{name}", _UPDATE, _TRANSIT)
    elif key == "jwks" and value:
        yield PolicyRule(_document(settings, SecretRef(SecretSource.VAULT, str(value))), _WRITE, _KEPT)
    elif isinstance(value, SecretRef) and value.source is SecretSource.VAULT:
        kept = key in REPLACED_OPTIONS
        yield PolicyRule(_document(settings, value), _WRITE if kept else _READ, _KEPT if kept else _REFERRED)


def _rotated_in_transit(settings: Settings) -> Iterator[PolicyRule]:
    for each in settings.credentials.values():
        path = getattr(each.options, "transit_key", "")
        if path and kind_of(each.kind).document_field_in_transit:
            mount, _, name = path.rpartition("/")
            yield PolicyRule(f"{mount}/keys/{name}/rotate", _UPDATE, _TRANSIT)


def transit_rights(settings: Settings) -> dict[str, frozenset[str]]:
    """The rights that the daemon needs in Transit, by path, for the check before any work."""
    named = (_named(settings, key, value) for key, value in entries(settings) if key == "transit_key")
    return {each.path: frozenset(each.capabilities) for each in (*chain(*named), *_rotated_in_transit(settings))}


def referred_rights(settings: Settings) -> dict[str, frozenset[str]]:
    """The other rights that the settings need, by path: for minters' secrets and for documents of providers."""
    named = (_named(settings, key, value) for key, value in entries(settings) if key != "transit_key")
    return {each.path: frozenset(each.capabilities) for each in chain(*named)}


def kept_places(settings: Settings) -> tuple[VaultPath, ...]:
    """Documents that are written rarely and needed for ever: key sets, refresh tokens, registration access tokens."""
    return tuple(place_of(ref, settings) for ref in kept(settings))


def kept(settings: Settings) -> tuple[SecretRef, ...]:
    """Documents in Vault that providers keep beside the published ones."""
    named = (value for key, value in entries(settings) if key in KEPT_OPTIONS and value)
    refs = (each if isinstance(each, SecretRef) else SecretRef(SecretSource.VAULT, str(each)) for each in named)
    return tuple(dict.fromkeys(ref for ref in refs if ref.source is SecretSource.VAULT))


def _document(settings: Settings, ref: SecretRef) -> str:
    place = place_of(ref, settings)
    return f"{place.mount}/data/{place.path}"


def references(settings: Settings) -> tuple[SecretRef, ...]:
    """Every secret that the settings refer to, once."""
    return tuple(dict.fromkeys(value for _, value in entries(settings) if isinstance(value, SecretRef)))


def shown_to_all(settings: Settings) -> frozenset[SecretRef]:
    """References to certificates, which are no secrets unless their key is in the same place."""
    named = [(key, value) for key, value in entries(settings) if isinstance(value, SecretRef)]
    keys = {value for key, value in named if not key.endswith("certificate")}
    options = (each.options for each in settings.credentials.values())
    both = {getattr(each, "tls_certificate", None) for each in options if not getattr(each, "tls_key", None)}
    return frozenset(value for key, value in named if key.endswith("certificate")) - keys - both


def entries(value: object, key: str = "") -> Iterator[tuple[str, SecretRef | str]]:
    """Every text and reference in the options, with its key, at any depth."""
    if isinstance(value, SecretRef | str):
        yield key, value
    elif isinstance(value, Credential):
        yield from entries(value.options)
    elif isinstance(value, Mapping):
        for inner, each in value.items():
            yield from entries(each, str(inner))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from entries(each, key)
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from entries(getattr(value, name), name)
    elif is_dataclass(value):
        for field in fields(value):
            yield from entries(getattr(value, field.name), field.name)
