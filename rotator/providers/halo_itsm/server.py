"""An OAuth server that may be a HaloITSM: it passes controls and checks on to the kinds with slots."""

from __future__ import annotations

from rotator.ports import Clock, Refused
from rotator.providers.halo_itsm.api_key import HaloApiKey
from rotator.providers.halo_itsm.application_api import ApplicationApi
from rotator.providers.halo_itsm.assertion_key import HaloAssertionKey
from rotator.providers.halo_itsm.client_secret import ClientSecret
from rotator.providers.halo_itsm.config import ApiKeyOptions, ClientSecretOptions, HaloAssertionKeyOptions
from rotator.providers.halo_itsm.slots import SlotProvider
from rotator.providers.http.auth import SecretResolver
from rotator.providers.http.client import HttpClient
from rotator.providers.oauth.config import ClientOptions, OAuthTargetConfig
from rotator.providers.oauth.server import OAuthServer
from rotator.rotation.credential import Credential


class HaloItsmServer(OAuthServer):
    """One server, shared by its credentials of every kind."""

    def __init__(
        self, http: HttpClient, config: OAuthTargetConfig, secret_resolver: SecretResolver, clock: Clock
    ) -> None:
        """Takes ownership of `http`; aclose() closes it."""
        super().__init__(http, config, secret_resolver, clock)
        self.applications = ApplicationApi(self, http)

    def slotted(self, credential: Credential[ClientOptions]) -> SlotProvider | None:
        """The provider of a kind with slots; None for other kinds."""
        match credential.options:
            case ApiKeyOptions() as options:
                return HaloApiKey(self, self.applications, options)
            case ClientSecretOptions() as options:
                return ClientSecret(self, self.applications, options)
            case HaloAssertionKeyOptions() as options:
                return HaloAssertionKey(self, self.applications, options)
        return None

    async def control(self, credential: Credential[ClientOptions]) -> None:
        """See `OAuthServer.control`."""
        provider = self.slotted(credential)
        await (provider.control() if provider else super().control(credential))

    async def audit(self, credentials: tuple[Credential[ClientOptions], ...]) -> list[str]:
        """See `OAuthServer.audit`; and a look at every application. Raises Refused or MinterRefused with words."""
        found = await super().audit(tuple(each for each in credentials if not self.slotted(each)))
        if not self.config.manage_applications:
            return found
        for each in credentials:
            found += await self._look(each)
        return found

    async def _look(self, credential: Credential[ClientOptions]) -> list[str]:
        provider = self.slotted(credential)
        if provider is None:
            return []
        records = [await provider.application(slot) for slot in provider.slots]
        if credential.kind == "halo-assertion-key" and any(each.demands_assertion is False for each in records):
            return [f"{credential.name}: its application does not demand the assertion, so the secret alone opens it"]
        if all(each.inactive for each in records):
            raise Refused(f"{credential.name}: application {records[0].id} is inactive")
        days, life = records[0].key_days, credential.lifetime
        if credential.kind == "halo-api-key" and days is not None and life is not None and life.days > days:
            return [f'{credential.name}: keys live for {days} days there: set lifetime = "{days}d" or less']
        return []
