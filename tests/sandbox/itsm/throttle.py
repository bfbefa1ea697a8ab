"""The rate limit: so many calls in any rolling period, then 429, with or without Retry-After.

Hosted instances have been seen to allow 300 calls in any five minutes; whether they send Retry-After is not known.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime

from tests.sandbox.messages import Response


class Throttle:
    """Counts calls. `calls` 0: no limit; `period` in seconds."""

    def __init__(self, clock: Callable[[], datetime], calls: int = 300, period: float = 300.0) -> None:
        """`tells`: whether the answer carries Retry-After."""
        self.calls = calls
        self.period = period
        self.tells = True
        self._clock = clock
        self._seen: deque[float] = deque()

    def refuse(self) -> Response | None:
        """The 429, when this call is one too many; refused calls do not count."""
        now = self._clock().timestamp()
        while self._seen and self._seen[0] <= now - self.period:
            self._seen.popleft()
        if not self.calls or len(self._seen) < self.calls:
            self._seen.append(now)
            return None
        text = f"Rate Limit Reached - {self.calls} Requests per rolling {self.period / 60:g} minute window"
        headers: tuple[tuple[str, str], ...] = (("Content-Type", "text/plain"),)
        if self.tells:
            headers += (("Retry-After", str(int(self._seen[0] + self.period - now) + 1)),)
        return Response(429, headers, text.encode())
