"""The writers: counters raised through our own Kv, each over one node; and Kvs with a mistake planted in them."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import anyio

from rotator.host.cron import SystemClock
from rotator.ports import Conflict, Document, Fault, Transient
from rotator.rotation.credential import VaultPath
from rotator.rotation.secret import Secret
from rotator.vault.kv import Kv
from rotator.vault.login import approle
from rotator.vault.session import Session
from rotator.vault.transport import VaultConnection
from tests.sandbox.openbao import AppRole, OpenBao
from tests.system.raft_ledger import Attempt, Ledger, Told

LENGTH = 200  # versions of a document; then its successor is written, so that all of its history stays readable
LIFE = 60  # writes of a session; then the client starts anew, with a new login
BOLD = 0.7  # share of writes that trust what the writer knows, without looking first
IMPATIENT = {"connect_timeout": 1.0, "read_timeout": 1.5, "total_timeout": 2.0}


@dataclass
class Counters:
    """Which documents there are: `lines` of them, each a chain of generations. No two campaigns share a `prefix`."""

    lines: int
    prefix: str
    generation: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.generation = [0] * self.lines

    def name(self, line: int) -> str:
        """The document that is written now."""
        return self._name(line, self.generation[line])

    def full(self, line: int, version: int) -> None:
        """Go on to the next one when this one has had its versions."""
        if version >= LENGTH:
            self.generation[line] += 1

    def names(self) -> list[str]:
        """Every document there ever was."""
        return [self._name(line, age) for line in range(self.lines) for age in range(self.generation[line] + 1)]

    def _name(self, line: int, age: int) -> str:
        return f"{self.prefix}-{line}-{age}"


@dataclass
class Writer:
    """One client on one node. `kind` is the Kv it trusts."""

    name: str
    node: OpenBao
    role: AppRole
    counters: Counters
    ledger: Ledger
    chance: random.Random
    kind: type[Kv] = Kv
    timeouts: Mapping[str, float] = field(default_factory=dict)
    over: bool = False
    knows: dict[str, int] = field(default_factory=dict)

    async def run(self) -> None:
        """Write until it is over; what was begun is ended."""
        while not self.over:
            connection = VaultConnection(
                self.node.address, "kv", instance=f"{self.name}-{secrets.token_hex(2)}", **self.timeouts
            )
            login = approle(lambda: Secret(self.role.role_id), lambda: self.role.secret_id)
            session = Session(connection, login, SystemClock())
            try:
                await self._session(self.kind(session))
            finally:
                await session.close()

    async def _session(self, kv: Kv) -> None:
        for _ in range(LIFE):
            if self.over:
                return
            if not await self._write(kv, self.chance.randrange(self.counters.lines)):
                await anyio.sleep(0.1)

    async def _write(self, kv: Kv, line: int) -> bool:
        document = self.counters.name(line)
        if document not in self.knows or self.chance.random() > BOLD:
            known = self.ledger.acknowledged[document]
            try:
                self.knows[document] = (await kv.read(_place(document), strong=True)).version
            except Fault as fault:
                return self._unread(document, fault)
            self.ledger.read(document, self.knows[document], known)
        cas = self.knows[document]
        self.counters.full(line, cas)
        return cas < LENGTH and await self._raise(kv, document, cas)

    def _unread(self, document: str, fault: Fault) -> bool:
        if not isinstance(fault, Transient):
            self.ledger.wrong.append(f"false refusal: {self.name} reads {document}: {fault.reason}")
        return False

    async def _raise(self, kv: Kv, document: str, cas: int) -> bool:
        attempt = Attempt(document, cas, secrets.token_urlsafe(9), self.name, time.time())
        told, version, why = Told.WRITTEN, 0, ""
        try:
            version = await kv.write(_place(document), {"nonce": attempt.nonce, "over": str(cas)}, cas=cas)
            self.knows[document] = version
        except Conflict:
            told = Told.LOST
        except Transient as fault:
            told, why = Told.UNKNOWN, fault.reason
        except Fault as fault:
            told, why = Told.REFUSED, fault.reason
        self.ledger.closed(attempt, told, time.time(), version, why)
        if told is not Told.WRITTEN:
            self.knows.pop(document, None)
        return told in (Told.WRITTEN, Told.LOST)


def _place(document: str) -> VaultPath:
    return VaultPath("kv", document)


# --- mistakes that somebody could make ------------------------------------------------------------------------------


class TrustsTheRefusal(Kv):
    """A 400 means "lost", whichever node says so: no index is sent, no strong read decides."""

    async def write(self, place: VaultPath, values: Mapping[str, object], *, cas: int) -> int:
        self.session.index = None
        return await super().write(place, values, cas=cas)

    async def _landed(self, place: VaultPath, values: Mapping[str, object], cas: int) -> int:
        raise Conflict("so says the 400")


class TrustsSilence(Kv):
    """An answer that does not come means "not written"."""

    async def write(self, place: VaultPath, values: Mapping[str, object], *, cas: int) -> int:
        try:
            return await _once(self, place, values, cas)
        except Transient:
            raise Conflict("nothing was heard") from None


class TrustsLuck(Kv):
    """A request that left means "written"."""

    async def write(self, place: VaultPath, values: Mapping[str, object], *, cas: int) -> int:
        try:
            return await _once(self, place, values, cas)
        except Transient:
            return cas + 1


class ReadsPlainly(Kv):
    """Whatever the node at hand believes is good enough."""

    async def read(self, place: VaultPath, *, version: int | None = None, strong: bool = False) -> Document:
        self.session.index = None
        return await super().read(place, version=version)


class WritesOverAnything(Kv):
    """It looks, and then writes without check-and-set."""

    async def write(self, place: VaultPath, values: Mapping[str, object], *, cas: int) -> int:
        if (await self.read(place, strong=True)).version != cas:
            raise Conflict("somebody else was first")
        await _once(self, place, values, None)
        return cas + 1


async def _once(kv: Kv, place: VaultPath, values: Mapping[str, object], cas: int | None) -> int:
    answer = await kv.session.ask(
        lambda client: kv._engine(client).create_or_update_secret(place.path, values, cas=cas, mount_point=place.mount),
        effect=True,
    )
    return int(answer.section("data")["version"])


MISTAKES: dict[str, type[Kv]] = {
    kind.__name__: kind for kind in (TrustsTheRefusal, TrustsSilence, TrustsLuck, ReadsPlainly, WritesOverAnything)
}
