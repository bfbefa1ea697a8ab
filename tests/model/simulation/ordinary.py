"""What an ordinary day is judged by: W1, W2 and the receipts, against the models' own truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial
from typing import TYPE_CHECKING

from rotator.engine.reconciler import Transition
from rotator.rotation import events as ev
from rotator.rotation.credential import VaultPath
from rotator.rotation.operator_request import ANSWERED_BY
from rotator.rotation.ownership import unmanaged
from rotator.rotation.record import Phase, Record
from tests.kit.kinds import DATED, Kind
from tests.model.simulation.actors import CALM_POLL, TTL, Process, SimClock
from tests.model.simulation.days import CLAIMS, held_for_two
from tests.model.simulation.inbox import requests
from tests.model.simulation.invariants import COPY, Checks
from tests.model.simulation.journal import SimJournal
from tests.model.simulation.vault import Vault
from tests.model.simulation.wishes import Wish
from tests.model.simulation.words import Truth, untrue

if TYPE_CHECKING:
    from tests.model.simulation.history import History

CONVERGED = 1.25 * TTL + 60  # seconds
CALM_LISTEN = 120.0  # seconds between two looks for requests
SLACK = 5.0  # seconds
GONE = 60.0  # seconds after which nobody is to be told that a dead process works
UNTOLD = 200.0  # seconds around the end of a token: who dies then may die before it tells


@dataclass
class Ordinary:
    """The judge of one history's day."""

    history: History

    def rest(self, name: str) -> None:
        """W1 and W2 at rest, where nobody can say any more that nobody has looked."""
        history, checks = self.history, self.history.checks
        forgotten = history.wishes.lost(name, checks.ledgers[name], self._lives)
        if forgotten and name not in checks.lost_journals:
            checks.broken("W1", forgotten)
        if history.days.claims[name] >= CLAIMS and held_for_two(checks.ledgers[name].latest):
            checks.broken("W1", f"{name} was claimed again and again, and is held for another Vault still")
        history._until(lambda x: "untrue" if self.untruths(x, self.truth(x)) else "", CALM_POLL + CONVERGED)
        self.look(name, lately=False)

    def look(self, name: str, *, lately: bool = True) -> None:
        """Somebody types `rotate status` and `rotate explain`: W2."""
        if self.history.vault.sealed or self.history.journal.newer or name not in self.history.wanted:
            return
        for rule, text in self.untruths(name, self.truth(name, lately=lately)):
            self.history.checks.broken(f"W2 {rule}", f"{name}: {text}")
        for text in self.unmanaged():
            self.history.checks.broken("W2 unmanaged", text)

    def untruths(self, name: str, truth: Truth) -> list[tuple[str, str]]:
        """What is said of it and is not so."""
        entry = self.history.people.entry(name)
        return list(untrue(self.history.wanted[name], entry, self.history.world.date(), truth)) if entry else []

    def truth(self, name: str, *, lately: bool = False) -> Truth:
        """By the models alone."""
        history, target = self.history, self.history.target
        entry, top = history.people.entry(name), history.vault.top(history.wanted[name].place)
        record = entry.record if entry else None
        current = record.current if record else None
        live = target.tokens.get(current.token.id) if current else None
        read = str((top.values or {}).get("token")) if top and not top.deleted else ""
        moved = current is not None and current.place != history.wanted[name].place  # consumers go on where they were
        by = entry.lease.holder if entry else ""
        whose = [x for x in history.processes if by and x.host == by[:1] and (x.dead or x.holder != by)]
        dead = [x for x in whose if history.world.now - x.died > GONE]  # since its last death, at the least
        skew = history.people.widest_skew()
        return Truth(
            expired=bool(live and target.expired(live) and history.world.now > live.ends + SLACK + skew),
            accepted=moved or target.accepts(read),
            in_place=current is None or moved or bool(live and live.value == read),
            published=current is not None,
            leftovers=tuple(history.days.lives_unknown(name, record)),
            gone=by if dead else "",
            lately=lately,
        )

    def unmanaged(self) -> Iterator[str]:
        """What credentials that left the settings have left alive, and nobody is told."""
        history = self.history
        records = {name: entry.record for name in history.checks.ever if (entry := history.people.entry(name))}
        left = {name: each for name, each in records.items() if each and name not in history.wanted}
        configured = [each for name, each in records.items() if each and name in history.wanted]
        places = {each.place: each.retire.after for each in history.wanted.values()}
        listed = {each.token for each in unmanaged(left, configured, history.world.date(), places)}
        known = {token for record in configured for token in _tokens(record)}
        for name, record in left.items():
            for token in sorted(_tokens(record) - known - listed):
                if self._lives(token):
                    yield f"{token} of {name}, which left the settings, lives and is not listed"

    def unclaimed(self) -> None:
        """W1 for who left the settings: what was asked for waits in Vault, and after an hour it is told as given up."""
        history, checks = self.history, self.history.checks
        left = {wish.name for wish in history.wishes.made} - history.wanted.keys() - checks.lost_journals
        self._forgotten(left, self._waits)
        if any(self._waits(wish) for wish in history.wishes.made if wish.name in left):
            history.world.run(history.world.now + ANSWERED_BY.total_seconds() + CONVERGED + 2 * CALM_LISTEN)
            self._forgotten(left, lambda wish: self._waits(wish) and not self._old(wish))

    def _forgotten(self, left: Iterable[str], waits: Callable[[Wish], bool]) -> None:
        history, checks = self.history, self.history.checks
        for name in sorted(left):
            if text := history.wishes.unclaimed(name, checks.ledgers[name], waits):
                checks.broken("W1", text)

    def _waits(self, wish: Wish) -> bool:
        return VaultPath("kv", f"rotator/wish/{wish.name}/{wish.request.id}") in self.history.vault.docs

    def _old(self, wish: Wish) -> bool:
        """By every clock."""
        skew = timedelta(seconds=self.history.people.widest_skew())
        return self.history.world.date() > wish.request.at + ANSWERED_BY + skew

    def _lives(self, token_id: str) -> bool:
        target = self.history.target
        live = target.tokens.get(token_id)
        return live is not None and target.alive(live) and target.kind(live.credential) not in DATED

    def receipts(self) -> None:
        """R: every end of a token that is ours is a transition that somebody was told.

        Not by who was killed then, nor where the credential left the settings before that was proven: its record says
        what was being ended. Of who was stopped, or got no answer to the write that says it, only the record may know.
        """
        history, swarm = self.history, self.history.world.swarm
        if swarm.pause or swarm.vault_lost or swarm.vault_late:
            return
        for token, at in history.ended_at.items():
            live = history.target.tokens[token]
            left = history.checks.left_settings.get(live.credential, -UNTOLD)
            died = any(at - UNTOLD < death < at + UNTOLD for death in (left, *history.world.deaths))
            latest = history.checks.ledgers[live.credential].latest
            if history.target.kind(live.credential) is not Kind.TOKENS:
                continue  # whose values are told anew, or make way for others
            ending = latest and latest.phase is Phase.REJECTED and latest.mint_name == live.name  # and not proven yet
            if live.credential in history.checks.lost_journals or ending or (latest and token in _tokens(latest)):
                continue
            if not {token, live.name} & history.told_ends and not died and not live.ended.startswith(COPY):
                history.checks.broken(
                    "R", f"{token} ({live.name}) was ended by {live.ended}, and no transition tells it"
                )

    def copied(self, *, read_only: bool) -> None:
        """Another installation comes up on what this Vault holds now."""
        history = self.history
        checks, world = history.checks, history.world
        twin = history.twin = Checks(world, dict(history.wanted))
        twin.vault, twin.target, twin.owner = Vault(world, twin.written), history.target, dict(checks.owner)
        twin.vault.docs, twin.read_only = history.vault.snapshot(), read_only
        for name in history.wanted:
            twin.ledgers[name].stems |= checks.ledgers[name].stems
            twin.ledgers[name].authorised |= checks.ledgers[name].authorised
            twin.graces[name] = list(checks.graces[name])
        twin.goes_back()
        checks.disputed = checks.disputed or not read_only
        clock = SimClock(world, 0.0, -1e6)
        dependencies = cache(partial(history._edges, checks=twin))
        journal, inbox = SimJournal(world, twin.vault), partial(requests, world, twin.vault)
        process = Process(world, COPY, clock, journal, dependencies, dict(history.wanted), history._told, inbox)
        process.read_only, process.dead = read_only, True
        history.processes.append(process)
        process.start()


def ended_by(transition: Transition) -> set[str]:
    """The tokens whose end a transition tells."""
    match transition.event:
        case ev.Retired():
            return {transition.before.predecessor.token.id} if transition.before.predecessor else set()
        case ev.Burned(tokens=tokens):
            return {*tokens, transition.before.mint_name}  # nothing lives under that any more
        case ev.Swept(strays=strays):
            return set(strays)
        case ev.Reaped(stray=stray):
            return {stray}
    return set()


def _tokens(record: Record) -> set[str]:
    return {each.token.id for each in (record.current, record.predecessor, record.candidate) if each}
