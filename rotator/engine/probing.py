"""Owns the continuous probe: at a gentle rate, is the value that Vault holds now accepted by its target?

One credential a turn, each at least `every` apart; only what rests is asked. A refusal, unless it is final, counts once
it is heard twice with the target's time to settle in between: then the credential is due at once. A target that does
not say proves nothing. When a value was last accepted is kept in memory only: it is no transition.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from rotator.engine import operating
from rotator.engine.agenda import Agenda
from rotator.engine.bench import Edges
from rotator.engine.crew import Crew
from rotator.ports import Accepted, Fault, Rejected, Unknown, Verdict
from rotator.rotation.credential import Credential
from rotator.rotation.record import Phase, Published
from rotator.rotation.schedule import share

_SOON = timedelta(minutes=1)  # until one that cannot be asked just now may be asked again
_RESTS = frozenset({Phase.SETTLED, Phase.PUBLISHED})


@dataclass(slots=True)
class Prober:
    """Asks for one process. `every`: None when settings want no probe; `told`: target and verdict, for who counts."""

    crew: Crew
    every: Callable[[], timedelta | None]
    told: Callable[[str, str], None]
    _agenda: Agenda = field(default_factory=Agenda)
    _ready: deque[str] = field(default_factory=deque)
    _known: Mapping[str, Credential] = field(default_factory=dict)
    _doubted: dict[str, str] = field(default_factory=dict)  # name -> the token that was refused once

    async def turn(self) -> None:
        """Ask one credential whose time has come, if there is one. Raises nothing that the world may cause."""
        every, clock = self.every(), self.crew.clock
        if every is None:
            return
        self._enrol(every)
        self._ready.extend(self._agenda.due(clock.now(), clock.monotonic()))
        while self._ready:
            name = self._ready.popleft()
            if credential := self.crew.credentials.get(name):
                self._put(name, await self._ask(credential, every))
                return

    def _enrol(self, every: timedelta) -> None:
        """Who is new is asked for the first time somewhere within the interval, so that not all come at once."""
        credentials = self.crew.credentials
        if credentials is self._known:
            return
        for name in credentials.keys() - self._known.keys():
            self._put(name, every * share(f"{name}/probe"))
        self._known = credentials

    def _put(self, name: str, wait: timedelta) -> None:
        now = self.crew.clock.now()
        self._agenda.put(name, now + wait, now, self.crew.clock.monotonic())

    async def _ask(self, credential: Credential, every: timedelta) -> timedelta:
        """Returns how long to leave it alone."""
        current = self._at_rest(credential)
        if current is None:
            return min(every, _SOON)
        edges = self.crew.rounds.edges(credential)
        verdict = await _verdict(credential, edges, current)
        if verdict is None:  # consumers find something else: for a reconcile to deal with
            self.crew.look_at(credential.name)
            return min(every, _SOON)
        self.told(credential.target, _WORDS[type(verdict)])
        if isinstance(verdict, Rejected):
            return await self._refused(credential, edges, current, verdict, every)
        self._doubted.pop(credential.name, None)
        self.crew.rounds.doubted.pop(credential.name, None)
        if isinstance(verdict, Accepted):
            self.crew.rounds.accepted[credential.name] = self.crew.clock.now()
        return every

    def _at_rest(self, credential: Credential) -> Published | None:
        """What is published, when nothing is in flight and settings want nothing else."""
        seen = self.crew.seen.get(credential.name)
        record = seen.record if seen else None
        if record is None or record.phase not in _RESTS or record.refused_at or record.current is None:
            return None
        current, now = record.current, self.crew.clock.now()
        over = current.token.expires_at is not None and current.token.expires_at <= now
        as_wanted = (current.policy, current.place) == (credential.policy, credential.place)
        return None if over or not as_wanted or self.crew.pause(credential)[0] else current

    async def _refused(
        self, credential: Credential, edges: Edges, current: Published, verdict: Rejected, every: timedelta
    ) -> timedelta:
        name = credential.name
        if not verdict.final and self._doubted.get(name) != current.token.id:
            self._doubted[name] = current.token.id
            self.crew.rounds.doubted[name] = self.crew.clock.now()
            return credential.limits.settle
        word = operating.disprove(current.token.id, f"the probe was refused: {verdict.reason}")
        try:
            async with self.crew.aside(name):
                await self.crew.rounds.visitor.obey(credential, edges, word)
        except Fault:
            return credential.limits.settle  # Vault, or another actor, was in the way
        self._doubted.pop(name, None)
        return every


_WORDS: dict[type[Verdict], str] = {Accepted: "accepted", Rejected: "refused", Unknown: "unknown"}


async def _verdict(credential: Credential, edges: Edges, current: Published) -> Verdict | None:
    """What the target says of the value that Vault holds; None when it is not the one that we published."""
    try:
        doc = await edges.store.read(current.place)
        secret = doc.secret(current.key or credential.key)
        if secret is None or secret.fingerprint(edges.installation.fingerprint_key) != current.fingerprint:
            return None
        return await edges.provider.verify(current.token, secret)
    except Fault as fault:
        return Unknown(fault.reason)
