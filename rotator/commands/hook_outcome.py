"""What became of the hooks that had to hear of a command's work, told after its verdict."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Iterable
from typing import Any

from rotator.app.actor import App
from rotator.host.exit_codes import Exit, gravest
from rotator.host.shutdown import out_of_time

LEAST = 10.0  # seconds that hooks have, however little time the caller has left
_LOOK = 0.1  # seconds
_SIGN = 10.0  # seconds between two signs of life


class HookOutcome:
    """Begun before the work. A command without a daemon has its own: it ends with its hooks."""

    def __init__(self, app: App, names: Collection[str]) -> None:
        self._app, self._names = app, names
        self._hooks = None if app.passing else app.hooks
        self._before = self._hooks.undelivered(names) if self._hooks else {}

    async def lines(self, code: int, by: float) -> AsyncGenerator[dict[str, Any]]:
        """Wait for hooks until `by`, monotonic seconds; one line when not all have taken what they were told.

        `code`: the exit code of the verdict.
        """
        if self._hooks is None:
            return
        clock = self._app.clock
        sign, by = clock.monotonic(), max(by, clock.monotonic() + LEAST)
        while (owing := self._hooks.owing(self._names)) and clock.monotonic() < by and not out_of_time():
            if self._app.worker_pool.stopping:
                break
            if clock.monotonic() >= sign + _SIGN:
                sign = clock.monotonic()
                yield {"waiting": len(owing), "said": f"hook {', '.join(owing)} has not answered yet"}
            await clock.sleep(_LOOK)
        after = self._hooks.undelivered(self._names)
        failed = sorted(name for name, count in after.items() if count > self._before[name])
        if failed or owing:
            yield failed_line(code, failed, owing)


def failed_line(code: int, failed: Iterable[str], owing: Iterable[str] = ()) -> dict[str, Any]:
    """What is done is done; who was to be told of it was not. `owing`: hooks that are still tried."""
    said = [f"hook {', '.join(failed)} failed, or was not called any more"] if failed else []
    said += [f"hook {', '.join(owing)} did not succeed yet and is still tried"] if owing else []
    text = f"{'; '.join(said)}; what was done stays done, the log says why"
    return {"hooks_failed": [*failed, *owing], "said": text, "exit": gravest([code, Exit.HOOK_FAILED])}
