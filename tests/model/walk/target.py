"""A target by its capabilities, as pure functions of its tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from rotator.ports import Accepted, Capabilities, Duplicate, Inspection, NeedsPerson, Outcome, Refused, Rejected
from rotator.rotation.credential import Credential, Limits, Retirement, VaultPath
from rotator.rotation.record import Token
from rotator.rotation.schedule import Every
from rotator.rotation.token_names import begins
from tests.kit.kinds import CAN, NAMED, Kind
from tests.model.walk.actor import NAME, Failed, Provider, Registrant, Tree
from tests.model.walk.values import NOW

LEEWAY = timedelta(seconds=4)  # after its date a target may still take a value for so long
SETTLE = timedelta(seconds=10)
GRACE, INTERVAL, LIFETIME = timedelta(seconds=40), timedelta(seconds=120), timedelta(seconds=190)


class Live(NamedTuple):
    """A token as the target keeps it, and what the judge notes on it."""

    id: str
    name: str
    value: str
    there: bool = True  # the target was told of it
    ended: str = ""  # by whom: us, person, or family: another one's end
    expires: datetime | None = None
    proven: bool = False  # the target was shown this very value, and took it
    late: bool = False  # made when its attempt was over
    replaced: datetime | None = None  # when consumers were given another value
    early: bool = False  # ended by us in its grace
    stranger: bool = False

    @property
    def alive(self) -> bool:
        """Whether who presents the value gets in."""
        return self.there and not self.ended and not (self.expires and self.expires <= NOW)


Tokens = tuple[Live, ...]


@dataclass(frozen=True)
class Family:
    """A sort of target, and a credential that lives there."""

    name: str
    kind: Kind  # as the simulation calls it
    can: Capabilities
    by_hand: bool = False  # only a person can make a value, or end one
    lifetime: timedelta | None = None
    grace: timedelta = GRACE
    mints: int = 3  # of one rotation
    deaf: bool = False  # it says yes to each revocation, and ends nothing
    together: bool = False  # it ends all of one credential together
    verbs: tuple[str, ...] = ("emergency", "undo", "release")
    sound: set[tuple[int, ...]] = field(default_factory=set, init=False, compare=False)  # what was judged, by identity

    def tree(self) -> Tree:
        """The looks at its credential."""
        return Tree(
            Credential(
                name=NAME,
                kind="walk",
                target="t",
                place=VaultPath("kv", f"apps/{NAME}"),
                schedule=Every(INTERVAL, jitter=0.0),
                lifetime=self.lifetime,
                retire=Retirement(after=self.grace, gives_way=self.can.revokes_by_value),
                limits=Limits(mints_per_rotation=self.mints, settle=SETTLE),
            ),
            self.can,
            Registrant if self.kind is Kind.REGISTERED else Provider,
        )


FAMILIES = {
    each.name: each
    for each in (
        Family("named", Kind.TOKENS, NAMED),
        Family("unnamed", Kind.TOKENS, CAN[Kind.TOKENS]),
        Family("one-slot", Kind.ONE_SLOT, CAN[Kind.ONE_SLOT], grace=timedelta(0), verbs=("emergency", "release")),
        Family(
            "expiring",
            Kind.EXPIRING,
            CAN[Kind.EXPIRING],
            lifetime=LIFETIME,
            grace=timedelta(0),
            verbs=("emergency", "release"),
        ),
        *(
            Family(
                f"by-value{name}",
                Kind.BY_VALUE,
                replace(CAN[Kind.BY_VALUE], shared_grant="together" in sort),
                lifetime=LIFETIME,
                verbs=("emergency", "release"),
                **sort,
            )
            for name, sort in {"": {}, "-deaf": {"deaf": True}, "-together": {"together": True}}.items()
        ),
        Family("registered", Kind.REGISTERED, CAN[Kind.REGISTERED], verbs=("emergency", "release")),
        Family("person", Kind.EXPIRING, Capabilities(can_revoke=False), by_hand=True),
    )
}

STRANGER = Live("backup", f"rotator-inst-{NAME}-bbbb-r1-a1", "sek-stranger", stranger=True)


# --- calls ----------------------------------------------------------------------------------------------------------


def called(family: Family, tokens: Tokens, verb: str, args: tuple[Any, ...], minting: str) -> tuple[Tokens, Any]:
    """What a call does, and its answer. `minting`: the name that the journal mints under at this moment."""
    return _CALLS[verb](family, tokens, minting, *args)


def _mint(family: Family, tokens: Tokens, minting: str, name: str, expires_at: Any) -> tuple[Tokens, Any]:
    if family.by_hand:
        return tokens, Failed(NeedsPerson, "make a value and bring it")
    if family.can.takes_token_name and any(x.id == name for x in tokens):
        return tokens, Failed(Duplicate, "the name is taken")
    return _made(family, tokens, name, f"sek-{len(tokens)}", expires_at, late=name != minting)


def _receive(family: Family, tokens: Tokens, minting: str, name: str, value: str, expires_at: Any) -> Any:
    return _made(family, tokens, name, value, expires_at, late=False)


def _made(family: Family, tokens: Tokens, name: str, value: str, expires: Any, *, late: bool) -> tuple[Tokens, Any]:
    taken = family.can.takes_token_name or family.by_hand
    live = Live(
        name if taken else f"t{len(tokens)}", name, value, not family.can.needs_install, expires=expires, late=late
    )
    return (*tokens, live), (Token(live.id, name, expires_at=expires), value)


def _install(family: Family, tokens: Tokens, minting: str, token: Token, value: str) -> tuple[Tokens, Any]:
    """It takes the only slot, or joins the set."""
    if any(x.value == value and x.alive for x in tokens):
        return tokens, token
    told = tuple(_told(x, value, alone=not family.can.overlap) for x in tokens)
    return told, token


def _told(live: Live, value: str, *, alone: bool) -> Live:
    if live.value == value:
        return live._replace(there=True, ended="")
    return live._replace(ended="us") if alone and live.alive and not live.stranger else live


def _find(family: Family, tokens: Tokens, minting: str, prefix: str) -> tuple[Tokens, Any]:
    listed = (x for x in tokens if family.can.can_list and x.alive and begins(x.name, prefix))
    return tokens, tuple(Token(x.id, x.name, expires_at=x.expires) for x in listed)


def _verify(family: Family, tokens: Tokens, minting: str, token: Token, value: str) -> tuple[Tokens, Any]:
    if not any(x.value == value and x.alive for x in tokens):
        return tokens, Rejected("the token is refused")
    return tuple(x._replace(proven=True) if x.value == value else x for x in tokens), Accepted()


def _inspect(family: Family, tokens: Tokens, minting: str, token: Token) -> tuple[Tokens, Any]:
    if family.by_hand:
        return tokens, Inspection(exists=True)
    live = next((x for x in tokens if x.id == token.id), None)
    if live is None:
        return tokens, Inspection(exists=False)
    return tokens, Inspection(True, bool(live.ended), None, live.expires + LEEWAY if live.expires else None)


def _revoke(family: Family, tokens: Tokens, minting: str, token: Token, value: str | None) -> tuple[Tokens, Any]:
    if family.by_hand:
        return tokens, Failed(NeedsPerson, "end it")
    live = next((x for x in tokens if (x.value == value if family.can.revokes_by_value else x.id == token.id)), None)
    if family.can.revokes_by_value and value is None and not _over(token):
        return tokens, Failed(Refused, "its value is not at hand")
    if live is None or not live.alive:
        return tokens, Outcome.ALREADY
    if not family.can.can_revoke:
        return tokens, Failed(Refused, "it ends by expiry")
    if family.deaf:
        return tokens, Outcome.DONE
    early = live.replaced is not None and live.replaced + family.grace > NOW
    ended = {x: "us" if x is live else "family" for x in tokens if x is live or (family.together and x.alive)}
    others = {x: name for x, name in ended.items() if not x.stranger}
    return tuple(x._replace(ended=others[x], early=early and x is live) if x in others else x for x in tokens), _DONE


_DONE = Outcome.DONE


def _over(token: Token) -> bool:
    return token.expires_at is not None and token.expires_at + LEEWAY <= NOW


def _restore(family: Family, tokens: Tokens, minting: str, token: Token) -> tuple[Tokens, Any]:
    live = next((x for x in tokens if x.id == token.id), None)
    if live is None or family.can.revokes_by_value:
        return tokens, Failed(Refused, "the record is gone")
    if not live.ended:
        return tokens, Outcome.ALREADY
    return tuple(x._replace(ended="") if x is live else x for x in tokens), Outcome.DONE


def _is_dead(family: Family, tokens: Tokens, minting: str, token: Token, value: str | None) -> tuple[Tokens, Any]:
    live = next((x for x in tokens if x.id == token.id), None)
    if family.kind is Kind.EXPIRING and not family.by_hand:
        return tokens, _over(token)
    if family.can.revokes_by_value and value is None:
        return tokens, _over(token) or None
    return tokens, live is None or not live.alive


_CALLS: dict[str, Callable[..., tuple[Tokens, Any]]] = {
    "mint": _mint,
    "receive": _receive,
    "install": _install,
    "find": _find,
    "verify": _verify,
    "inspect": _inspect,
    "revoke": _revoke,
    "restore": _restore,
    "is_dead": _is_dead,
}
