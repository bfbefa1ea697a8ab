"""A kind of credential from another package: tokens of an imaginary Acme, which lists them by label and ends them.

    [project.entry-points."rotator.providers"]
    acme-token = "acme_rotator:KIND"

It is imported when settings say kind = "acme-token", and tried by: rotate conformance acme-token --settings test.toml
"""

# ruff: noqa: ANN001, ANN201, ANN204
# Unannotated to stay short: rotator.ports.Provider and rotator.providers.base.Server have every type.

from __future__ import annotations

from dataclasses import dataclass

from rotator.ports import (
    Accepted,
    Capabilities,
    Inspection,
    InventoryItem,
    Minted,
    MinterRefused,
    Outcome,
    Refused,
    Rejected,
    Transient,
    Unknown,
)  # fmt: skip
from rotator.providers.base import Kind, TargetConfig
from rotator.providers.http.auth import Bearer
from rotator.providers.http.client import HttpClient, segment
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret
from rotator.rotation.token_names import begins, parse


@dataclass(frozen=True)
class AcmeOptions:
    """The credential's own options."""

    team: str


class AcmeServer:
    """One Acme, shared by its credentials."""

    def __init__(self, http, minter):
        self.http, self.minter = http, minter

    def minted_by(self, minter):
        return AcmeServer(self.http, minter)

    async def call(self, method, path, json=None):
        answer = await self.http.request(method, path, await self.minter(), json)
        if answer.status in (401, 403):
            raise MinterRefused(f"Acme answers {answer.status} to the minter")
        if answer.status >= 400 and answer.status != 404:
            raise Refused(f"Acme answers {answer.status}")
        return answer

    async def living(self, prefix=""):
        rows = (await self.call("GET", "/tokens")).document
        return [Token(row["id"], row["label"]) for row in rows if begins(row["label"], prefix)]

    async def list_tokens(self):
        return tuple(token for token in await self.living() if parse(token.name))

    async def inventory(self):
        return tuple(InventoryItem(token.id, token.name) for token in await self.living())

    async def prune(self, owns, older_than):
        return 0  # what is revoked is gone

    async def control(self, credential):
        if (await self.http.request("GET", "/me", Bearer(Secret("nobody-s")))).status != 401:
            raise Refused("Acme accepts anyone")

    async def audit(self, credentials):
        return []

    async def aclose(self):
        await self.http.aclose()


class AcmeToken:
    """One credential's view of it."""

    capabilities = Capabilities(can_list=True)

    def __init__(self, server, options):
        self.server, self.options = server, options

    async def mint(self, name, expires_at, keep=()):
        made = (await self.server.call("POST", "/tokens", {"label": name, "team": self.options.team})).document
        return Minted(Token(made["id"], name), Secret(made["secret"]))

    async def install(self, minted):
        raise Refused("Acme makes the value")

    async def find(self, prefix):
        return tuple(await self.server.living(prefix))

    async def verify(self, token, secret):
        try:
            answer = await self.server.http.request("GET", "/me", Bearer(secret))
        except (Transient, Refused) as fault:
            return Unknown(fault.reason, fault.retry_after)
        if answer.status >= 400:
            return Rejected(f"Acme answers {answer.status}")
        return Accepted() if answer.document["id"] == token.id else Rejected("another token's value", final=True)

    async def inspect(self, token):
        return Inspection(exists=(await self.server.call("GET", f"/tokens/{segment(token.id)}")).status == 200)

    async def revoke(self, token, secret=None):
        gone = (await self.server.call("DELETE", f"/tokens/{segment(token.id)}")).status == 404
        return Outcome.ALREADY if gone else Outcome.DONE

    async def restore(self, token):
        raise Refused("Acme forgets what is revoked")

    async def is_dead(self, token, secret):
        if secret is None:
            return not (await self.inspect(token)).exists
        verdict = await self.verify(token, secret)
        return None if isinstance(verdict, Unknown) else isinstance(verdict, Rejected) and not verdict.final


KIND = Kind(
    name="acme-token",
    family="acme",
    target_config=TargetConfig,
    options=AcmeOptions,
    open_target=lambda name, config, minter, secrets, clock: AcmeServer(
        HttpClient(name, config, clock, secrets.fetch), minter
    ),
    bind=lambda server, credential: AcmeToken(server, credential.options),
    non_rotating_options=frozenset(),
    warnings=lambda credential, config: [],
)
