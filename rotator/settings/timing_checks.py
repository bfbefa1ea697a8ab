"""Check that the times and counts of a credential fit together; each refusal shows its numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from rotator.rotation.change_calendar import Window
from rotator.rotation.credential import Credential, Limits, Retirement
from rotator.rotation.retirement import longest_grace
from rotator.rotation.schedule import Every, FractionOfLife, Schedule, proof_room, retry_room
from rotator.settings.model import DaemonConfig
from rotator.settings.parsers import spell

_DAY = timedelta(days=1)
_ROTATIONS = 3  # regular ones in the day of a value that ends by itself: the budget of six leaves room for failures
_LEASE_SLACK = timedelta(seconds=5)
_FEWEST_TICKS = 10
_SETTLED = datetime(2024, 1, 1, tzinfo=UTC)  # where fires are looked at from; any time will do
_FIRES = 400
_WITHOUT = '; with window = "always" it waits for none'


@dataclass(frozen=True, slots=True)
class Clash:
    """Settings that contradict each other. The fault is reported at the first of `keys` that is written."""

    keys: tuple[str, ...]
    text: str


def clashes(credential: Credential, daemon: DaemonConfig) -> Iterator[Clash]:
    """Every impossibility in one credential."""
    yield from _retirement(credential)
    if isinstance(credential.schedule, FractionOfLife) and credential.lifetime is None:
        yield Clash(
            ("fraction",), 'a fraction of `lifetime = "none"` never comes: use `every` or `cron`, or set a lifetime'
        )
        return
    shortest, longest = spacing(credential)
    yield from _pace(credential, daemon, shortest)
    if credential.lifetime is not None:
        yield from _life(credential, credential.lifetime, longest)
    if (window := credential.calendar.window) and window.shortest_opening() < daemon.tick * _FEWEST_TICKS:
        yield Clash(
            ("window", _schedule_key(credential)),
            f"its window {window} is open for {spell(window.shortest_opening())} at times, which is less than"
            f" {_FEWEST_TICKS} ticks of {spell(daemon.tick)}",
        )
    shortest = min(shortest, _after_opening(credential.schedule, credential.calendar.window))
    stay, spread = longest_grace(credential.retire), 2 * credential.limits.spread  # until caches know it, and forget it
    if stay + spread >= shortest:
        cached = f" and {spell(spread)} pass in the target's cache" if spread else ""
        yield Clash(
            ("retire", _schedule_key(credential)),
            f"the predecessor may stay for {spell(stay)} ({_grace_key(credential)}){cached}, but the next rotation"
            f" can come after {spell(shortest)}{_late(credential)}: shorten it, or rotate less often",
        )


def _late(credential: Credential) -> str:
    """Why a rotation by cron may follow another one soon."""
    if credential.calendar.window is None or isinstance(credential.schedule, Every | FractionOfLife):
        return ""
    return ", where the one before had to wait for its window"


def _retirement(credential: Credential) -> Iterator[Clash]:
    retire = credential.retire
    if retire.quiet is not None and retire.deadline is None:
        yield Clash(("retire",), '`quiet` without `deadline` may wait for ever: add deadline, such as "24h"')
    if retire.deadline is not None and retire.quiet is None:
        yield Clash(("retire",), '`deadline` does nothing without `quiet`: add quiet, such as "15m", or leave it out')
    if retire.deadline is not None and retire.deadline < retire.after:
        yield Clash(("retire",), f"deadline {spell(retire.deadline)} comes before after {spell(retire.after)}")


def _pace(credential: Credential, daemon: DaemonConfig, shortest: timedelta) -> Iterator[Clash]:
    if shortest < daemon.tick * _FEWEST_TICKS:
        yield Clash(
            (_schedule_key(credential), "lifetime"),
            f"rotates every {spell(shortest)}, which is less than {_FEWEST_TICKS} ticks of {spell(daemon.tick)}",
        )
        return
    daily, allowed = -(-credential.limits.day // shortest), credential.limits.mints_per_day
    if daily > allowed:
        yield Clash(
            (_schedule_key(credential), "limits", "lifetime"),
            f"can rotate every {spell(shortest)}, up to {daily} mints a day, but limits.mints_per_day is {allowed}:"
            " raise it, or rotate less often",
        )
    if credential.limits.mints_per_rotation > allowed:
        yield Clash(
            ("limits",),
            f"mints_per_rotation {credential.limits.mints_per_rotation} is more than mints_per_day {allowed}",
        )


def _life(credential: Credential, lifetime: timedelta, longest: timedelta) -> Iterator[Clash]:
    retry, probe, waits = retry_room(lifetime), proof_room(lifetime), closed_for(credential)
    total = longest + retry + longest_grace(credential.retire) + probe
    if total >= lifetime:
        key = _schedule_key(credential)
        closed = f" + {_window_words(credential)} {spell(waits)}" if waits else ""
        yield Clash(
            ("window", key, "lifetime", "retire") if waits else (key, "lifetime", "retire"),
            f"the value would expire while still needed: {key} {spell(longest - waits)}{closed}"
            f" + retries {spell(retry)}"
            f" + {_grace_key(credential)} {spell(longest_grace(credential.retire))} + proof {spell(probe)}"
            f" = {spell(total)}, which must be less than lifetime {spell(lifetime)}"
            f"{_WITHOUT if waits else ''}",
        )


def closed_for(credential: Credential) -> timedelta:
    """The longest wait for the window. Twice, if it closes before what failed in it is tried again."""
    window = credential.calendar.window
    if window is None:
        return timedelta(0)
    again = credential.lifetime is not None and window.shortest_opening() < retry_room(credential.lifetime)
    return window.longest_gap() * (2 if again else 1)


def _window_words(credential: Credential) -> str:
    window = credential.calendar.window
    twice = window is not None and closed_for(credential) > window.longest_gap()
    return f"window closed ({window}){', twice as it is short,' if twice else ''}"


def spacing(credential: Credential) -> tuple[timedelta, timedelta]:
    """The shortest and longest planned time between two publications, the wait for a window included."""
    waits = closed_for(credential)
    match credential.schedule:
        case Every(interval, jitter):
            return interval * (1 - jitter), interval + waits
        case FractionOfLife(fraction, jitter):
            life = (credential.lifetime or timedelta.max - waits) * fraction
            return life * (1 - jitter), life + waits
        case other:
            from rotator.host.cron import Cron

            assert isinstance(other, Cron)
            # The splay is drawn from the name, hence the same at every fire: only a value published in between by
            # other means sees a different distance, and that one is longer by the splay at most.
            shortest, longest = other.spacing()
            return shortest, longest + other.splay + waits


@lru_cache(maxsize=1024)
def _after_opening(schedule: Schedule, window: Window | None) -> timedelta:
    """The shortest time from an opening, for which a fire of cron had to wait, to the next fire."""
    found, at = timedelta.max, _SETTLED
    if window is None or isinstance(schedule, Every | FractionOfLife):
        return found
    from rotator.host.cron import Cron

    assert isinstance(schedule, Cron)
    fires = replace(schedule, splay=timedelta(0))
    for _ in range(_FIRES):
        at = fires.due("", at, None)
        for waiting in (at, at + schedule.splay):
            if window.opened_at(waiting) is None:
                opens = window.next_open(waiting)
                found = min(found, fires.due("", opens, None) - opens)
    return found


def quickened(credential: Credential) -> Limits:
    """The limits for values that may live for minutes and leave nothing to clean up.

    The budget's day is shorter, and a proof is too old sooner: it must still hold when the value is published.
    """
    limits = credential.limits
    day = min(spacing(credential)[0], _DAY / _ROTATIONS) * _ROTATIONS
    proof_life = min(limits.proof_life, (credential.lifetime or _DAY) / 10)
    return replace(limits, day=day, proof_life=proof_life)


def fitting_grace(credential: Credential) -> timedelta:
    """The usual grace of a value that lives for minutes or hours: a tenth of its life, as far as its rotations allow.

    Whatever schedule fits a value that only expires fits with this grace.
    """
    shortest, longest = spacing(credential)
    life = credential.lifetime or Retirement().after
    spare = life - longest - retry_room(life) - proof_room(life)
    return max(min(Retirement().after, life / 10, shortest / 2, spare / 2), timedelta(0))


def _grace_key(credential: Credential) -> str:
    return "retire.deadline" if credential.retire.quiet is not None and credential.retire.deadline else "retire.after"


def _schedule_key(credential: Credential) -> str:
    match credential.schedule:
        case Every():
            return "every"
        case FractionOfLife():
            return "fraction"
        case _:
            return "cron"


def timeout_clash(timeout: timedelta, lease: timedelta, what: str) -> str:
    """A sentence when two requests do not fit into a lease, else nothing."""
    need = timeout * 2 + _LEASE_SLACK
    if need <= lease:
        return ""
    return (
        f"{what} {spell(timeout)} is too long for daemon.lease {spell(lease)}: two requests and 5s to spare are"
        f" {spell(need)}; shorten it, or lengthen the lease"
    )
