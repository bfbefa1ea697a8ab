"""Access tokens, client assertions and assertion keys on OAuth servers: the kinds, and checks without a request.

Each implementation, and httpx with it, is imported when a target is opened.
"""

from __future__ import annotations

from datetime import timedelta

from rotator.ports import Clock, Provider
from rotator.providers.base import Kind, Server, check_url
from rotator.providers.http.auth import Minter, SecretResolver
from rotator.providers.oauth.config import (
    NON_ROTATING_OPTIONS,
    AccessTokenOptions,
    AssertionKeyOptions,
    ClientAssertionOptions,
    ClientOptions,
    OAuthTargetConfig,
    lifetime_conflict,
    revokes,
)
from rotator.rotation.credential import Credential


def open_oauth(
    name: str, config: OAuthTargetConfig, minter: Minter, secret_resolver: SecretResolver, clock: Clock
) -> Server:
    """A server by its name and config."""
    from rotator.providers.http.client import HttpClient
    from rotator.providers.oauth.server import OAuthServer

    del minter  # every client proves itself
    return OAuthServer(HttpClient(name, config, clock, secret_resolver.fetch), config, secret_resolver, clock)


def _bind_assertion(server: Server, credential: Credential[ClientAssertionOptions]) -> Provider:
    from rotator.providers.oauth.client_assertion import ClientAssertion
    from rotator.providers.oauth.server import OAuthServer

    assert isinstance(server, OAuthServer)
    return ClientAssertion(server, credential.options)


def _bind_access_token(server: Server, credential: Credential[AccessTokenOptions]) -> Provider:
    from rotator.providers.oauth.access_token import AccessToken, RefreshedToken
    from rotator.providers.oauth.server import OAuthServer

    assert isinstance(server, OAuthServer)
    options = credential.options
    return (RefreshedToken if options.refresh_token else AccessToken)(server, options, credential.name)


def _bind_assertion_key(server: Server, credential: Credential[AssertionKeyOptions]) -> Provider:
    from rotator.providers.oauth.assertion_key import AssertionKey
    from rotator.providers.oauth.server import OAuthServer

    assert isinstance(server, OAuthServer)
    return AssertionKey(server, credential.options)


def _claims(credential: Credential[AssertionKeyOptions]) -> frozenset[str]:
    """Its Transit key: another credential with the same key would confuse their versions. Its registration and the
    document of its token: each update by one would end the token of the other."""
    options = credential.options
    claimed = [f"Transit key {options.transit_key}"] if options.transit_key else []
    if token := options.registration_access_token:
        claimed += [
            f"the registration {options.registration_client_uri}",
            f"the registration access token in {token.name}",
        ]
    return frozenset(claimed)


def _unshown_certificate(credential: Credential[ClientOptions], config: OAuthTargetConfig) -> str:
    plain = not config.discovers and config.endpoint.startswith("http:")
    if credential.options.tls_certificate and plain:
        return "has a tls_certificate, which is shown to https servers only: token_url is plain http"
    return ""


def _assertion_key_misfits(
    credential: Credential[AssertionKeyOptions], config: OAuthTargetConfig, longest: timedelta
) -> str:
    if unshown := _unshown_certificate(credential, config):
        return unshown
    if uri := credential.options.registration_client_uri:
        try:
            check_url(uri, "the address in `registration_client_uri`", insecure=config.allow_insecure_http, query=True)
        except ValueError as fault:
            return str(fault)
    return ""


def _assertion_misfits(
    credential: Credential[ClientAssertionOptions], config: OAuthTargetConfig, longest: timedelta
) -> str:
    conflict = lifetime_conflict(config, credential.options, credential.lifetime, longest)
    return _unshown_certificate(credential, config) or conflict


def _access_token_misfits(credential: Credential, config: OAuthTargetConfig, longest: timedelta) -> str:
    del longest  # the server decides how long it lives
    if unshown := _unshown_certificate(credential, config):
        return unshown
    return 'cannot be "none": every access token expires' if credential.lifetime is None else ""


def _oauth_warnings(credential: Credential[ClientOptions], config: OAuthTargetConfig) -> list[str]:
    found, options = [], credential.options
    if not options.scopes:
        found.append("no scopes: HaloITSM issues such a token, and then refuses it everywhere")
    if isinstance(options, ClientAssertionOptions):
        found += _pool_warnings(options.pool, once=config.single_use)
    if isinstance(options, AccessTokenOptions) and options.grant == "password":
        found.append("the password grant is gone from OAuth 2.1: prefer client_credentials wherever the server has it")
    return found


def _pool_warnings(pool: int, *, once: bool) -> list[str]:
    if once and pool == 1:
        return [
            "this server takes an assertion once: what is published serves one exchange by one consumer; for several"
            " consumers publish the access token (kind oauth-token), let each one sign (kind assertion-key), or set"
            " pool to their number"
        ]
    if once:
        return [f"each of the {pool} assertions serves one exchange: give every consumer a slot of its own"]
    return ["this server takes an assertion again and again: a pool is of no use here"] if pool > 1 else []


OAUTH_KINDS: dict[str, Kind] = {
    "client-assertion": Kind(
        name="client-assertion",
        family="oauth",
        target_config=OAuthTargetConfig,
        options=ClientAssertionOptions,
        open_target=open_oauth,
        bind=_bind_assertion,
        non_rotating_options=NON_ROTATING_OPTIONS,
        warnings=_oauth_warnings,
        validate=_assertion_misfits,
        needs_minter=False,
        only_expires=True,
        end_by_hand="nobody can end it before its date; take its key from the application at {url}, or disable that",
        document_field="client_assertion",
        identifies=True,
        default_lifetime=timedelta(minutes=5),
    ),
    "assertion-key": Kind(
        name="assertion-key",
        family="oauth",
        target_config=OAuthTargetConfig,
        options=AssertionKeyOptions,
        open_target=open_oauth,
        bind=_bind_assertion_key,
        non_rotating_options=NON_ROTATING_OPTIONS,
        warnings=_oauth_warnings,
        validate=_assertion_key_misfits,
        needs_minter=False,
        document_field="private_key",
        document_field_in_transit="public_key",
        exclusive_resources=_claims,
        default_lifetime=None,
        minimum_grace=lambda options: options.assertion_life,
        propagation_delay=lambda options: options.cached,
    ),
    "oauth-token": Kind(
        name="oauth-token",
        calls_of_rotation=3,
        family="oauth",
        target_config=OAuthTargetConfig,
        options=AccessTokenOptions,
        open_target=open_oauth,
        bind=_bind_access_token,
        non_rotating_options=NON_ROTATING_OPTIONS,
        warnings=_oauth_warnings,
        validate=_access_token_misfits,
        needs_minter=False,
        only_expires=True,
        revokes_by_value=revokes,
        end_by_hand="its value, which Vault has, ends it at the revocation endpoint, if {url} has one; else it ends by"
        " its date, or with its application there",
        document_field="access_token",
        default_lifetime=timedelta(hours=1),
    ),
}
