"""One OAuth server: token requests, the test call, and the signers of its clients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from uuid import uuid4

import msgspec
from anyio import to_thread

from rotator.ports import (
    Accepted,
    Clock,
    Fault,
    InventoryItem,
    MinterRefused,
    Refused,
    Verdict,
)
from rotator.providers.base import Remark
from rotator.providers.http.auth import Auth, Bearer, DocumentStore, Minter, SecretResolver
from rotator.providers.http.client import Broken, Fields, HttpClient, HttpResponse
from rotator.providers.keys.algorithms import Algorithm
from rotator.providers.keys.assertion import Assertion, Form, draft, signed
from rotator.providers.keys.signing import (
    LocalSigner,
    PublicKey,
    SharedSigner,
    Signer,
    SigningKey,
    VersionedKey,
    key_of,
    public_key,
)
from rotator.providers.oauth import metadata_checks, server_checks
from rotator.providers.oauth.config import (
    AssertionKeyOptions,
    ClientAssertionOptions,
    ClientOptions,
    OAuthTargetConfig,
)  # fmt: skip
from rotator.providers.oauth.discovery import Discovery, Endpoints, merged, stated, unknown
from rotator.providers.oauth.invalid_proofs import InvalidProofs
from rotator.providers.oauth.mutual_tls import MutualTls
from rotator.providers.oauth.registration import OWN_WAY_OF_SECRETS, Registration
from rotator.providers.oauth.revocation import Revocation
from rotator.providers.oauth.token_endpoint import (
    ClientDenied,
    ClockGap,
    Granted,
    granted,
    hint,
    introduced,
    may_not_ask,
    to_compare,
)
from rotator.providers.refusals import ProbeCall, Refusals
from rotator.rotation.credential import Credential
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret, SecretRef

_CREDENTIALS = {"grant_type": "client_credentials"}  # RFC 6749, section 4.4.2
_MINUTE = timedelta(minutes=1)  # the shortest life of an assertion that we present ourselves


@dataclass(slots=True)
class Signers:
    """The local signers that were parsed, by where their key is kept."""

    parsed: dict[SecretRef, tuple[Secret, LocalSigner]] = field(default_factory=dict)


class OAuthServer:
    """One authorisation server with its resource server, shared by its credentials."""

    def __init__(
        self, http: HttpClient, config: OAuthTargetConfig, secret_resolver: SecretResolver, clock: Clock
    ) -> None:
        """Takes ownership of `http`; aclose() closes it."""
        self.config = self._located = config
        self.clock = clock
        self._http = http
        self._discovery = Discovery(config, clock)
        self._tls = MutualTls(http, self.fetch)
        self._keyring = secret_resolver
        self._signers = Signers()
        self.gap: ClockGap | None = None  # between our clock and the token endpoint's, as last measured
        self.invalid_proofs = InvalidProofs(self)
        self._stranger_keys: dict[str, LocalSigner] = {}  # keys that no set has, by algorithm
        self._registrations: dict[tuple[object, ...], Registration] = {}
        self.revocation = Revocation(self, self._discovery)
        self.refusals = Refusals(clock)

    def minted_by(self, minter: Minter) -> OAuthServer:
        """The same server: its clients prove themselves, and no minter is needed."""
        return self

    async def aclose(self) -> None:
        """Close the connections."""
        await self._tls.aclose()
        await self._http.aclose()

    # who signs

    async def signer(self, client: ClientOptions) -> Signer:
        """The signer of this client. Raises Refused when it has no key."""
        if client.signs_by_secret and client.client_secret is not None:
            return SharedSigner(await self.fetch(client.client_secret))
        if client.transit_key:
            return self._keyring.transit(client.transit_key)
        if client.signing_key is None:
            raise Refused("this client has no signing key")
        pem = await self.fetch(client.signing_key)
        known = self._signers.parsed.get(client.signing_key)
        if known is None or not known[0].matches(pem):
            known = pem, await to_thread.run_sync(LocalSigner, pem)
            self._signers.parsed[client.signing_key] = known
        return known[1]

    async def fetch(self, ref: SecretRef) -> Secret:
        """The secret a reference points to. Raises Transient or Refused."""
        try:
            return await self._keyring.fetch(ref)
        except MinterRefused as fault:
            raise Refused(fault.reason) from None  # one client's trouble is not the whole target's

    def document_store(self, path: str) -> DocumentStore:
        """A document in Vault that is kept for others."""
        return self._keyring.document_store(path)

    def registration(self, client: AssertionKeyOptions) -> Registration | None:
        """The client's own registration, if settings name it: one object in this process, which may have a token that
        is not written yet."""
        uri, token = client.registration_client_uri, client.registration_access_token
        if token is None:
            return None
        key = (uri, token, client.client_id, client.client_secret, client.tls_certificate, client.tls_key)
        known = self._registrations.get(key)
        if known is None:
            known = Registration(
                self._tls.line(client).at(uri),
                self.document_store(token.name),
                client,
                self.clock,
                self.config.deadline,
            )
            self._registrations[key] = known
        return known

    def versions(self, key: str) -> VersionedKey:
        """A key of Transit, to make versions of it."""
        return self._keyring.versions(key)

    async def present_key(self, client: ClientOptions) -> PublicKey:
        """The public key of the current signing key."""
        return public_key(await (await self.signer(client)).public_pem())

    async def draft(self, client: ClientOptions, expires_at: datetime) -> Assertion:
        """A new unsigned assertion for the client's own key."""
        return await self.draft_for(client, await key_of(await self.signer(client)), expires_at)

    async def draft_for(
        self, client: ClientOptions, key: SigningKey, expires_at: datetime, audience: str = ""
    ) -> Assertion:
        """A new unsigned assertion for this key; it ends within the server's maximum age."""
        now = self.clock.now()
        if self.config.max_age is not None:
            expires_at = min(expires_at, now - client.backdate + self.config.max_age)
        certificate = await self.fetch(client.certificate) if client.certificate else None
        form = Form(
            client_id=client.client_id,
            audience=audience or (await self.located(client)).aud,
            issuer=client.assertion_issuer,
            algorithm=Algorithm(client.algorithm),
            kid=client.kid,
            x5t=client.x5t,
            certificate=certificate,
            typ=client.typ,
            backdate=client.backdate,
        )
        return draft(form, key, str(uuid4()), now, expires_at)

    async def seal(self, client: ClientOptions, assertion: Assertion) -> Secret:
        """Sign an assertion."""
        return await signed(assertion, await self.signer(client))

    async def vouched(self, client: ClientOptions, signer: Signer | None = None, audience: str = "") -> Secret:
        """A signed assertion that lives for a minute, for a request of our own; `signer` may be another one."""
        signer = signer or await self.signer(client)
        key = await key_of(signer)
        return await signed(await self.draft_for(client, key, self.clock.now() + _MINUTE, audience), signer)

    # calls

    async def endpoints(self, client: ClientOptions) -> Endpoints:
        """What the settings name, and for the rest the issuer, asked over the connections of this client. Raises
        Transient, Refused without a token endpoint."""
        if not self.config.issuer_is_url:
            return stated(self.config)
        try:
            return merged(self.config, await self._discovery.read(self._tls.line(client)))
        except Fault as fault:
            if self.config.discovers:
                raise
            return unknown(self.config, fault)

    async def located(self, client: ClientOptions) -> OAuthTargetConfig:
        """The target's options, with the token endpoint that the issuer names. Raises as `endpoints`."""
        if self.config.discovers and self._located.token_url != (told := (await self.endpoints(client)).token):
            self._located = msgspec.structs.replace(self.config, token_url=told)
        return self._located

    async def exchange(
        self,
        client: ClientOptions,
        assertion: Secret | None,
        secret: Secret | None = None,
        grant: Mapping[str, str | Secret] = _CREDENTIALS,
    ) -> Granted:
        """A token request, with this `secret` instead of the client's own, for this `grant`.

        Raises Denied, Transient when undecided, Refused for an answer that is no token.
        """
        form: dict[str, str | Secret | tuple[str, ...]] = {**client.parameters, **grant}
        if client.scopes:
            form["scope"] = " ".join(client.scopes)
        if secret is None and client.client_secret is not None:
            secret = await self.fetch(client.client_secret)
        proof, auth = introduced(client, secret, assertion)
        proofs = {"by_secret": secret is not None, "by_assertion": assertion is not None}
        config = await self.located(client)
        shown = await self._tls.shown(client, self.clock.now())
        hint = to_compare(client, config.aud, **proofs) + shown + may_not_ask(client)
        try:
            return await self._grant(client, config, {**form, **proof}, auth, hint)
        except Broken as fault:
            if not isinstance(client, AssertionKeyOptions) or not client.reads_set:
                raise
            unread = f"; some servers answer so when they cannot read our key set: {hint}"  # Ory Hydra 2.3.0
            raise Broken(fault.reason + unread, retry_after=fault.retry_after, date=fault.date) from None

    async def post(self, client: ClientOptions, url: str, auth: Auth | None, form: Fields) -> HttpResponse:
        """A form of this client for an endpoint of the server. Raises as `HttpClient.request`. Without an answer of an
        OAuth server, the endpoint may have moved."""
        try:
            answer = await self._tls.request(client, "POST", url, auth, form)
        except Fault:
            self._discovery.doubt()
            raise
        if answer.status >= 400 and not answer.error:
            self._discovery.doubt()
        return answer

    async def _grant(
        self, client: ClientOptions, config: OAuthTargetConfig, form: Fields, auth: Auth | None, hint: str
    ) -> Granted:
        """`config`: as `located`."""
        if client.tls_certificate and (
            other := (await self.endpoints(client)).mtls.get("token")
        ):  # RFC 8705, section 5
            config = msgspec.structs.replace(config, token_url=other)
        if config.tenant and config.tenant_in == "form":
            form = {**form, "tenant": config.tenant}
        asked_at, question = self.clock.now(), self.config.question("token", config.endpoint)
        try:
            answer = await self.post(client, config.token_request_url, auth, form)
        except Broken as fault:
            self._compare(asked_at, fault.date)
            tenant = (
                "; HaloITSM answers so to a wrong tenant: compare it with the API page" if self.config.tenant else ""
            )
            early = self._early(form, "; some servers answer so to an assertion from the future, and ")
            raise Broken(fault.reason + tenant + early, retry_after=fault.retry_after, date=fault.date) from None
        self._compare(asked_at, answer.date)
        if answer.status >= 400:
            compared = hint + self._early(form, "; and ")
            raise ClientDenied(answer.status, answer.error, compared, question=question)
        return granted(answer.document, asked_at, question)

    def _compare(self, asked_at: datetime, date: datetime | None) -> None:
        self.gap = ClockGap.measured(asked_at, self.clock.now(), date) if date else self.gap

    def _early(self, form: Fields, opening: str) -> str:
        """A hint about our clock, if an assertion may have been too early."""
        early = "client_assertion" in form and self.gap is not None and self.gap.ahead
        return f"{opening}{self.gap}: {self.gap.remedy}" if early and self.gap else ""

    async def stranger(self, client: ClientOptions) -> Signer:
        """A key that is in no set. It is made once, because making one takes time and servers may remember them."""
        algorithm = client.algorithm
        if algorithm not in self._stranger_keys:
            self._stranger_keys[algorithm] = await to_thread.run_sync(server_checks.new_stranger, Algorithm(algorithm))
        return self._stranger_keys[algorithm]

    async def probe(self, client: ClientOptions, granted: Granted) -> Verdict:
        """The test call with an access token that was granted just now: it must be accepted, and the answer must have
        the wanted identity."""
        if not client.probe:
            return Accepted()
        until = granted.asked_at + (granted.life or timedelta())
        call = replace(self.probe_call(client), granted=True, until=until)
        return await self.refusals.verdict(call, granted.access_token)

    def probe_call(self, client: ClientOptions, credential: str = "") -> ProbeCall:
        """The test call with an access token of this client."""

        async def show(value: Secret | None) -> HttpResponse:
            return await self._tls.request(client, "GET", client.probe, Bearer(value) if value else None)

        whose = client.client_id, credential
        return ProbeCall(client.probe, whose, show, client.identity, "access token", partial(hint, client))

    async def read(self, path: str, auth: Auth | None = None) -> HttpResponse:
        """Any path of the resource server. Raises as `HttpClient.request` does."""
        return await self._http.request("GET", path, auth)

    async def guarded(self, client: ClientOptions) -> None:
        """The negative control of the test call. Raises Refused when it proves nothing."""
        if client.probe:
            await self.refusals.control(self.probe_call(client))

    # what a sweep asks; nothing here can be listed

    async def list_tokens(self) -> tuple[Token, ...]:
        """Nothing: tokens that only expire are not listed."""
        return ()

    async def inventory(self) -> tuple[InventoryItem, ...] | None:
        """None: tokens that only expire are not listed."""
        return None

    async def prune(self, owns: Callable[[str], bool], older_than: timedelta) -> int:
        """Do nothing: no records remain."""
        return 0

    async def control(self, credential: Credential[ClientOptions]) -> None:
        """The negative control: a client that cannot sign, or a wrong secret, must be refused. Raises Refused."""
        await self.invalid_proofs.control(credential.options)

    async def audit(self, credentials: tuple[Credential[ClientOptions], ...]) -> Sequence[str | Remark]:
        """Differences between the settings and the server's behaviour or metadata."""
        found: list[str | Remark] = []
        line = next((self._tls.line(each.options) for each in credentials if each.options.tls_certificate), self._http)
        found += await metadata_checks.findings(self.config, self._discovery, line, credentials)
        found += await self._tls.findings(credentials, self.clock.now())
        asserting = [each for each in credentials if isinstance(each.options, ClientAssertionOptions)]
        if asserting:  # one client's trial holds for the server
            lifetime = asserting[0].lifetime or timedelta(0)
            found += await server_checks.findings(self, asserting[0].options, lifetime)
        for each in credentials:
            found += await self.revocation.findings(each.options)
        by_secret = [
            each
            for each in credentials
            if each.options.client_secret and not (each.options.asserts or each.options.makes_key)
        ]
        if by_secret and (await self.endpoints(by_secret[0].options)).registration:
            names = ", ".join(each.name for each in by_secret)
            said = f"the client secret of {names} is used, and not rotated. {OWN_WAY_OF_SECRETS}"
            found.append(Remark(said, note=True))
        return found

    async def preview(self, credential: Credential[ClientOptions], keep: tuple[Token, ...]) -> list[Remark] | None:
        """See `SupportsPreview`: the client's own registration is read, if settings name it."""
        client = credential.options
        registration = self.registration(client) if isinstance(client, AssertionKeyOptions) else None
        return None if registration is None else [await registration.preview(keep)]
