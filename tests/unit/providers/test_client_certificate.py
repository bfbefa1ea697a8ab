"""Clients that prove themselves by a TLS certificate: over real TLS, to servers that ask for one, trust it or not, and
bind tokens to it."""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from cryptography import x509

from rotator.host.proxy import Proxy
from rotator.ports import Accepted, Outcome, Refused, Rejected, Transient, UnusableKey
from rotator.providers.http.client import HttpClient
from rotator.providers.keys.client_certificate import client_certificate
from rotator.providers.oauth.config import OAuthTargetConfig
from rotator.providers.oauth.discovery import stated
from rotator.providers.oauth.server import OAuthServer
from rotator.rotation.credential import Credential
from rotator.rotation.secret import Secret, SecretRef, SecretSource
from tests.kit.certificates import Authority, new_key, sign, span_of, written
from tests.kit.clock import HandClock
from tests.sandbox.halo_itsm import HaloItsm
from tests.sandbox.itsm.applications import Application, bound_to
from tests.unit.providers.desk import KINDS, Keys, VaultPath
from tests.unit.providers.forward_proxy import forward_proxy

pytestmark = pytest.mark.anyio

PEM, KEY = (SecretRef(SecretSource.FILE, f"/tls/{name}") for name in ("pem", "key"))
BY_AUTHORITY, BY_ITSELF = "tls_client_auth", "self_signed_tls_client_auth"


def issued(authority: Authority, subject: str = "shop", days: tuple[float, float] = (-1, 1)) -> Secret:
    """A certificate and its key in one text."""
    return Secret(Path(authority.issue(subject, days)).read_text().strip())


def der(pem: Secret) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem.reveal()[: pem.reveal().index("-----BEGIN PRIVATE KEY")])


@dataclass
class Front:
    """A server behind TLS, its authority, and what calls it."""

    itsm: HaloItsm
    server: OAuthServer
    keys: Keys
    clock: HandClock
    client: Application
    authority: Authority
    options: dict[str, Any]

    def credential(self, **options: Any) -> Credential:
        given = {"client_id": self.client.client_id, "scopes": ("all",), **self.options, **options}
        made = KINDS["oauth-token"].options(**given)
        return Credential("crm", "oauth-token", "desk", VaultPath("secret", "crm"), options=made)

    def bound(self, **options: Any) -> Any:
        return KINDS["oauth-token"].bind(self.server, self.credential(**options))


@asynccontextmanager
async def running(
    folder: Path, method: str = BY_AUTHORITY, *, asks: ssl.VerifyMode = ssl.CERT_OPTIONAL, **target: Any
) -> AsyncIterator[Front]:
    """A server that asks TLS clients for a certificate of its authority, and has one client that proves itself so."""
    authority, clock = Authority(folder), HandClock()
    clock.move((span_of(0, 0)[0] - clock.now()).total_seconds())  # certificates are valid by the machine's clock
    own = issued(authority)
    context = authority.context()
    context.verify_mode = asks
    context.load_verify_locations(cafile=authority.ca_file)
    itsm = HaloItsm("keycloak", clock=clock.now, tenant="acme", calls=0)
    async with itsm.running(context):
        proof = {"certificate": bound_to(der(own))} if method == BY_ITSELF else {"subject": "CN=shop"}
        client = itsm.model.add_application("shop", **proof)
        ring = Keys({PEM: own, KEY: own})
        revocation = {"revocation_url": f"{itsm.url}/auth/revoke"} if target.pop("revokes", False) else {}
        if target.pop("discovers", False):
            itsm.model.discovery, target["issuer"] = True, itsm.url
            methods = {"token_endpoint_auth_methods_supported": [method, "private_key_jwt"]}
            itsm.model.says = methods | {"revocation_endpoint": f"{itsm.url}/auth/revoke"}
        config = OAuthTargetConfig(
            **revocation, url=itsm.url, tenant="acme", ca_file=authority.ca_file, timeout=timedelta(seconds=5), **target
        )
        server = OAuthServer(HttpClient("desk", config, clock, ring.fetch), config, ring, clock)
        options = {"auth_method": method, "tls_certificate": PEM, "tls_key": KEY}
        try:
            yield Front(itsm, server, ring, clock, client, authority, options)
        finally:
            await server.aclose()


