"""Whether a running daemon counts as alive: its loop, its workers and its way to Vault moved not long ago.

What follows from a missing sign is left to those who ask: the watchdog is not fed, the health page says no.
"""

from __future__ import annotations

from enum import StrEnum


class SignOfLife(StrEnum):
    """A sign of life, in the words of the log."""

    LOOP = "the scheduler's loop"
    WORKER = "a worker"
    VAULT = "an answer of Vault"


class Liveness:
    """When each sign was felt last. All times are monotonic seconds.

    A worker may wait out a target's deadlines. Vault may be away for long, and a restart brings it no nearer: only
    after a quarter of an hour without one answer is a fresh start worth a try, in case the fault is ours.
    """

    def __init__(self, now: float, *, tick: float = 1.0, lease: float = 30.0) -> None:
        """`tick` and `lease` (seconds) are how often the loop turns and how often Vault is asked for a sign."""
        self._patience = {
            SignOfLife.LOOP: max(30.0, 3 * tick),
            SignOfLife.WORKER: 300.0,
            SignOfLife.VAULT: max(900.0, 3 * lease),
        }
        self._felt = dict.fromkeys(SignOfLife, now)

    def felt(self, sign: SignOfLife, at: float) -> None:
        """It moved; an older time than the one known changes nothing."""
        self._felt[sign] = max(self._felt[sign], at)

    def still(self, now: float) -> str:
        """The signs that are missing, in words; empty when all is well."""
        silent = {sign: now - at for sign, at in self._felt.items() if now - at > self._patience[sign]}
        return "; ".join(f"no sign of {sign} for {seconds:.0f} s" for sign, seconds in silent.items())
