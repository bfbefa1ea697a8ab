"""The health of the fleet as its records show it: every credential, target and minter; alive, ready, healthy.

It is computed anew at each look. Metrics, probes and pages read it and add nothing. Another thread may look: what is
read is frozen, or copied at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from rotator.engine.reconciler import ReconcileResult
from rotator.ports import Clock
from rotator.rotation.credential import Credential, VaultPath
from rotator.rotation.credential_state import GRAVITY, Observed, Severity, State, state
from rotator.rotation.explanation import explain
from rotator.rotation.ownership import Unmanaged, unmanaged
from rotator.rotation.pause import on_at
from rotator.rotation.record import Record
from rotator.vault.login import LoginEnd

__all__ = ["Dependency", "DependencyHealth", "DependencyStatus", "Fleet", "Severity", "State", "View", "observed"]


_AT_ONCE = 50  # states that are computed without letting another thread run


class Dependency(Protocol):
    """Vault, a target or a minter, paused after trouble. `trips`: pauses in a row; zero when it works."""

    @property
    def trips(self) -> int: ...

    @property
    def reason(self) -> str: ...

    def left(self, now: float) -> float:
        """Seconds until it is called again."""
        ...


class DependencyHealth(Protocol):
    """Vault, targets and minters, by their names in settings."""

    @property
    def vault(self) -> Dependency: ...

    @property
    def targets(self) -> Mapping[str, Dependency]: ...

    @property
    def minters(self) -> Mapping[str, Dependency]: ...


class View(Protocol):
    """The observable parts of a running daemon. `moved`: monotonic seconds of the last finished reconcile."""

    @property
    def credentials(self) -> Mapping[str, Credential]:
        """The credentials of the settings."""
        ...

    @property
    def seen(self) -> Mapping[str, ReconcileResult]:
        """The results of the last reconciles."""
        ...

    @property
    def read_at(self) -> Mapping[str, datetime]:
        """When each record was last read from Vault."""
        ...

    @property
    def left(self) -> Mapping[str, Record]:
        """The records of credentials that left the settings."""
        ...

    @property
    def unread(self) -> Collection[str]:
        """The credentials whose records were not read yet."""
        ...

    @property
    def broken(self) -> Mapping[str, str]:
        """Credentials that were refused or met a bug, and why."""
        ...

    @property
    def accepted(self) -> Mapping[str, datetime]:
        """When each published value was last seen to be accepted."""
        ...

    @property
    def doubted(self) -> Mapping[str, datetime]:
        """When a published value was refused once; it is asked again before that counts."""
        ...

    @property
    def unproven(self) -> Mapping[str, datetime]:
        """Since when it is unknown whether a published value is accepted."""
        ...

    @property
    def health(self) -> DependencyHealth:
        """The state of Vault, targets and minters."""
        ...

    @property
    def moved(self) -> float:
        """When a worker last finished a reconcile."""
        ...

    def pause(self, credential: Credential) -> tuple[float, str]:
        """Seconds for which the credential is left alone, and why."""
        ...


@dataclass(frozen=True, slots=True)
class DependencyStatus:
    """The status of a target or minter. `left`: seconds until it is called again; `said`: why it is not."""

    name: str
    left: float
    said: str


@dataclass(slots=True)
class Fleet:
    """The fleet, as seen now. `view` is None until the daemon has found Vault; `waiting` says what it waits for."""

    clock: Clock
    silence: timedelta  # a daemon in which no reconcile ended for so long is not alive
    view: View | None = None
    waiting: str = "starting"
    began: float = 0.0  # monotonic seconds at which the view came
    missing: Callable[[], str] = str  # missing signs of life, in words
    barred: Callable[[], str] = str  # why no rotation may begin
    refused: str = ""  # why the settings on disk were refused; the old ones are in force
    unfit: str = ""  # why Vault would not keep what is written there; the next start would fail
    login_end: Callable[[], LoginEnd | None] = lambda: None  # the end of what we log in to Vault with
    minted_from: Mapping[str, VaultPath] = field(default_factory=dict)  # where minters' tokens are published, by target

    def show(self, view: View) -> None:
        """Show this daemon's view from now on."""
        self.view, self.waiting, self.began = view, "", self.clock.monotonic()

    def hide(self, waiting: str) -> None:
        """Show nothing from now on, and why."""
        self.view, self.waiting = None, waiting

    def states(self) -> list[State]:
        """Every credential, the worst first."""
        return sorted(self.each_state(), key=lambda each: (GRAVITY[each.mark], each.name))

    def each_state(self) -> Iterator[State]:
        """Every credential, in the order of the settings, one at a time.

        Of ten thousand they take a second: a thread that asks for them lets others run now and then.
        """
        view, now = self.view, self.clock.now()
        for number, credential in enumerate(view.credentials.values() if view else ()):
            if view is not None:
                yield _state(view, credential, now)
            if number % _AT_ONCE == 0:
                time.sleep(0)

    def state(self, name: str) -> State | None:
        """One credential; None when it is not in the settings."""
        credential = self.view.credentials.get(name) if self.view else None
        return _state(self.view, credential, self.clock.now()) if self.view and credential else None

    def unmanaged(self) -> list[Unmanaged]:
        """Living values of credentials that left the settings."""
        if self.view is None:
            return []
        records = [each.record for each in tuple(self.view.seen.values()) if each.record]
        places = {each.place: each.retire.after for each in self.view.credentials.values()}
        return unmanaged(self.view.left, records, self.clock.now(), places)

    def explained(self, name: str) -> list[str]:
        """The sentences about one credential."""
        credential = self.view.credentials.get(name) if self.view else None
        if self.view is None or credential is None:
            return []
        return list(explain(credential, _record(self.view, name), self.clock.now(), observed(self.view, credential)))

    def targets(self) -> list[DependencyStatus]:
        """Every target of a credential."""
        names = {each.target for each in self.view.credentials.values()} if self.view else ()
        return [self._standing(name, self.view.health.targets.get(name)) for name in sorted(names) if self.view]

    def stops(self) -> dict[tuple[str, str], bool]:
        """Whether nothing begins there because too many rotations failed, by target and kind."""
        found: dict[tuple[str, str], bool] = {}
        now = self.clock.now()
        for each in self.view.credentials.values() if self.view else ():
            on = on_at(each.paused, now)
            found[each.target, each.kind] = bool(on and on.stop)
        return found

    def minters(self) -> list[DependencyStatus]:
        """Every minter that was used or refused."""
        minters = self.view.health.minters if self.view else {}
        return [self._standing(name, minter) for name, minter in sorted(minters.items())]

    def minter_ends(self) -> dict[str, datetime]:
        """When minters' tokens expire, by target, where these tokens are rotated here."""
        seen = tuple(self.view.seen.values()) if self.view else ()
        currents = [each.record.current for each in seen if each.record and each.record.current]
        ends = {each.place: end for each in currents if (end := each.token.expires_at)}
        return {target: ends[place] for target, place in self.minted_from.items() if place in ends}

    def _standing(self, name: str, dependency: Dependency | None) -> DependencyStatus:
        if dependency is None or not dependency.trips:
            return DependencyStatus(name, 0.0, "")
        return DependencyStatus(name, dependency.left(self.clock.monotonic()), dependency.reason or "in trouble")

    def silent(self) -> float:
        """Seconds since a worker last finished a reconcile; zero while there is no view."""
        if self.view is None or not self.view.credentials:
            return 0.0
        return max(0.0, self.clock.monotonic() - max(self.view.moved, self.began))

    def alive(self) -> str:
        """Why the process should be restarted; empty when it is alive. An answer at all shows that its loop runs."""
        if self.view is None:
            return ""  # a restart does not help against an absent Vault
        silent = self.silent()
        stuck = f"no visit ended for {silent:.0f} s" if silent > self.silence.total_seconds() else ""
        return self.missing() or stuck

    def vault(self) -> str:
        """Why Vault does not work for us; empty when it does."""
        if self.view is None:
            return self.waiting or "starting"
        breaker = self.view.health.vault
        return (breaker.reason or "unreachable") if breaker.trips else ""

    def login_ending(self) -> str:
        """The secret that we log in to Vault with, in words, when it ends soon; else empty."""
        end = self.login_end()
        return str(end) if end and end.is_near(self.clock.now()) else ""

    def unready(self) -> list[str]:
        """Why this process cannot work: no login, records that were not read yet, receipts that cannot be written.

        Never because of a target or a credential: another process could do no better.
        """
        missed = self.vault()
        found = [f"vault: {missed}"] if missed else []
        found += [f"no rotation may begin: {bar}"] if (bar := self.barred()) else []
        unread = self._unread()
        return [*found, *([f"{unread} records were not read yet"] if unread else [])]

    def _unread(self) -> int:
        """How many records were not read yet. One that cannot be read is a trouble of its credential only."""
        view = self.view
        if view is None:
            return 0
        return len(view.unread) - sum(name in view.unread for name in tuple(view.broken))

    def unhealthy(self, states: Iterable[State] | None = None) -> list[str]:
        """Everything that a person should know: about this process, and what is overdue, held, refused or missing.

        `states`: what `states` returns, if it is known already.
        """
        rows = (each for each in (self.states() if states is None else states) if each.mark is Severity.ACT)
        dead = [f"not alive: {reason}"] if (reason := self.alive()) else []
        unfit = [self.unfit] if self.unfit else []
        return [*dead, *self.unready(), *unfit, *(f"{each.name}: {each.word}: {each.said}" for each in rows)]


def states(view: View, now: datetime) -> list[State]:
    """Every credential, in the order of the settings."""
    return [_state(view, each, now) for each in view.credentials.values()]


def observed(view: View, credential: Credential) -> Observed:
    """A running daemon's knowledge of a credential beyond its record."""
    name = credential.name
    seconds, reason = view.pause(credential)
    seen = view.seen.get(name)
    return Observed(
        unread="" if seen and seen.record else (seen and seen.wait.reason) or "nobody has looked at it yet",
        broken=view.broken.get(name, ""),
        left_alone=reason if seconds else "",
        accepted_at=view.accepted.get(name),
        doubted_at=view.doubted.get(name),
        unproven_at=view.unproven.get(name),
    )


def _state(view: View, credential: Credential, now: datetime) -> State:
    return state(credential, _record(view, credential.name), now, observed(view, credential))


def _record(view: View, name: str) -> Record | None:
    seen = view.seen.get(name)
    return seen.record if seen else None
