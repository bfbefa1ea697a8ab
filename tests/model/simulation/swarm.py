"""What one seed switches on: sizes, rates and kinds of trouble; each seed takes a random share of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from tests.kit.kinds import INSTALLED, Kind

ACTS = (
    "foreign_write",
    "foreign_key",
    "soft_delete",
    "rollback",
    "ask",
    "emergency",
    "schedule",
    "policy",
    "path",
    "grace",
    "person_revokes",
    "release",
    "mend",
    "consumer_metadata",
    "slot_metadata",
    "journal_metadata",
    "clock_jump",
    "vault_clock",
    "seal",
    "minter_refused",
    "newer_schema",
    "allow",
    "forbid",
    "pause",
    "resume",
    "undo",
    "adopt",
)
DAY = (
    *("rename", "remove", "tidy", "restore", "copy", "empty", "broken_file", "request"),
    *("claim", "fleet", "login", "clock_ahead"),
)


@dataclass(frozen=True, slots=True)
class Swarm:
    """One seed's options. Rates are chances per message or per beat; times are seconds. The default is fair weather."""

    actors: int = 2
    credentials: int = 1
    kinds: tuple[Kind, ...] = ()  # of each credential in turn; tokens when there are none left
    by_hand: str = ""  # what only a person can do, of what the target is told: "install", or "mint"
    careless: float = 0.0  # how often that person does it wrong
    cache: float = 0.0  # for up to this long a target believes an old copy of a key set
    named: bool = True  # the target takes chosen names
    active: float = 1500.0  # how long trouble lasts
    interval: float = 300.0
    grace: float = 60.0
    quiet: float | None = None
    lifetime: float | None = 86400.0
    settle: float = 0.0  # a new token is accepted after up to this long
    mints_per_day: int = 40
    overwrite: bool = False  # on_foreign = "overwrite"
    skew: float = 0.0
    vault_tells: bool = True
    kill: float = 0.0
    pause: float = 0.0
    slow: float = 0.0
    vault_lost: float = 0.0
    vault_late: float = 0.0
    false_conflict: float = 0.0
    stale: float = 0.0
    lost: float = 0.0  # a target's answer is lost, even odds that it acted
    late: float = 0.0
    busy: float = 0.0  # 429, 5xx
    locked: float = 0.0  # 409
    purge: bool = False  # revoked tokens are deleted soon, so their names are free again
    refused: float = 0.0  # the target refuses one mint
    lags: float = 0.0  # a proof of death is not possible yet
    codec: bool = False
    remembers: bool = False  # an only slot takes no value that it has had before
    acts: tuple[str, ...] = field(default=())
    day: tuple[str, ...] = ()  # acts of an ordinary day, see days.py; none: nobody asks for status either
    restarts: float = 0.0  # seconds: each process is restarted so often, also when faults are off
    followed: bool = False  # processes prove by a lock of their host that another one has ended
    lazy: bool = False  # some consumers go on with an old value for long
    two_targets: bool = False  # settings reach the target under two names
    deaf: bool = False  # a target that ends tokens by their value says yes to each, and ends none
    families: bool = False  # such a target ends all tokens of one credential together
    calendars: bool = False  # rotations begin in windows and in no freeze; people change those


_KINDS = (
    *(Kind.TOKENS, Kind.TOKENS, Kind.TOKENS, Kind.EXPIRING),
    *(Kind.ONE_SLOT, Kind.TWO_SLOTS, Kind.KEY_SET, Kind.ONE_SLOT),
)  # in this order: seeds know it
OAUTH = (Kind.BY_VALUE, Kind.BY_VALUE, Kind.REGISTERED)  # what servers of OAuth do with tokens
_HANDS = ("", "", "install", "install", "mint")


def draw(rng: Random) -> Swarm:
    """A random subset of everything."""
    drawn = _with_targets(rng)
    if rng.random() < 0.85:  # the last to be drawn, again
        return drawn
    acts = tuple(act for act in drawn.acts if act != "vault_clock")  # the calendar is read by that clock
    return replace(drawn, acts=(*acts, "window"), calendars=True)


def _with_targets(rng: Random) -> Swarm:
    drawn = _drawn(rng)
    if drawn.day or rng.random() < 0.85:  # the last to be drawn: what is drawn before it stays what it was
        return drawn
    kinds = (rng.choice(OAUTH), *drawn.kinds[1:])
    return replace(drawn, kinds=kinds, deaf=rng.random() < 0.15, families=rng.random() < 0.25)


def _drawn(rng: Random) -> Swarm:

    def rate(*choices: float) -> float:
        return rng.choice(choices) if rng.random() < 0.5 else 0.0

    kinds = tuple(rng.choice(_KINDS) for _ in range(rng.choice((1, 1, 1, 2))))
    by_hand = rng.choice(_HANDS) if INSTALLED.intersection(kinds) else ""
    return Swarm(
        actors=rng.choice((1, 2, 2, 3, 3, 4)),
        credentials=len(kinds),
        kinds=kinds,
        by_hand=by_hand,
        careless=rate(0.2, 0.5),
        cache=rate(3.0, 8.0),
        named=rng.random() < 0.6,
        active=rng.choice((200.0, 400.0, 800.0)),
        interval=rng.choice((60.0, 120.0, 240.0)),
        grace=rng.choice((10.0, 30.0, 90.0)),
        quiet=rng.choice((None, None, 20.0)),
        lifetime=rng.choice((None, 600.0, 86400.0, 86400.0)),
        settle=rate(0.5, 4.0, 8.0),
        mints_per_day=rng.choice((6, 40, 40)),
        overwrite=rng.random() < 0.25,
        skew=rate(1.0, 3600.0),
        vault_tells=True,
        kill=rate(0.002, 0.01, 0.04),
        pause=rate(0.002, 0.01, 0.04),
        slow=rate(0.01, 0.1),
        vault_lost=rate(0.01, 0.05, 0.2),
        vault_late=rate(0.01, 0.05),
        false_conflict=rate(0.02, 0.2),
        stale=rate(0.5, 1.0),
        lost=rate(0.02, 0.1, 0.3),
        late=rate(0.02, 0.1, 0.3),
        busy=rate(0.02, 0.1, 0.3),
        locked=rate(0.05, 0.3),
        purge=rng.random() < 0.4,
        refused=rate(0.05, 0.2),
        lags=rate(0.1, 0.5),
        codec=rng.random() < 0.04,
        acts=tuple(act for act in ACTS if rng.random() < 0.3),
        remembers=rng.random() < 0.15,
        **_day(rng),
    )


def _day(rng: Random) -> dict[str, Any]:
    """One seed in four has an ordinary day as well."""
    followed = {"followed": rng.random() < 0.5, "lazy": rng.random() < 0.2}
    if rng.random() < 0.75:
        return followed
    return {
        **followed,
        "day": ("look", *(act for act in DAY if rng.random() < 0.4)),
        "restarts": rng.choice((0.0, 30.0)) if followed["followed"] else 0.0,
        "two_targets": rng.random() < 0.3,
    }


def plain(seed: int) -> Swarm:
    """What a seed drew before there were ordinary days: what it has found, it finds by that."""
    return replace(_drawn(Random(seed)), day=(), restarts=0.0, followed=False, lazy=False, two_targets=False)
