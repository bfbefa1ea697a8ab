"""The call sites at Vault: each login, each verb of the store, the journal, Transit and the pre-flight."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from rotator.app.secret_resolver import VaultDocumentStore
from rotator.ports import Document, Entry, Lease, Transient
from rotator.providers.keys.jwks import JwksDocument
from rotator.rotation.credential import VaultPath
from rotator.rotation.record import Record
from rotator.rotation.secret import Secret
from rotator.vault import journal_codec, login
from rotator.vault.fitness import FindingLevel
from rotator.vault.journal import VaultJournal
from rotator.vault.kv import Kv
from rotator.vault.preflight import preflight
from rotator.vault.session import READ_PATIENCE, WRITE_PATIENCE, Session
from rotator.vault.transit import TransitKey
from rotator.vault.transport import VaultConnection
from tests.hostile.server import Hostile
from tests.hostile.sites import DEADLINE, Site
from tests.hostile.wire import Asked, Reply
from tests.kit.clock import QuickClock
from tests.unit.providers.keys import public_pem, rsa_key
from tests.unit.vault.worlds import canary

TOKEN, LATER, VALUE, ROLE, ID = (canary(name) for name in ("vt", "rn", "pb", "ri", "si"))
PLACE = VaultPath("secret", "blog/bot")
JWK = {"kty": "EC", "kid": "k1"}
LINEAGE, KEY, SIGNATURE = "c0ffee", bytes(32), b"signed-by-transit-"
ANSWERS: dict[str, dict[str, Any]] = {
    r"POST auth/\w+/login": {"auth": {"client_token": TOKEN.reveal(), "lease_duration": 3600, "renewable": True}},
    "POST auth/token/renew-self": {"auth": {"lease_duration": 3600, "renewable": True}},
    "GET auth/token/lookup-self": {"data": {"ttl": 3600, "renewable": True, "num_uses": 0}},
    "GET secret/data/rotator/journal/": {
        "data": {"data": journal_codec.encode(Record(LINEAGE), Lease(), "n", {}), "metadata": {"version": 3}}
    },
    "GET secret/data/rotator/meta": {
        "data": {
            "data": {"schema": "1", "lineage": LINEAGE, "fingerprint_key": base64.b64encode(KEY).decode()},
            "metadata": {"version": 1},
        }
    },
    "GET secret/data/": {"data": {"data": {"token": VALUE.reveal()}, "metadata": {"version": 3}}},
    "POST secret/data/": {"data": {"version": 4}},
    r"\w+ secret/destroy/": {"request_id": "r", "warnings": ["odd, but done"]},
    "LIST secret/metadata/": {"data": {"keys": ["a", "b"]}},
    "GET secret/metadata/": {"data": {"max_versions": 10, "delete_version_after": "0s"}},
    "GET secret/config": {"data": {"max_versions": 0, "delete_version_after": "0s"}},
    "GET sys/internal/ui/mounts/": {"data": {"type": "kv", "options": {"version": "2"}}},
    "POST sys/capabilities-self": {"data": {"secret/data/blog/bot": ["root"]}},
    "GET transit/keys/": {
        "data": {"type": "rsa-2048", "latest_version": 1, "keys": {"1": {"public_key": public_pem(rsa_key())}}}
    },
    "POST transit/keys/": {"data": {"type": "rsa-2048", "latest_version": 2}},
    "POST transit/sign/": {"data": {"signature": "vault:v1:" + base64.urlsafe_b64encode(SIGNATURE).decode()}},
}


async def honest(asked: Asked) -> Reply:
    """What a Vault would answer; 204 for the rest, as OpenBao 2.7.2 does."""
    line = f"{asked.method} {asked.path.removeprefix('/v1/')}"
    for pattern, answer in ANSWERS.items():
        if re.match(pattern, line):
            return Reply().saying(answer)
    return Reply(204)


class Hasty(QuickClock):
    """Pauses cost no time, and patience ends sooner."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds * 5)


@dataclass
class VaultCell:
    """A session with a Vault that turned bad after the login."""

    session: Session
    kv: Kv
    journal: VaultJournal
    key: TransitKey

    @property
    def keys(self) -> JwksDocument:
        return JwksDocument(VaultDocumentStore(self.kv, str(PLACE), _found))


async def _found(_: object) -> VaultPath:
    """Its mount is known already."""
    return PLACE


Login = Callable[[], login.Login]


def on_vault(way: Login = lambda: login.approle(lambda: ROLE, lambda: ID), *, logged_in: bool = True) -> Any:
    @asynccontextmanager
    async def setup(hostile: Hostile, ca_file: str) -> AsyncIterator[VaultCell]:
        hostile.upstream = honest
        times = {"connect_timeout": DEADLINE, "read_timeout": DEADLINE / 2, "total_timeout": DEADLINE}
        own = hostile.authority.issue()
        connection = VaultConnection(hostile.url, ca_file=ca_file, client_cert=(own, own), **times)
        session = Session(connection, way(), Hasty())
        kv = Kv(session)
        try:
            if logged_in and not hostile.tls:
                await _enter(session, kv)
            hostile.armed = True
            yield VaultCell(session, kv, VaultJournal(kv, "secret", "rotator"), TransitKey(session, "k"))
        finally:
            session._requests.close()

    return setup


