"""The feed of calls that a sandbox has seen: who asked for what, and what came of it.

It never sees a header or a body, so it cannot leak a secret; reading it over HTTP is left to `panel`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """One call. `status` is None when no answer was sent; `effect` says whether the site carried it out."""

    number: int
    method: str
    path: str
    status: int | None
    caller: str
    effect: bool
    fault: str | None

    def document(self) -> dict[str, Any]:
        """The call as JSON."""
        return asdict(self)


class CallFeed:
    """The last calls, and those who want to hear of each."""

    def __init__(self, keep: int = 100_000) -> None:
        """Keeps the newest `keep` calls."""
        self._calls: deque[Call] = deque(maxlen=keep)
        self._listeners: list[Callable[[Call], None]] = []
        self._count = 0

    def listen(self, listener: Callable[[Call], None]) -> None:
        """Call `listener` with every call from now on, as soon as its outcome is known."""
        self._listeners.append(listener)

    def record(
        self, method: str, path: str, *, status: int | None, caller: str, effect: bool, fault: str | None
    ) -> None:
        """Add one call."""
        self._count += 1
        call = Call(self._count, method, path, status, caller, effect, fault)
        self._calls.append(call)
        for listener in self._listeners:
            listener(call)

    def since(self, number: int = 0) -> tuple[Call, ...]:
        """Calls with a higher number, oldest first."""
        return tuple(call for call in self._calls if call.number > number)

    def clear(self) -> None:
        """Forget the calls; numbers go on."""
        self._calls.clear()
