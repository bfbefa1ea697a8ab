"""API keys, client secrets and assertion keys of HaloITSM applications: the kinds, and checks without a request.

The package builds on oauth. Each implementation, and httpx with it, is imported when a credential is bound.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from rotator.ports import Clock, Provider
from rotator.providers.base import Kind, Server
from rotator.providers.halo_itsm.config import (
    API_KEY_USE_STEP,
    API_KEYS,
    NON_ROTATING_OPTIONS,
    PUBLIC_KEY,
    SECRET,
    ApiKeyOptions,
    ApplicationOptions,
    ClientSecretOptions,
    HaloAssertionKeyOptions,
)  # fmt: skip
from rotator.providers.http.auth import Minter, SecretResolver
from rotator.providers.oauth.config import OAuthTargetConfig
from rotator.rotation.credential import Credential
from rotator.rotation.schedule import FractionOfLife

_SHAPES: dict[str, type[ApplicationOptions]] = {
    "halo-api-key": ApiKeyOptions,
    "halo-client-secret": ClientSecretOptions,
    "halo-assertion-key": HaloAssertionKeyOptions,
}
_FIELDS = {"halo-api-key": API_KEYS, "halo-client-secret": (SECRET,), "halo-assertion-key": (PUBLIC_KEY,)}
_EVERYTHING = (*API_KEYS, SECRET, PUBLIC_KEY)


def open_server(
    name: str, config: OAuthTargetConfig, minter: Minter, secret_resolver: SecretResolver, clock: Clock
) -> Server:
    """Open an OAuth server that may be a HaloITSM: it serves every kind of both families."""
    from rotator.providers.halo_itsm.server import HaloItsmServer
    from rotator.providers.http.client import HttpClient

    del minter  # every client proves itself
    http = HttpClient(name, config, clock, secret_resolver.fetch)
    return HaloItsmServer(http, config, secret_resolver, clock)


def _bind(server: Server, credential: Credential[ApplicationOptions]) -> Provider:
    from rotator.providers.halo_itsm.server import HaloItsmServer

    assert isinstance(server, HaloItsmServer)
    provider = server.slotted(credential)
    assert provider is not None
    return provider


def _claims(credential: Credential[ApplicationOptions]) -> frozenset[str]:
    """The slots that no other credential may write. Two applications that take turns belong to it completely."""
    options = credential.options
    fields = _EVERYTHING if options.second_client_id else _FIELDS[credential.kind]
    slots = {f"{slot.field} of {slot.client_id} on {credential.target}" for slot in options.places(*fields)}
    own = credential.kind == "halo-assertion-key" and options.transit_key
    return frozenset(slots | ({f"Transit key {options.transit_key}"} if own else set()))


def _cuts(options: ApplicationOptions) -> bool:
    """One slot: the new value ends the old one."""
    return not isinstance(options, ApiKeyOptions) and not options.second_client_id


def _misfits(credential: Credential[ApplicationOptions], config: OAuthTargetConfig, longest: timedelta) -> str:
    del longest
    options = credential.options
    ours = {options.client_id, options.second_client_id}
    if config.management and config.management.client_id in ours:
        return "`client_id` is the management application's: nothing may be the only one that can repair itself"
    if config.manage_applications and not options.application:
        return (
            "`application` is missing: with manage_applications = true, its id in Halo is needed: see `rotate targets`"
        )
    if options.second_application and not config.manage_applications:
        return "`second_application` needs manage_applications = true on the target: nobody else could switch over"
    if credential.kind == "halo-api-key":
        return (
            "" if credential.lifetime else 'cannot be "none": every API key expires, after 90 days by Halo\'s default'
        )
    if credential.lifetime is not None:
        return f'`lifetime` does nothing for `{credential.kind}`, which never expires: leave it out, or write "none"'
    fraction = isinstance(credential.schedule, FractionOfLife)
    return f"`fraction` of what? A `{credential.kind}` never expires: use `every` or `cron`" if fraction else ""


def _warnings(credential: Credential[ApplicationOptions], config: OAuthTargetConfig) -> list[str]:
    options, found = credential.options, []
    if not options.scopes and credential.kind != "halo-api-key":
        found.append("no scopes: HaloITSM issues such a token, and then refuses it everywhere")
    if _cuts(options):
        window = 2 * config.timeout.total_seconds()
        found.append(
            "one slot: publishing is a hard cut-over. From the change in Halo until the new value is in Vault, some"
            f" hundred milliseconds as a rule and {window:g}s where answers are slow, what is published is refused; and"
            " from then on, so is every consumer that holds the old value. A second application avoids that"
        )
    if not config.manage_applications:
        found.append("manage_applications is off: a person does each rotation in Halo, when the daemon asks for it")
    if not config.old_is_safe_to_present:
        found.append("old_is_safe_to_present is off: that an old value is dead is concluded, not tried")
    return found


def _kind(name: str, key: str, **more: Any) -> Kind[OAuthTargetConfig, ApplicationOptions]:
    return Kind(
        name=name,
        family="oauth",
        target_config=OAuthTargetConfig,
        options=_SHAPES[name],
        open_target=open_server,
        bind=_bind,
        non_rotating_options=NON_ROTATING_OPTIONS - more.pop("baked", frozenset()),
        warnings=_warnings,
        validate=_misfits,
        needs_minter=False,
        needs_management_client=True,
        end_by_hand="in the configuration of {url}, under integrations and its API application: make another one there",
        document_field=key,
        has_cutover=_cuts,
        exclusive_resources=_claims,
        **more,
    )


APPLICATION_KINDS: dict[str, Kind] = {
    "halo-api-key": _kind("halo-api-key", "api_key", last_use_resolution=API_KEY_USE_STEP),
    "halo-client-secret": _kind("halo-client-secret", "client_secret", default_lifetime=None),
    "halo-assertion-key": _kind(
        "halo-assertion-key",
        "private_key",
        document_field_in_transit="public_key",
        baked=frozenset({"transit_key"}),  # where pairs come from, not only who signs
        default_lifetime=None,
    ),
}
