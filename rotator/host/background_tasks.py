"""Work that goes on whoever waits for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from anyio.abc import TaskGroup


@dataclass(slots=True)
class Tasks:
    """Tasks of an actor: they end with it, not with whoever asked. `failed`: told the name and the bug of one."""

    failed: Callable[[str, BaseException], None]
    group: TaskGroup | None = None

    def begin(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Begin; a bug in it is told and ends nothing else. Raises RuntimeError before there is a group."""
        if self.group is None:
            raise RuntimeError("an actor is opened before it is asked for anything")
        self.group.start_soon(self._done, name, work)

    async def _done(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except (Exception, BaseExceptionGroup) as bug:  # noqa: BLE001 (it must not end the others)
            self.failed(name, bug)


def first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first exception in a group of groups."""
    inner = group.exceptions[0]
    return first(inner) if isinstance(inner, BaseExceptionGroup) else inner
