"""An OAuth server that may be a HaloITSM: it passes controls and checks on to the kinds with slots."""

from __future__ import annotations

from collections.abc import Sequence

from rotator.ports import Clock, MinterRefused
from rotator.providers.base import Cell, Remark, TargetTable
from rotator.providers.halo_itsm.api_key import HaloApiKey
from rotator.providers.halo_itsm.application_api import ApplicationApi, ApplicationRecord
from rotator.providers.halo_itsm.application_checks import of_assertions, of_client
from rotator.providers.halo_itsm.assertion_key import HaloAssertionKey
from rotator.providers.halo_itsm.client_secret import ClientSecret
from rotator.providers.halo_itsm.config import API_KEYS, ApiKeyOptions, ClientSecretOptions, HaloAssertionKeyOptions
from rotator.providers.halo_itsm.slots import SlotProvider
from rotator.providers.http.auth import SecretResolver
from rotator.providers.http.client import HttpClient
from rotator.providers.oauth.config import ClientOptions, OAuthTargetConfig
from rotator.providers.oauth.server import OAuthServer
from rotator.rotation.credential import Credential
from rotator.rotation.record import Token

_UNLISTED = (
    "not listed: a HaloITSM shows its applications to a management application, and the target names none; other OAuth"
    " servers have no list of clients that rotator can read"
)


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

    async def audit(self, credentials: tuple[Credential[ClientOptions], ...]) -> Sequence[str | Remark]:
        """See `OAuthServer.audit`. Raises MinterRefused when the management application is refused."""
        if self.applications.allowed and any(self.slotted(each) for each in credentials):
            await self.applications.log_in()
        return await super().audit(tuple(each for each in credentials if not self.slotted(each)))

    async def preview(self, credential: Credential[ClientOptions], keep: tuple[Token, ...]) -> list[Remark] | None:
        """See `SupportsPreview`: the credential's application is read, where there is a management application."""
        provider = self.slotted(credential)
        found = await super().preview(credential, keep)
        if provider is None and not self.applications.readable:
            return found  # it may be no HaloITSM at all
        try:
            if provider:
                return [each async for each in provider.preview(credential.lifetime, keep)]
            return [*(found or ()), *await self._look(credential.options)]
        except MinterRefused as fault:
            if provider and self.applications.allowed:
                raise
            remedy = fault.remedy or "compare `management` on the target; rotations go on without it"
            return [*(found or ()), Remark(f"not looked at: {fault.what}", remedy, note=True)]

    async def _look(self, client: ClientOptions) -> list[Remark]:
        record = await self.applications.of_client(client.client_id)
        if record is None:
            return [Remark(f"Halo lists no application with client id {client.client_id}", "compare `client_id`")]
        found = [*of_client(record, client, proven=True), *(of_assertions(record, client) if client.asserts else ())]
        if record.inactive:
            found.append(Remark(f"application {record.id} is inactive", "activate it in Halo", grave=True))
        return found

    async def browse(self) -> tuple[TargetTable, ...]:
        """See `SupportsBrowse`: the applications, where there is a management application."""
        if not self.applications.readable:
            return (TargetTable("API applications", said=_UNLISTED),)
        records = await self.applications.applications()
        chief = self.config.management.client_id if self.config.management else ""
        return (TargetTable("API applications", tuple(_row(each, chief) for each in records), _line(records, chief)),)


def _row(record: ApplicationRecord, chief: str) -> dict[str, Cell]:
    """What settings, and whoever writes them, need to know of an application."""
    told = record.document
    notes = ["Halo's own: never touched"] if record.system else []
    notes += ["the management application"] if record.client_id == chief else []
    filled = [f"API key {slot[-1]}" for slot in API_KEYS if record.generated(slot)]
    filled += ["public key"] if record.thumbprint else []
    return {
        "id": record.id,
        "client_id": record.client_id,
        "name": record.name,
        "type": str(told.get("grant_type") or "") or None,
        "system": record.system,
        "active": not record.inactive,
        "agent": record.agent,
        "roles": tuple(sorted(record.roles)),
        "scopes": None if record.scopes is None else tuple(sorted(record.scopes)),
        "filled": tuple(filled),
        "note": "; ".join(notes),
    }


def _line(records: tuple[ApplicationRecord, ...], chief: str) -> str:
    """How a credential names the first application that may be rotated."""
    free = next((each for each in records if not each.system and each.client_id not in ("", chief)), None)
    return f'application = "{free.id}"\nclient_id = "{free.client_id}"' if free else ""