@pytest.mark.parametrize("method", [BY_AUTHORITY, BY_ITSELF])
@pytest.mark.parametrize("asks", [ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED])
async def test_a_certificate_is_the_proof_and_tokens_are_bound_to_it(
    tmp_path: Path, method: str, asks: ssl.VerifyMode
) -> None:
    async with running(tmp_path, method, asks=asks) as front:
        bound = front.bound(tls_key=None)
        minted = await bound.mint("r1", None)
        assert await bound.verify(minted.token, minted.secret) == Accepted()
        await front.server.control(front.credential())
        assert await front.server.audit((front.credential(),)) == []
        plain = front.bound(auth_method="client_secret_post", tls_certificate=None, tls_key=None, client_secret=PEM)
        assert await plain.verify(minted.token, minted.secret) != Accepted(), "nobody else may present it"


@pytest.mark.parametrize(
    ("method", "words"),
    [(BY_AUTHORITY, "the certificate's subject with the one registered"), (BY_ITSELF, "in the client's jwks there")],
)
async def test_another_certificate_is_refused_with_what_it_is_and_what_to_compare(
    tmp_path: Path, method: str, words: str
) -> None:
    async with running(tmp_path, method) as front:
        other = front.keys.held[PEM] = front.keys.held[KEY] = issued(front.authority, "another")
        with pytest.raises(Refused, match="invalid_client") as fault:
            await front.bound().mint("r1", None)
        assert words in fault.value.reason
        assert "it showed the certificate CN=another, valid until" in fault.value.reason
        assert bound_to(der(other)) in fault.value.reason


async def test_a_token_is_revoked_and_proven_dead_with_the_certificate(tmp_path: Path) -> None:
    async with running(tmp_path, asks=ssl.CERT_REQUIRED, revokes=True) as front:
        bound = front.bound()
        one, two = await bound.mint("r1", None), await bound.mint("r2", None)
        assert await bound.revoke(one.token, one.secret) is Outcome.DONE
        assert await bound.is_dead(one.token, one.secret) is True
        assert await bound.is_dead(two.token, two.secret) is False


async def test_a_renewed_certificate_is_used_at_the_next_call_without_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path, asks=ssl.CERT_REQUIRED) as front:
        bound, seen = front.bound(), set()
        first = await bound.mint("r1", None)
        seen.add(front.itsm.model.grants.find(first.secret.reveal()).bound)
        front.keys.held[PEM] = front.keys.held[KEY] = issued(front.authority)
        second = await bound.mint("r2", None)
        seen.add(front.itsm.model.grants.find(second.secret.reveal()).bound)
        assert len(seen) == 2
        assert await bound.verify(second.token, second.secret) == Accepted()
        assert isinstance(await bound.verify(first.token, first.secret), Rejected), "bound to the one before"


async def test_a_pair_that_is_just_being_replaced_is_used_as_it_was_and_told_after_a_minute(tmp_path: Path) -> None:
    async with running(tmp_path) as front:
        bound, new = front.bound(), issued(front.authority)
        await bound.mint("r1", None)
        front.keys.held[PEM] = new
        await bound.mint("r2", None)
        front.clock.move(59)
        await bound.mint("r3", None)
        front.clock.move(2)
        with pytest.raises(UnusableKey, match="tls_key is not the key of tls_certificate"):
            await bound.mint("r4", None)
        front.keys.held[KEY] = new
        minted = await bound.mint("r5", None)
        assert front.itsm.model.grants.find(minted.secret.reveal()).bound == bound_to(der(new))


async def test_a_gateway_that_wants_a_certificate_of_everybody_is_shown_it_by_every_call(tmp_path: Path) -> None:
    async with running(tmp_path, asks=ssl.CERT_REQUIRED, discovers=True) as front:
        assert await front.server.audit((front.credential(),)) == []
        bound = front.bound()
        one, two = await bound.mint("r1", None), await bound.mint("r2", None)
        assert await bound.revoke(one.token, one.secret) is Outcome.DONE
        assert await bound.verify(two.token, two.secret) == Accepted()
        asked = {call.path for call in front.itsm.calls.since(0)}
        assert {"/.well-known/oauth-authorization-server", "/auth/jwks", "/api/authinfo"} <= asked


