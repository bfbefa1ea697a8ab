"""Credentials that a person makes and ends, on any target that answers HTTP: the kind."""

from __future__ import annotations

from rotator.ports import Clock, Provider
from rotator.providers.base import Kind, Server
from rotator.providers.http.auth import Minter, SecretResolver
from rotator.providers.manual.config import NON_ROTATING_OPTIONS, ManualOptions, ManualTargetConfig
from rotator.rotation.credential import Credential


def _open(
    name: str, config: ManualTargetConfig, minter: Minter, secret_resolver: SecretResolver, clock: Clock
) -> Server:
    from rotator.providers.http.client import HttpClient
    from rotator.providers.manual.provider import ManualServer

    del minter  # people mint
    return ManualServer(HttpClient(name, config, clock, secret_resolver.fetch), secret_resolver.fetch)


def _bind(server: Server, credential: Credential[ManualOptions]) -> Provider:
    from rotator.providers.manual.provider import ManualServer, ManualToken

    assert isinstance(server, ManualServer)
    return ManualToken(server, credential.options, credential.name)


def _warnings(credential: Credential[ManualOptions], config: ManualTargetConfig) -> list[str]:
    del config  # nothing about the target matters here
    found = []
    if credential.lifetime is None:
        found.append("nobody knows when the token expires: set lifetime, and a person is asked in time")
    if not credential.options.ending:
        found.append("no `ending`: the person who has to end the old token is not told where")
    return found


MANUAL_KINDS = {
    "manual": Kind(
        name="manual",
        calls_of_rotation=2,
        family="http",
        target_config=ManualTargetConfig,
        options=ManualOptions,
        open_target=_open,
        bind=_bind,
        non_rotating_options=NON_ROTATING_OPTIONS,
        warnings=_warnings,
        needs_minter=False,
        end_by_hand="where it was made, at {url}",
    ),
}
