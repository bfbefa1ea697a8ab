"""A document in memory, as a provider sees it; it can fail, and it can lose a race."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rotator.ports import Conflict, Document, Fault
from rotator.rotation.secret import Secret


class HandShelf:
    """`faults` are raised by the next verbs; `meanwhile` is called once, between a look and the write after it."""

    def __init__(self, name: str = "secret/doc") -> None:
        self.name = name
        self.version = 0
        self.values: dict[str, object] = {}
        self.faults: list[Fault] = []
        self.meanwhile: Callable[[], object] | None = None

    def put(self, **values: object) -> int:
        self.values = {key: _plain(value) for key, value in values.items()}
        self.version += 1
        return self.version

    def refuse(self, *faults: Fault, after: int = 0) -> None:
        """Let writes fail with these faults, one each, once `after` of them went well."""

        def fail() -> None:
            if after:
                self.refuse(*faults, after=after - 1)
                return
            self.faults.append(faults[0])
            if faults[1:]:
                self.refuse(*faults[1:])

        self.meanwhile = fail

    async def read(self) -> Document:
        if self.faults:
            raise self.faults.pop(0)
        return Document(self.version, dict(self.values) if self.version else None)

    async def write(self, values: Mapping[str, object], over: int) -> int:
        if self.meanwhile:
            happen, self.meanwhile = self.meanwhile, None
            happen()
        if self.faults:
            raise self.faults.pop(0)
        if over != self.version:
            raise Conflict("somebody else wrote")
        return self.put(**values)

    def __str__(self) -> str:
        return self.name


def _plain(value: object) -> object:
    return value.reveal() if isinstance(value, Secret) else value