async def test_a_client_without_a_certificate_does_not_spoil_anothers_discovery(tmp_path: Path) -> None:
    async with running(tmp_path, asks=ssl.CERT_REQUIRED, discovers=True) as front:
        without = {"auth_method": "client_secret_post", "tls_certificate": None, "tls_key": None, "client_secret": KEY}
        with pytest.raises(Transient, match=r"where the endpoints of issuer .* cannot be read now"):
            await front.bound(**without).mint("r1", None)
        assert (await front.bound().mint("r2", None)).secret, "another client's try says nothing of this one's"


async def test_a_registration_is_read_and_changed_with_the_clients_certificate(tmp_path: Path) -> None:
    async with running(tmp_path, asks=ssl.CERT_REQUIRED) as front:
        token = front.itsm.model.registrations.register(front.client)
        kept = SecretRef(SecretSource.VAULT, "secret/crm/registration", "token")
        front.keys.document_store(kept.name).put(token=token)
        options = {"client_id": front.client.client_id, "scopes": ("all",), "algorithm": "ES256"}
        where = {"registration_client_uri": f"{front.itsm.url}/register/{front.client.client_id}"}
        shown = {"tls_certificate": PEM, "tls_key": KEY, "registration_access_token": kept}
        front.client.subject = ""
        made = KINDS["assertion-key"].options(**options, **where, **shown)
        credential = Credential("crm", "assertion-key", "desk", VaultPath("secret", "crm"), options=made)
        bound = KINDS["assertion-key"].bind(front.server, credential)
        minted = await bound.mint("r1", None)
        await bound.install(minted)
        assert await bound.verify(minted.token, minted.secret) == Accepted()


async def test_a_server_that_ends_tls_is_told_from_one_that_is_down_and_lets_no_stranger_in(tmp_path: Path) -> None:
    async with running(tmp_path, asks=ssl.CERT_REQUIRED) as front:
        await front.server.control(front.credential())
        strange = issued(Authority(tmp_path, "elsewhere"))
        front.keys.held[PEM] = front.keys.held[KEY] = strange
        with pytest.raises(Transient, match="it showed the certificate CN=shop, valid until"):
            await front.bound().mint("r1", None)
        with pytest.raises(Transient, match=r"to desk .* it showed the certificate CN=shop, valid until"):
            await front.server.control(front.credential())


async def test_a_server_that_takes_anyone_of_that_name_fails_the_control(tmp_path: Path) -> None:
    async with running(tmp_path) as front:
        front.itsm.model.trusts_names = True
        with pytest.raises(Refused, match="accepts anyone"):
            await front.server.control(front.credential())


@pytest.mark.parametrize(
    ("days", "words"),
    [
        ((-3, -1), "it expired at .*: renew it, the files are read anew"),
        ((1, 3), "it is not valid before .*: compare this machine's clock"),
        ((-9, 1), "it expires at .* and was not renewed yet"),
    ],
)
async def test_a_certificate_out_of_its_time_is_told_by_check_and_at_the_refusal(
    tmp_path: Path, days: tuple[float, float], words: str
) -> None:
    async with running(tmp_path, BY_ITSELF) as front:
        front.keys.held[PEM] = front.keys.held[KEY] = own = issued(front.authority, days=days)
        (found,) = await front.server.audit((front.credential(),))
        assert found.startswith(f"tls_certificate {PEM} (CN=shop, valid until")
        assert re.search(words, found)
        with pytest.raises((Refused, Transient), match=words) as fault:
            await front.bound().mint("r1", None)
        assert "PRIVATE" not in fault.value.reason
        assert own.reveal() not in fault.value.reason


