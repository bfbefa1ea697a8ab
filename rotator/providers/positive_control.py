"""Values that a target has accepted, shown again where it refuses another: a gateway may refuse everybody."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field

from rotator.rotation.secret import Secret

_HOUR = 3600.0  # seconds; what is refused for longer has ended with the others, and is no measure any more
_MOST = 3  # values that are shown again for one refusal
EVERYBODY = "everybody is refused there now, which says nothing of this value: is something in front of it in trouble?"

Show = Callable[[], Awaitable[bool | None]]  # shows a value: whether it is accepted, None where that is not said


@dataclass(slots=True)
class _Accepted:
    secret: Secret
    show: Show
    refused_since: float | None = None  # monotonic


@dataclass(slots=True)
class PositiveControl:
    """The values that one target has accepted last, by whose they are.

    A refusal counts when another value is accepted at that moment, or when nobody knows of one that could be. The
    answer itself tells nothing where all get the same.
    """

    monotonic: Callable[[], float]
    _known: dict[Hashable, _Accepted] = field(default_factory=dict)

    def accepted(self, whose: Hashable, secret: Secret, show: Show) -> None:
        """This value, which is to live on, has just been accepted."""
        self._known.pop(whose, None)
        self._known[whose] = _Accepted(secret, show)

    async def refused(self, whose: Hashable, secret: Secret) -> bool:
        """This value has just been refused. Whether that is the target's word on it: false where others are refused,
        too. Raises what `show` raises."""
        known = self._known.get(whose)
        same = known is not None and known.secret.matches(secret)
        if known is not None and not same and await self._accepts(known):
            return True  # were it refused, that would tell nothing: the values of one credential end one another
        others = [each for name, each in self._known.items() if name != whose and self._counts(each)][-_MOST:]
        for other in others:
            if await self._accepts(other):
                others = []
                break
        if known is not None and same and others and known.refused_since is None:
            known.refused_since = self.monotonic()
        elif same and not others:
            self._known.pop(whose, None)
        return not others

    async def _accepts(self, known: _Accepted) -> bool | None:
        told = await known.show()
        if told is False and known.refused_since is None:
            known.refused_since = self.monotonic()
        elif told:
            known.refused_since = None
        return told

    def _counts(self, known: _Accepted) -> bool:
        return known.refused_since is None or self.monotonic() < known.refused_since + _HOUR
