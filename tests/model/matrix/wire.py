"""The wire: every call of a visit to Vault or to the target passes here, under a name, and may be struck there.

The effects are those of the fakes, which the contract suite holds to the real edges.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from rotator.engine import reconciler
from rotator.engine.context import RotationContext
from rotator.ports import Capabilities, Document, Fault, Rejected, Unknown, Verdict
from rotator.rotation.credential import VaultPath
from rotator.rotation.record import Record, Token
from rotator.rotation.secret import Secret
from tests.kit.every_verb import EveryVerb
from tests.kit.store import FakeStore

VISIT = "Visit"  # what a visit does outside of any step: load, claim, let go


class Point(NamedTuple):
    """Where a call is made: in which step, which call, the how manieth of its kind in that step."""

    step: str
    call: str
    nth: int = 1

    def __str__(self) -> str:
        return f"{self.step}: {self.call}" + (f" ({self.nth})" if self.nth > 1 else "")


@dataclass(frozen=True, slots=True)
class Call:
    """One call. `effect` does it; `place` is Vault's document, None at the target."""

    verb: str
    effect: Callable[[], Any]
    place: VaultPath | None = None
    strong: bool = True
    older: bool = False  # a given version is read, not the newest

    @property
    def document(self) -> str:
        """journal, staged, consumer; empty at the target."""
        if self.place is None:
            return ""
        return self.place.path.split("/")[1] if self.place.path.startswith("rotator/") else "consumer"

    @property
    def name(self) -> str:
        """As the table calls it."""
        if not self.document:
            return self.verb
        return f"{self.verb} {self.document}" + (", an older version" if self.older else "")


Strike = Callable[[Any, Point, Call], Any]  # who calls, where, what


@dataclass
class Wire:
    """What passes: `points` in their order. `strike` performs a call, or does something worse."""

    strike: Strike
    step: str = VISIT
    points: list[Point] = field(default_factory=list)
    _seen: Counter[tuple[str, str]] = field(default_factory=Counter)

    def cross(self, actor: Any, call: Call) -> Any:
        """One call passes."""
        here = self.step, call.name
        self._seen[here] += 1
        point = Point(*here, self._seen[here])
        self.points.append(point)
        return self.strike(actor, point, call)

    @contextmanager
    def stepping(self, step: str) -> Iterator[None]:
        """While a step is performed; the journal write that follows is its own too."""
        self.step = step
        self._seen.clear()
        yield

    def between(self) -> None:
        """The step is over, and written down."""
        self.step = VISIT
        self._seen.clear()


@contextmanager
def watched(wire: Wire) -> Iterator[None]:
    """Let the wire know which step is being performed."""
    whole = reconciler.perform

    async def perform(bench: RotationContext, record: Record, step: Any) -> Any:
        with wire.stepping(type(step).__name__):
            return await whole(bench, record, step)

    reconciler.perform = perform
    try:
        yield
    finally:
        reconciler.perform = whole


def drive(coro: Coroutine[Any, Any, Any]) -> Any:
    """Run what never waits: the fakes answer at once."""
    try:
        coro.send(None)
    except StopIteration as end:
        return end.value
    coro.close()
    raise AssertionError("it waits")


@dataclass
class WiredStore:
    """The store port on a wire."""

    wire: Wire
    inner: FakeStore
    clock: Callable[[], datetime]
    actor: Any = None

    def server_clock(self) -> datetime:
        """Vault's clock, which is right."""
        return self.clock()

    async def read(self, place: VaultPath, *, version: int | None = None, strong: bool = False) -> Document:
        """See `SecretStore.read`."""
        call = Call(
            "read",
            lambda: drive(self.inner.read(place, version=version, strong=strong)),
            place,
            strong,
            version is not None,
        )
        return self.wire.cross(self.actor, call)

    async def write(self, place: VaultPath, values: Mapping[str, object], *, cas: int) -> int:
        """See `SecretStore.write`."""
        self.actor.leaves(place, values, cas)
        call = Call("write", lambda: self.actor.landed(place, drive(self.inner.write(place, values, cas=cas))), place)
        try:
            return self.wire.cross(self.actor, call)
        finally:
            if call.document == "journal":
                self.wire.between()

    async def destroy(self, place: VaultPath, versions: tuple[int, ...]) -> None:
        """See `SecretStore.destroy`."""
        self.wire.cross(self.actor, Call("destroy", lambda: drive(self.inner.destroy(place, versions)), place))


@dataclass
class WiredProvider(EveryVerb):
    """The provider port on a wire. A proof that fails is a verdict, as with every provider."""

    wire: Wire
    inner: Any
    actor: Any = None

    @property
    def capabilities(self) -> Capabilities:
        """See `Provider.capabilities`."""
        return self.inner.capabilities

    async def call(self, verb: str, *args: Any) -> Any:
        """One call passes."""
        self.actor.calls(verb, args)
        effect = lambda: self.actor.did(verb, args, drive(getattr(self.inner, verb)(*args)))  # noqa: E731 (it is passed on)
        return self.wire.cross(self.actor, Call(verb, effect))

    async def verify(self, token: Token, secret: Secret) -> Verdict:
        """See `Provider.verify`."""
        try:
            verdict: Verdict | str = await self.call("verify", token, secret)
        except Fault as fault:
            return Unknown(fault.reason, fault.retry_after)
        return verdict if not isinstance(verdict, str) else Rejected(verdict, final=True)
