"""When a login that failed may be tried again: soon, or, if Vault itself refused it, when there is another secret."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from rotator.ports import Clock, Fault, Transient
from rotator.vault.login import LoginRefused

LOGIN_PAUSE = 5.0  # seconds in which a login that failed is not tried again, however many ask
MISSED_PAUSE = 1.0  # the same for one that got no answer: a raft cluster has its next leader in a second or two
REFUSED_PAUSE = 900.0  # for one that Vault itself refused, unless there is another secret: tries lock others out, too

Mark = Callable[[], Awaitable[object]]  # what a login would be made with now, see `Login.mark`


@dataclass(frozen=True, slots=True)
class _Failed:
    fault: Fault
    until: float  # monotonic
    with_what: object
    looked: float  # monotonic: when that was compared last


class LoginPause:
    """The last failure, if it still stands."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failed: _Failed | None = None

    def failed(self, fault: Fault, with_what: object) -> None:
        """A login made `with_what` has failed."""
        now = self._clock.monotonic()
        if isinstance(fault, LoginRefused):
            usual = REFUSED_PAUSE
        else:
            usual = MISSED_PAUSE if isinstance(fault, Transient) else LOGIN_PAUSE
        self._failed = _Failed(fault, now + max(usual, fault.retry_after or 0.0), with_what, now)

    def forgive(self) -> None:
        """A person says that what was refused is mended."""
        self._failed = None

    async def standing(self, mark: Mark) -> None:
        """Raises the last failure again while it stands."""
        failed, now = self._failed, self._clock.monotonic()
        if failed is None or now >= failed.until or await self._is_another(failed, now, mark):
            return
        raise type(failed.fault)(failed.fault.reason, retry_after=min(failed.until - now, LOGIN_PAUSE))

    async def _is_another(self, failed: _Failed, now: float, mark: Mark) -> bool:
        """Whether there is something else to log in with than what Vault has refused; looked at now and then."""
        if not isinstance(failed.fault, LoginRefused) or now - failed.looked < LOGIN_PAUSE:
            return False
        self._failed = _Failed(failed.fault, failed.until, failed.with_what, now)
        return await mark() != failed.with_what
