"""What a target's refusals mean: a refusal tells something of a value only by comparison.

With an invalid value: what is refused as that is, is refused as a value. With a value that must be accepted: where that
is refused as well, something else is wrong. Every kind that shows values in a header is judged by `Refusals.verdict`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from math import inf
from typing import Generic, TypeVar
from uuid import uuid4

from rotator.ports import Accepted, Clock, Refused, Rejected, Transient, Unknown, Verdict
from rotator.providers.http.client import HttpResponse, Unsendable, identified
from rotator.rotation.secret import Secret
from rotator.rotation.wording import when

_HOUR = 3600.0  # seconds; a replaced server may answer differently, and what was refused for longer has ended
_PAUSE, _LONGEST_PAUSE = 10.0, 3600.0  # seconds
_MOST = 3  # values that are shown again for one refusal
_NOT_THERE = (404, 405)  # of the probe, not of the value
EVERYBODY = "everybody is refused there now, which says nothing of this value: is something in front of it in trouble?"
_ALONE = "no other value is known there to compare with, so that something in front of it may refuse everybody"
_GRANTED = "the token endpoint gave it, and the probe accepted those before: is something in front of it in trouble?"

A = TypeVar("A")
Show = Callable[[], Awaitable[bool | None]]  # shows a value: whether it is accepted, None where that is not said


@dataclass(slots=True)
class Strangers(Generic[A]):
    """The answers of one target to invalid proofs, by the way of proving.

    A gateway in trouble gives the same answer to everybody. So the answer is not fetched when it is needed for a
    verdict: an answer fetched right after a valid proof was accepted comes from the target itself, and replaces the
    one of the negative control, never the other way round.
    """

    monotonic: Callable[[], float]
    _answers: dict[Hashable, A] = field(default_factory=dict)
    _fresh_until: dict[Hashable, float] = field(default_factory=dict)

    def answer(self, way: Hashable) -> A | None:
        """The known answer; None before the negative control."""
        return self._answers.get(way)

    def own_word(self, way: Hashable) -> A | None:
        """The answer that was heard right after a sound proof had been accepted; None: none was."""
        return self._answers.get(way) if way in self._fresh_until else None

    def controlled(self, way: Hashable, answer: A) -> None:
        """Store the answer to the negative control."""
        if way not in self._fresh_until:
            self._answers[way] = answer

    async def accepted(self, way: Hashable, ask: Callable[[], Awaitable[A]]) -> None:
        """A valid proof has just been accepted: `ask` again, once an hour. Raises the faults of asking."""
        if self.monotonic() >= self._fresh_until.get(way, -inf):
            self._answers[way] = await ask()
            self._fresh_until[way] = self.monotonic() + _HOUR


@dataclass(slots=True)
class Throttle:
    """Pauses between presentations of the same value, each twice as long as the one before."""

    monotonic: Callable[[], float]
    _next: dict[Hashable, tuple[Hashable, float, float]] = field(default_factory=dict)

    def due(self, what: Hashable, about: Hashable) -> bool:
        """Whether it may be presented now; then it counts as presented. A different `about` starts again."""
        known, at, pause = self._next.get(what, (about, -inf, _PAUSE))
        if known != about:
            at, pause = -inf, _PAUSE
        if self.monotonic() < at:
            return False
        self._next[what] = about, self.monotonic() + pause, min(2 * pause, _LONGEST_PAUSE)
        return True


@dataclass(slots=True)
class _Accepted:
    secret: Secret
    show: Show
    until: float  # monotonic; then it has expired
    refused_since: float | None = None  # monotonic


@dataclass(slots=True)
class PositiveControl:
    """The values that one target has accepted last, by whose they are: shown again where it refuses another."""

    monotonic: Callable[[], float]
    _known: dict[Hashable, _Accepted] = field(default_factory=dict)
    _last: dict[Hashable, Secret] = field(default_factory=dict)

    def accepted(self, whose: Hashable, secret: Secret, show: Show, life: float = inf) -> None:
        """This value, which is to live on for `life` seconds, has just been accepted."""
        self._known.pop(whose, None)
        self._known[whose] = _Accepted(secret, show, self.monotonic() + life)
        self._last[whose] = secret

    def last(self, whose: Hashable) -> Secret | None:
        """The value of theirs that was accepted last; it may have ended since."""
        return self._last.get(whose)

    async def refused(self, whose: Hashable, secret: Secret) -> bool | None:
        """This value has just been refused. Whether that is the target's word on it: another value is accepted at this
        moment. False where others are refused, too; None where there is no other. Raises what `show` raises."""
        known = self._known.get(whose)
        same = known is not None and known.secret.matches(secret)
        if known is not None and not same and self.monotonic() < known.until and await self._accepts(known):
            return True  # were it refused, that would tell nothing: the values of one credential end one another
        others = [each for name, each in self._known.items() if name != whose and self._counts(each)][-_MOST:]
        for other in others:
            if await self._accepts(other):
                if same:
                    del self._known[whose]
                return True
        if not others:
            if same:
                del self._known[whose]
            return None
        if known is not None and same and known.refused_since is None:
            known.refused_since = self.monotonic()
        return False

    async def _accepts(self, known: _Accepted) -> bool | None:
        told = await known.show()
        if told is False and known.refused_since is None:
            known.refused_since = self.monotonic()
        elif told:
            known.refused_since = None
        return told

    def _counts(self, known: _Accepted) -> bool:
        now = self.monotonic()
        return now < known.until and (known.refused_since is None or now < known.refused_since + _HOUR)


@dataclass(frozen=True, slots=True)
class ProbeCall:
    """How a value is shown to its target: a call that only a living one opens."""

    way: Hashable  # of showing: the same way is answered alike
    whose: Hashable  # the credential: its values may end one another
    show: Callable[[Secret | None], Awaitable[HttpResponse]]  # raises Transient, Refused, Unsendable
    identity: Mapping[str, str | int | bool]  # fields that the answer must have
    noun: str = "token"
    hint: Callable[[int], str] = lambda status: ""  # by the status of a refusal, for a person; 401: of a fresh value
    until: datetime | None = None  # the end of the value
    granted: bool = False  # the target's token endpoint gave the value not long ago
    another: Callable[[], Awaitable[Secret]] | None = None  # one that must be accepted, too; raises Transient, Refused
    certain: bool = False  # that one is accepted wherever the target is well, because settings say so

    def fits(self, answer: HttpResponse) -> bool:
        """Whether the value is accepted."""
        return answer.status < 300 and isinstance(identified(answer.document, self.identity), Accepted)

    def said(self, answer: HttpResponse) -> tuple[int, list[str]]:
        """What distinguishes two answers: the status, and the fields of the identity."""
        told = answer.document if isinstance(answer.document, dict) else {}
        return answer.status, [repr(told.get(name)) for name in self.identity]


class Refusals:
    """How one target answers to valid and to invalid values, and what a refusal by it means."""

    def __init__(self, clock: Clock) -> None:
        """Nothing is known yet."""
        self._clock = clock
        self._strangers: Strangers[HttpResponse] = Strangers(clock.monotonic)
        self._positive = PositiveControl(clock.monotonic)

    async def control(self, call: ProbeCall) -> None:
        """The negative control: nobody, and an invented value, must not be accepted. Raises Refused, Transient."""
        answer = await call.show(None)
        if call.fits(answer):
            raise _anyone(f"{answer.status} for no {call.noun}")
        self._strangers.controlled(call.way, await _stranger(call))

    async def verdict(self, call: ProbeCall, secret: Secret, *, keep: bool = True) -> Verdict:
        """The verdict on a value. `keep`: it is to live on, and others may be compared with it."""
        try:
            answer = await call.show(secret)
            if call.fits(answer):
                await self._accepted(call, secret, keep=keep)
                return Accepted()
            if keep and answer.status == 403 and self._strangers.answer(call.way) is None:
                self._strangers.controlled(call.way, await _stranger(call))
            if await self._for_everybody(call, answer):
                return Unknown(f"{answer.status}: {EVERYBODY}")
            if self._refuses(call, answer):
                return await self._refused(call, secret, answer)
        except Unsendable as fault:
            return Rejected(fault.reason, final=True)
        except (Transient, Refused) as fault:
            return Unknown(fault.reason, fault.retry_after)
        return _otherwise(call, answer)

    def last(self, call: ProbeCall) -> Secret | None:
        """The value of the same credential that was accepted last; it may have ended since."""
        return self._positive.last(call.whose)

    async def dead(self, call: ProbeCall, secret: Secret) -> bool | None:
        """Whether the target refuses a value that is to end; None where that cannot be known."""
        verdict = await self.verdict(call, secret, keep=False)
        if isinstance(verdict, Unknown):
            return None
        return isinstance(verdict, Rejected) and not verdict.final

    async def _accepted(self, call: ProbeCall, secret: Secret, *, keep: bool) -> None:
        with suppress(Transient):  # another time
            await self._strangers.accepted(call.way, lambda: _stranger(call))
        if keep:
            life = (call.until - self._clock.now()).total_seconds() if call.until else inf
            self._positive.accepted(call.whose, secret, partial(self._accepts, call, secret), life)

    async def _for_everybody(self, call: ProbeCall, answer: HttpResponse) -> bool:
        """Whether an invented value, which the target refuses in another way, is refused like this at this moment.
        Raises as `show`."""
        own = self._strangers.own_word(call.way) or (answer.status == 403 and self._strangers.answer(call.way))
        if answer.status not in (401, 403) or not own or call.said(own) == call.said(answer):
            return False
        return call.said(await _stranger(call)) == call.said(answer)

    def _refuses(self, call: ProbeCall, answer: HttpResponse) -> bool:
        """Whether the answer is that to an invalid value.

        JupyterHub 6.1.1 answers 403 to it, Vault's AppRole 400, SonarQube 200 with `valid = false`.
        """
        known = self._strangers.answer(call.way)
        alike = known is not None and answer.status not in _NOT_THERE and call.said(answer) == call.said(known)
        return answer.status == 401 or alike

    async def _refused(self, call: ProbeCall, secret: Secret, answer: HttpResponse) -> Verdict:
        """What a refusal says of the value. Raises as `show`."""
        own, status = self._strangers.own_word(call.way), answer.status
        if own is not None and own.status == status and _form(own) != _form(answer):
            return Unknown(f"{status} in other words than the target's own: from something in front of it")
        meant = await self._positive.refused(call.whose, secret)
        if meant is None and call.another:
            meant = await self._compared(call, await _fetched(call.another))
        if meant is False:
            return Unknown(f"{status}: {EVERYBODY}")
        expired = call.until is not None and call.until <= self._clock.now()
        hint = call.hint(status) if call.granted and not expired else ""
        told = f"{status}{hint}" if status == 401 else f"{status}, as for one that nobody has"
        last = self._positive.last(call.whose)
        if meant is None and call.granted and last is not None and not last.matches(secret):
            return Unknown(f"the probe refuses the {call.noun}: {told}; {_GRANTED}")
        if expired:
            return Rejected(f"the probe refuses the {call.noun}: {told}; it expired at {when(call.until)}")
        alone = "" if meant else f"; {_ALONE}"
        return Rejected(f"the probe refuses the {call.noun}: {told}{alone}")

    async def _compared(self, call: ProbeCall, another: Secret | None) -> bool | None:
        """See `PositiveControl.refused`; by one that must be accepted. One that never was may be refused for the same
        reason, a scope that is missing."""
        accepted = await self._accepts(call, another) if another else None
        known = call.certain or self._positive.last(call.whose) is not None
        return None if accepted is False and not known else accepted

    async def _accepts(self, call: ProbeCall, secret: Secret) -> bool | None:
        answer = await call.show(secret)
        if call.fits(answer):
            return True
        if self._refuses(call, answer):
            return False
        heard = self._strangers.own_word(call.way) is not None
        return True if answer.status == 403 and heard else None


def _otherwise(call: ProbeCall, answer: HttpResponse) -> Verdict:
    """Of an answer that is no acceptance, and not that to an invalid value."""
    if answer.status == 403:
        said = f"the probe answers 403: accepted, but scope or role lacks the right for it{call.hint(403)}"
        return Rejected(said, final=True)
    if answer.status >= 300:
        return Unknown(f"the probe answers {answer.status}: is its path right?{call.hint(answer.status)}")
    return identified(answer.document, call.identity)


async def _fetched(another: Callable[[], Awaitable[Secret]]) -> Secret | None:
    try:
        return await another()
    except Refused:
        return None


async def _stranger(call: ProbeCall) -> HttpResponse:
    answer = await call.show(Secret(f"{uuid4()}-{uuid4()}"))
    if call.fits(answer):
        raise _anyone(f"{answer.status} for a broken {call.noun}")
    return answer


def _anyone(said: str) -> Refused:
    return Refused(f"this probe accepts anyone: {said}", remedy="name a `probe` that wants a valid one")


def _form(answer: HttpResponse) -> tuple[str, str]:
    return answer.challenge, answer.media_type
