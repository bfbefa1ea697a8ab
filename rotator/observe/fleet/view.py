"""What the fleet is looked at through: protocols that a running daemon fulfils."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from rotator.engine.reconciler import ReconcileResult
from rotator.rotation.credential import Credential
from rotator.rotation.record import Record


class Dependency(Protocol):
    """Vault, a target or a minter, paused after trouble. `trips`: pauses in a row; zero when it works."""

    @property
    def trips(self) -> int: ...

    @property
    def reason(self) -> str: ...

    def left(self, now: float) -> float:
        """Seconds until it is called again."""
        ...


class DependencyHealth(Protocol):
    """Every neighbour, by the name it has in settings."""

    @property
    def vault(self) -> Dependency: ...

    @property
    def targets(self) -> Mapping[str, Dependency]: ...

    @property
    def minters(self) -> Mapping[str, Dependency]: ...


class View(Protocol):
    """What is looked at: a running daemon. `moved`: monotonic seconds of the last finished visit."""

    @property
    def credentials(self) -> Mapping[str, Credential]:
        """What settings want."""
        ...

    @property
    def seen(self) -> Mapping[str, ReconcileResult]:
        """What the last visits found."""
        ...

    @property
    def read_at(self) -> Mapping[str, datetime]:
        """When each record was last read from Vault."""
        ...

    @property
    def left(self) -> Mapping[str, Record]:
        """The records of credentials that left the settings."""
        ...

    @property
    def broken(self) -> Mapping[str, str]:
        """Names that were refused or met a bug, and why."""
        ...

    @property
    def accepted(self) -> Mapping[str, datetime]:
        """When each published value was last seen to be accepted."""
        ...

    @property
    def doubted(self) -> Mapping[str, datetime]:
        """When a published value was refused once, and is to be asked again before that counts."""
        ...

    @property
    def unproven(self) -> Mapping[str, datetime]:
        """Since when nobody knows whether a published value is accepted."""
        ...

    @property
    def health(self) -> DependencyHealth:
        """How the neighbours are doing."""
        ...

    @property
    def moved(self) -> float:
        """When a worker last finished a visit."""
        ...

    def pause(self, credential: Credential) -> tuple[float, str]:
        """Seconds for which nothing may be done about it, and why."""
        ...
