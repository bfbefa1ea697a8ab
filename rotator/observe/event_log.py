"""Log lines and progress lines for transitions and other events. rotation/messages.py has the words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from rotator.engine.reconciler import Transition
from rotator.observe import logs
from rotator.rotation.credential import Credential


def log_transition(transition: Transition) -> None:
    """Log the transition: the only place where transitions are logged."""
    told = transition.told
    place = {"credential": transition.credential.name, "target": transition.credential.target}
    took = {"seconds": round(transition.seconds, 3), "said": told.said}
    logs.tell(told.name, told.severity.value, **{**place, **told.fields, **took})


def progress(transition: Transition) -> dict[str, Any]:
    """The progress line of a transition, for a command that waits."""
    told = transition.told
    return {
        "credential": transition.credential.name,
        "event": told.name,
        "severity": told.severity.value,
        "rotation": transition.after.rotation,
        "phase": transition.after.phase.value,
        "said": told.said,
        "seconds": round(transition.seconds, 3),
    }


@dataclass(slots=True)
class TransitionListeners:
    """An observer that passes transitions on to waiting commands. A slow one misses some."""

    listeners: list[MemoryObjectSendStream[Transition]] = field(default_factory=list)

    def __call__(self, transition: Transition) -> None:
        """Pass it on."""
        for listener in self.listeners:
            with suppress(anyio.WouldBlock, anyio.BrokenResourceError):
                listener.send_nowait(transition)

    @contextmanager
    def hearing(self) -> Iterator[MemoryObjectReceiveStream[Transition]]:
        """Listen for as long as the block lasts."""
        send, receive = anyio.create_memory_object_stream[Transition](256)
        self.listeners.append(send)
        try:
            with send, receive:
                yield receive
        finally:
            self.listeners.remove(send)


def fleet_changed(by: str, said: str) -> None:
    """Log that a person paused or resumed many credentials at once."""
    logs.warn("fleet.changed", by=by, said=said)


def unforeseen(credential: str, bug: BaseException) -> None:
    """Log a bug that ended a reconcile. Ignore a fault of the log itself."""
    with suppress(Exception):
        logs.unforeseen(credential, bug)


def troubled(credential: Credential, reason: str) -> None:
    """Log a new reason why a credential cannot be processed."""
    logs.warn("visit.refused", credential=credential.name, target=credential.target, said=reason)


def paused(dependency: str, reason: str, pause: float) -> None:
    """Log that Vault, a target or a minter is left alone for so many seconds; none: it works again."""
    if pause:
        logs.warn("dependency.paused", dependency=dependency, said=reason, seconds=round(pause, 1))
    else:
        logs.say("dependency.recovered", dependency=dependency)


def heard_call(verb: str, uid: int, pid: int) -> None:
    """Log a call at the control socket; health checks call several times a minute."""
    logs.tell("control.called", "debug" if verb == "ping" else "info", verb=verb, uid=uid, pid=pid)


def failed_call(verb: str, bug: BaseException) -> None:
    """Log a bug in a command."""
    logs.warn("control.failed", verb=verb, exc_info=bug)


def strained(reason: str) -> None:
    """Log that the control socket cannot accept callers now."""
    logs.warn("control.strained", said=f"no caller can be accepted: {reason}; it is tried again")
