"""Whole rotations by the real engine, killed after every call and resumed by another actor; and the rules on them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from secrets import token_hex, token_urlsafe
from weakref import WeakKeyDictionary

from rotator.engine.context import Dependencies
from rotator.engine.lease import Leases
from rotator.engine.reconciler import Reconciler
from rotator.ports import Accepted, Document
from rotator.rotation.credential import Credential, Limits, Retirement, VaultPath
from rotator.rotation.record import Phase, PublishedValue, Record
from rotator.rotation.rotation_request import RequestAnswer, RotationRequest, answer
from rotator.rotation.schedule import Every
from rotator.rotation.token_names import parse
from rotator.testing.kit import Heard, Kit, NotApplicable, must, words
from rotator.testing.memory_vault import MemoryJournal, MemoryStore, MemoryVault

ACCEPTED, ONE, DEAD, SETTLED, BUDGET = "accepted", "one living", "dead", "settled", "budget"
_EFFECTS = ("write", "destroy")  # of the calls to Vault; a kill after a read equals one after the call before it
_LEASE = 30.0
_PATIENCE = 300.0  # seconds for one rotation, settling aside
_MOST_CALLS = 200
_SHOWN = 3  # examples shown per broken promise


class Killed(BaseException):
    """The process was killed; no code may catch this."""


@dataclass
class Line:
    """The calls of one actor. When armed, it kills the actor after the answer of call `at`."""

    at: int = 0
    calls: list[str] = field(default_factory=list)

    def passed(self, label: str) -> None:
        """Count a call that has had its effect. Raises Killed."""
        self.calls.append(label)
        if len(self.calls) == self.at:
            raise Killed(label)

    async def pause(self, label: str) -> None:
        """The same for calls to Vault."""
        side, verb, place = label.split(" ", 2)
        if side == "after" and verb in _EFFECTS:
            self.passed(f"{verb} {place}")


@dataclass
class Campaign:
    """One credential through many rotations. `broken`: what was seen, by the broken promise."""

    kit: Kit
    vault: MemoryVault = field(default_factory=MemoryVault)
    broken: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    kills: int = 0

    def __post_init__(self) -> None:
        wanted, limits = self.kit.credential, self.kit.credential.limits
        often = Limits(mints_per_day=10**6, settle=limits.settle, spread=limits.spread)
        forever, now = Every(timedelta(days=36500), jitter=0), timedelta(0)
        self.credential: Credential = replace(wanted, schedule=forever, retire=Retirement(now), limits=often)
        self.journal = MemoryJournal(MemoryStore(self.vault))
        self.lineage = token_hex(3)
        self.server, self.provider = self.kit.server, self.kit.plain

    async def run(self) -> None:
        """Run a first rotation, one that counts the calls, and one for each call."""
        try:
            await self._rotation(Line())
            calls = await self._rotation(Line())
            for at in range(1, min(len(calls), _MOST_CALLS) + 1):
                if self.broken:
                    return  # later ones would only repeat it and mint more
                await self._rotation(Line(at))
        finally:
            if self.server is not self.kit.server:
                await self.server.aclose()

    async def _rotation(self, line: Line) -> list[str]:
        kit, before = self.kit, (await self.journal.load(self.credential.name)).record
        await kit.clock.sleep(kit.rest)
        ask = RotationRequest(kit.clock.now(), "conformance")
        names, where = len(kit.memory.names), "without a kill"
        try:
            try:
                record = await self._work(line, ask)
            except Killed as death:
                self.kills += 1
                where = f"killed after {death}"
                await self.journal.bury(self.credential.name)
                await kit.clock.sleep(kit.rest)
                await self._restart()
                record = await self._work(Line(), ask)
            await self._judge(where, record, before.current if before else None, ask)
        except NotApplicable:
            raise
        except Exception as bug:  # noqa: BLE001 (other people's code; its text may quote anything)
            kit.memory.said.append(str(bug))
            self.broken[SETTLED].append(f"{where}: a fault that no verb may raise: {type(bug).__name__}")
        numbers = Counter(parsed.rotation for name in kit.memory.names[names:] if (parsed := parse(name)))
        if (made := max(numbers.values(), default=0)) > self.credential.limits.mints_per_rotation:
            self.broken[BUDGET].append(f"{where}: {made} mints")
        return line.calls

    async def _restart(self) -> None:
        """Begin another process, which knows only Vault and the target."""
        server, self.server = self.server, self.kit.reopen()
        self.provider = self.kit.kind.bind(self.server, self.kit.credential)
        if server not in (self.server, self.kit.server):
            await server.aclose()

    async def _work(self, line: Line, ask: RotationRequest) -> Record | None:
        """Reconcile until the request is done and the predecessor is dead, or nothing changes any more."""
        reconciler, dependencies = self._actor(line)
        clock, began = self.kit.clock, self.kit.clock.monotonic()
        while True:
            seen = await reconciler.reconcile(self.credential, dependencies, ask)
            record, until = seen.record, seen.wait.until
            if (
                record is None
                or until is None
                or answer(record, ask) in (RequestAnswer.DONE, RequestAnswer.AWAITING, RequestAnswer.HELD)
            ):
                return record
            pause = max((until - clock.now()).total_seconds(), 0.01)
            if clock.monotonic() + pause > began + _PATIENCE + 4 * self.kit.settle:
                return record
            await clock.sleep(pause)

    def _actor(self, line: Line) -> tuple[Reconciler, Dependencies]:
        kit, name = self.kit, self.credential.name

        async def pause(label: str) -> None:
            await self._look(label)
            await line.pause(label)

        store = MemoryStore(self.vault, pause)
        journal = MemoryJournal(store)
        slot = VaultPath(journal.folder.mount, f"rotator/staged/{name}")
        provider = Heard(self.provider, kit.memory, line.passed)
        dependencies = Dependencies(store, provider, kit.clock, kit.installation, slot, lambda: token_urlsafe(16))
        leases = Leases(token_hex(4), _LEASE, kit.clock.monotonic)
        return Reconciler(journal, leases, lambda: self.lineage, lambda transition: None), dependencies

    async def _look(self, label: str) -> None:
        """Try a value that was just published, as a consumer would."""
        place = self.credential.place
        if label != f"after write {place}":
            return
        doc = self.vault.get(place)
        secret = doc.secret(self.credential.key)
        token = self.kit.memory.token_of(secret) if secret else None
        if secret is None or token is None:
            self.broken[ACCEPTED].append("something was published that was never minted")
            return
        verdict = await self.kit.plain.verify(token, secret)
        if not isinstance(verdict, Accepted) and not self._same_as_before(doc):
            self.broken[ACCEPTED].append(f"published, and {words(verdict)}")

    def _same_as_before(self, doc: Document) -> bool:
        """Whether a publication repeats the value before it, as a fence does."""
        older = self.vault.get(self.credential.place, doc.version - 1)
        return (older.values or {}).get(self.credential.key) == (doc.values or {}).get(self.credential.key)

    async def _judge(self, where: str, record: Record | None, old: PublishedValue | None, ask: RotationRequest) -> None:
        if record is None or record.phase is not Phase.SETTLED or answer(record, ask) is not RequestAnswer.DONE:
            if record is not None and record.phase is Phase.AWAITING and not self.kills:
                raise NotApplicable(f"only a person can go on: {record.awaiting}")
            self.broken[SETTLED].append(f"{where}: {_standstill(record)}")
            return
        await self._judge_living(where, record)
        if old is not None and (not self.kit.kind.only_expires or self.kit.can.revokes_by_value):
            await self._judge_dead(where, old)

    async def _judge_living(self, where: str, record: Record) -> None:
        kit, current = self.kit, record.current
        secret = self.vault.get(self.credential.place).secret(self.credential.key)
        verdict = await kit.plain.verify(current.token, secret) if current and secret else None
        if not isinstance(verdict, Accepted):
            told = words(verdict) if verdict else "there is none"
            self.broken[ACCEPTED].append(f"{where}: what stands in Vault at the end: {told}")
        if kit.can.can_list and current:
            found = {token.id for token in await kit.plain.find(f"{record.stem}-")}
            if found != {current.token.id}:
                self.broken[ONE].append(f"{where}: {len(found)} tokens live")

    async def _judge_dead(self, where: str, old: PublishedValue) -> None:
        minted = reversed(self.kit.memory.minted)  # a name may be an id, and is asked for again after a lost answer
        made = next((each for each in minted if each.token.id == old.token.id), None)
        secret = self.kit.shown(made) if made else None
        if await self.kit.plain.is_dead(old.token, secret) is not True:
            self.broken[DEAD].append(f"{where}: the predecessor is not told dead")


def _standstill(record: Record | None) -> str:
    if record is None:
        return "there is no record"
    trouble = record.held.text if record.held else record.failure.reason if record.failure else record.awaiting
    return f"the record stands at `{record.phase}`: {trouble or 'no reason told'}"


_runs: WeakKeyDictionary[Kit, Campaign] = WeakKeyDictionary()


async def _campaign(kit: Kit) -> Campaign:
    if kit not in _runs:
        campaign = Campaign(kit)
        await campaign.run()
        _runs[kit] = campaign
    return _runs[kit]


def kept(promise: str) -> Callable[[Kit], Awaitable[None]]:
    """A rule: the campaign did not break this promise."""

    async def check(kit: Kit) -> None:
        seen = (await _campaign(kit)).broken[promise]
        must(not seen, "; ".join(seen[:_SHOWN]))

    return check


accepted = kept(ACCEPTED)
one = kept(ONE)
dead = kept(DEAD)
settled = kept(SETTLED)
budget = kept(BUDGET)