async def _enter(session: Session, kv: Kv) -> None:
    """The honest part, however busy the machine is."""
    for _ in range(30):
        try:
            await session.open()
            await kv.barrier()
        except Transient:
            await session.clock.sleep(1)
        else:
            return


async def _open(cell: VaultCell) -> Secret:
    await cell.session.open()
    assert cell.session._live
    return cell.session._live.grant.token


async def _renew(cell: VaultCell) -> object:
    await cell.session.open()
    assert cell.session._live
    return await cell.session._renewed(cell.session._live)


async def _entry(cell: VaultCell) -> Entry:
    return Entry("blog/bot", 3, Record(LINEAGE))


def _third(cell: VaultCell, got: Document) -> bool:
    """What stands in a document is nobody's to judge here, whether there is one is."""
    return got.version == 3 and not got.deleted and "token" in (got.values or {})


def entering(way: Login) -> Site[VaultCell]:
    return Site(on_vault(way, logged_in=False), _open, lambda it, got: got.matches(TOKEN))


async def _versions(cell: VaultCell) -> dict[int, bool]:
    """Which there are, and whether they are the right ones. A public key has half its text in common with a private."""
    return {number: pem == public_pem(rsa_key()) for number, pem in (await cell.key.versions()).items()}


def stored(ask: Callable[[VaultCell], Any], fair: Callable[[VaultCell, Any], object], **wishes: Any) -> Site[VaultCell]:
    """A verb that tries again; each further try may last a deadline."""
    return Site(on_vault(), ask, fair, **{"calls": 6, "patience": READ_PATIENCE, **wishes})


# MiB: 280,000 keys are held as pairs and as a dict, in a process that never held as much 98 to 135 in all (measured);
# and each further try leaves its memory to another thread.
MEMORY = 160
WRITE: dict[str, Any] = {"calls": 12, "patience": WRITE_PATIENCE / 4}

_SITES: dict[str, Site[VaultCell]] = {
    "vault token login": Site(
        on_vault(lambda: login.token(lambda: TOKEN), logged_in=False), _open, lambda it, got: got.matches(TOKEN)
    ),
    "vault approle login": entering(lambda: login.approle(lambda: ROLE, lambda: ID)),
    "vault kubernetes login": entering(lambda: login.kubernetes("r", lambda: ID)),
    "vault jwt login": entering(lambda: login.jwt("r", lambda: ID)),
    "vault cert login": entering(lambda: login.certificate("r")),
    "vault renew-self": Site(on_vault(), _renew, lambda it, got: isinstance(got, bool), calls=2),
    "vault revoke-self": Site(on_vault(), lambda it: it.session.close(), calls=2),
    "vault read": stored(lambda it: it.kv.read(PLACE), _third),
    "vault strong read": stored(lambda it: it.kv.read(PLACE, strong=True), _third),
    "vault read of a version": stored(lambda it: it.kv.read(PLACE, version=3), _third),
    "vault write": stored(lambda it: it.kv.write(PLACE, {"token": LATER}, cas=3), lambda it, got: got == 4, **WRITE),
    "vault destroy": stored(lambda it: it.kv.destroy(PLACE, (1,)), lambda it, got: True, proof=True, **WRITE),
    "vault list": stored(
        lambda it: it.kv.list(PLACE), lambda it, got: got and all(isinstance(name, str) for name in got)
    ),
    "vault heartbeat": stored(lambda it: it.kv.beat(), lambda it, got: True),
    "journal load": stored(
        lambda it: it.journal.load("blog/bot"), lambda it, got: (got.version, got.record) == (3, Record(LINEAGE))
    ),
    "journal save": stored(
        lambda it: it.journal.save(Entry("blog/bot", 3, None), Record(LINEAGE), Lease("me")),
        lambda it, got: got.version == 4,
        **WRITE,
    ),
    "journal names": stored(
        lambda it: it.journal.names(), lambda it, got: got and all(isinstance(name, str) for name in got)
    ),
    "journal meta": stored(
        lambda it: it.journal.meta(), lambda it, got: (got.lineage, got.fingerprint_key) == (LINEAGE, KEY)
    ),
    "transit public key": Site(
        on_vault(), lambda it: it.key.public_pem(), lambda it, got: got == public_pem(rsa_key())
    ),
    "transit sign": Site(on_vault(), lambda it: it.key.sign("PS256", b"m"), lambda it, got: got == SIGNATURE),
    "transit prepare": Site(on_vault(), lambda it: it.key.prepare("rsa-2048"), calls=2),
    "transit versions": Site(on_vault(), _versions, lambda it, got: got == {1: True}),
    "transit rotate": Site(on_vault(), lambda it: it.key.rotate()),  # what has become of it, `versions` says
    "transit sign by a version": Site(
        on_vault(), lambda it: it.key.version(1, "").sign("PS256", b"m"), lambda it, got: got == SIGNATURE
    ),
    "jwks in vault": stored(lambda it: it.keys.change(lambda keys: keys.having(JWK)), lambda it, got: got, **WRITE),
    "vault pre-flight": stored(
        lambda it: preflight(it.kv, [PLACE], timedelta(days=1)),
        lambda it, got: any(finding.level is not FindingLevel.OK for finding in got),
        calls=20,
    ),
}
VAULT = {name: replace(site, memory=MEMORY) for name, site in _SITES.items()}