@pytest.mark.parametrize(
    ("pem", "key", "words"),
    [
        ("canary-no-pem", "", "the client certificate cannot be read"),
        ("", "canary-no-key", "there is no private key for the client certificate"),
        (
            "",
            "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----",
            "certificate's key cannot be read",
        ),
        ("", "another", "tls_key is not the key of tls_certificate"),
    ],
)
async def test_a_pair_that_is_none_is_told_in_words_by_check_and_at_the_call_and_nobody_is_asked(
    tmp_path: Path, pem: str, key: str, words: str
) -> None:
    async with running(tmp_path) as front:
        front.keys.held[PEM] = Secret(pem) if pem else front.keys.held[PEM]
        other = issued(front.authority) if key == "another" else Secret(key or "x")
        front.keys.held[KEY] = other if key else front.keys.held[KEY]
        with pytest.raises(UnusableKey, match=words) as fault:
            await front.bound().mint("r1", None)
        assert "canary" not in fault.value.reason
        assert fault.value.remedy
        (found,) = await front.server.audit((front.credential(),))
        assert words in found
        assert not front.itsm.calls.since(0) or all(each.path != "/auth/token" for each in front.itsm.calls.since(0))


async def test_a_certificate_may_go_beside_another_proof(tmp_path: Path) -> None:
    async with running(tmp_path, asks=ssl.CERT_REQUIRED) as front:
        secret = front.keys.held[SECRET] = Secret("canary-desk-secret-9a7b")
        front.client.subject, front.client.secret = "", ""
        beside = front.itsm.model.add_application("beside", secret=secret)
        bound = front.bound(client_id=beside.client_id, auth_method="client_secret_post", client_secret=SECRET)
        minted = await bound.mint("r1", None)
        assert await bound.verify(minted.token, minted.secret) == Accepted()


SECRET = SecretRef(SecretSource.FILE, "/tls/secret")


async def test_the_endpoint_for_clients_with_a_certificate_is_called_where_the_server_has_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path, token_url="https://127.0.0.1:9/token") as front:
        told = replace(stated(front.server.config), mtls=MappingProxyType({"token": f"{front.itsm.url}/auth/token"}))

        async def endpoints(client: Any) -> Any:
            return told

        monkeypatch.setattr(front.server, "endpoints", endpoints)
        minted = await front.bound().mint("r1", None)
        assert front.itsm.model.accepts_token(minted.secret)


async def test_the_certificate_goes_through_a_proxys_tunnel_to_the_server(tmp_path: Path) -> None:
    with forward_proxy() as proxy:
        way = Proxy(url=proxy.url)
        async with running(tmp_path, asks=ssl.CERT_REQUIRED, proxy=way) as front:
            minted = await front.bound().mint("r1", None)
            assert await front.bound().verify(minted.token, minted.secret) == Accepted()
            assert proxy.asked


async def test_calls_with_and_without_a_certificate_share_one_budget(tmp_path: Path) -> None:
    async with running(tmp_path, asks=ssl.CERT_OPTIONAL) as front:
        own, all_others = front.server._tls.line(front.credential().options), front.server._http
        assert own is not all_others
        assert own._rate_limiter is all_others._rate_limiter
        assert own is front.server._tls.line(front.credential(scopes=("read:tickets",)).options)


def test_the_files_of_a_pair_may_hold_each_others_blocks_and_a_chain(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    both = issued(authority)
    chain = Secret(f"{both.reveal()}\n{Path(authority.ca_file).read_text().strip()}")
    found = client_certificate(chain, chain)
    assert found.subject == "CN=shop"
    found.load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    key = new_key()
    sole = sign(key.public_key(), "alone", key, "alone")
    pem, own = (written(tmp_path / name, part) for name, part in (("a.pem", sole), ("a.key", key)))
    assert str(client_certificate(Secret(pem.read_text()), Secret(own.read_text()))).startswith("CN=alone, valid until")
    assert isinstance(sole, x509.Certificate)


def test_a_certificate_whose_key_is_in_the_same_file_is_shown_once(tmp_path: Path) -> None:
    """Spring Authorization Server 1.4.1 takes two certificates for a chain, and so for no self-signed client."""
    key = new_key()
    both = Secret(written(tmp_path / "both.pem", sign(key.public_key(), "alone", key, "alone"), key).read_text())
    shown: list[str] = []

    class Settings:
        def load_cert_chain(self, path: str, password: str) -> None:
            shown.append(Path(path).read_text())

    client_certificate(both, both).load_into(Settings())
    assert [text.count("BEGIN CERTIFICATE") for text in shown] == [1]
