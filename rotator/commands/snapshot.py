"""The states of credentials at one moment: which are selected, and how a running daemon is asked for them.

Nothing here needs the settings or Vault, so that a command which a daemon answers loads neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Any

import anyio
import msgspec

from rotator.app import control
from rotator.host.exit_codes import Exit
from rotator.ports import Fault, Transient
from rotator.rotation.credential_state import GRAVEST_EXIT, GRAVITY, State
from rotator.rotation.operator_request import Unclaimed
from rotator.rotation.ownership import Unmanaged

_PATIENCE = 10.0  # seconds for a daemon's answer; then the journal is read


@dataclass(frozen=True, slots=True)
class Selection:
    """The credentials to show: those with one of these names, labels or targets; every one when none is given.

    `words`: only those in one of these states, by headline or severity. `limit`: so many, the worst first.
    """

    names: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    targets: Sequence[str] = ()
    words: Sequence[str] = ()
    limit: Annotated[int, msgspec.Meta(ge=1)] | None = None

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return not (self.names or self.labels or self.targets or self.words) and self.limit is None

    @property
    def of_settings(self) -> Selection:
        """The part that settings alone decide."""
        return replace(self, words=(), limit=None)

    def of_words(self, states: Iterable[State]) -> list[State]:
        """Those of these states that the words name."""
        return [each for each in states if not self.words or each.word in self.words or each.mark in self.words]

    def within(self, states: Sequence[State]) -> tuple[Sequence[State], int]:
        """Those of these states that the limit allows, and how many more there are."""
        if self.limit is None:
            return states, 0
        worst = sorted(states, key=lambda each: GRAVITY[each.mark])
        return worst[: self.limit], max(0, len(worst) - self.limit)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The states at one moment. `stale`: why they may be old; empty: they are of `at`.

    `left`: living values of credentials that left the settings; empty unless everything is shown. `code`: the exit
    code of a command that looks, for all that was selected. `more`: how many a limit left out.
    """

    states: Sequence[State]
    at: datetime
    stale: str = ""
    login: str = ""  # what we log in to Vault with, in words, when it ends soon
    refused: str = ""  # why the daemon refused the settings on disk
    unseen: Sequence[str] = ()  # credentials of the settings that the daemon does not know, while Vault cannot be read
    left: Sequence[Unmanaged] = ()
    unclaimed: Sequence[Unclaimed] = ()  # requests for credentials that left the settings
    code: int = Exit.DONE
    more: int = 0
    read_only: bool = False  # it is a copy, which is looked at and never acts

    def narrowed(self, selection: Selection) -> Snapshot:
        """The part of it that a selection shows, when it holds all that settings alone select."""
        shown, more = selection.within(selection.of_words(self.states))
        found = replace(self, states=shown, more=more, code=looking_exit(each.exit for each in self.states))
        return found if selection.everything else replace(found, left=(), unclaimed=())


class WrongSelection(Fault):
    """The daemon knows no such credential, label or target; the reason says which."""


def looking_exit(codes: Iterable[int]) -> int:
    """The exit code of a command that only looks, from those of the states."""
    found = set(codes)
    return next((code for code in GRAVEST_EXIT if code in found), Exit.DONE)


async def asked(socket: str, selection: Selection, which: list[str] | None) -> Snapshot | None:
    """The states from a running daemon; None when it cannot be asked. Raises WrongSelection.

    `which`: the daemon must be of this installation; None: any daemon.
    """
    wanted = {key: value for key, value in msgspec.to_builtins(selection).items() if value}
    if lines := await _ask(socket, which, "states", {"names": [], **wanted}):
        *parts, end = lines
        with suppress(KeyError, ValueError, msgspec.ValidationError):  # a daemon of another version
            rows = [row for part in parts for row in msgspec.convert(part["states"], list[State])]
            left = msgspec.convert(end["left"], list[Unmanaged])
            gone = msgspec.convert(end["unclaimed"], list[Unclaimed])
            said = {key: end[key] for key in ("stale", "login", "refused", "code", "more", "read_only")}
            return Snapshot(rows, datetime.fromisoformat(end["at"]), left=left, unclaimed=gone, **said)
    return None


async def told(socket: str, name: str, which: list[str] | None) -> tuple[list[str], int]:
    """The sentences and exit code from a running daemon; no sentences when it cannot be asked. See `asked`."""
    lines = await _ask(socket, which, "explain", {"names": [name]})
    if lines and all("said" in line for line in lines[:-1]) and isinstance(lines[-1].get("exit"), int):
        return [str(line["said"]) for line in lines[:-1]], lines[-1]["exit"]
    return [], 0


async def _ask(socket: str, which: list[str] | None, verb: str, wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The answer of a running daemon; empty without one, or if it has other settings."""
    request = {"verb": verb, "vault": which, **wanted}
    try:
        with anyio.fail_after(_PATIENCE):
            if not await control.answers(socket):
                return []
            async with aclosing(control.call(socket, request)) as replies:
                lines = [line async for line in replies]
    except (TimeoutError, Transient):
        return []
    if lines and "error" in lines[0]:
        if lines[0].get("exit") == Exit.USAGE:
            raise WrongSelection(str(lines[0]["error"]))
        return []
    return lines
