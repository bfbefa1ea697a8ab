"""Which (phase, fault) pairs a history can reach: every fault in every phase, less what cannot meet."""

from __future__ import annotations

from rotator.rotation.record import Phase
from tests.model.simulation.swarm import ACTS

BY_ACT = {Phase.UNDOING: "undo"}  # phases that only a person's act leads to
PHASES = ("new", *(str(phase) for phase in Phase if BY_ACT.get(phase, ACTS[0]) in ACTS))
HANDS = ("done_by_hand", "done_wrongly", "value_brought")
WIRE = tuple(f"{edge}_{how}" for edge in ("vault", "target") for how in ("lost_before", "lost_after", "late"))
FAULTS = (
    *WIRE,
    *("kill_unsent", "kill_landed", "kill_reading", "kill_answered", "pause_short", "pause_long", "overtaken"),
    *("vault_false_conflict", "vault_sealed", "vault_stale_read"),
    *("target_429", "target_5xx", "target_409", "target_minter_refused"),
    *("target_refuses", "target_settling", "target_lags"),
    *ACTS,
    *HANDS,
)
ON_TARGET = frozenset(x for x in FAULTS if x.startswith("target_"))

# fault -> the only phases in which it can strike: what it strikes at happens nowhere else
ONLY_IN = {
    "target_refuses": {"requested"},  # a mint
    "target_settling": {"staged"},  # the first proof; once accepted, a token stays so
    "target_lags": {"rejected", "condemned"},  # a proof of death
    "vault_stale_read": {"condemned"},  # the only plain read: the predecessor's value
    "release": {"held"},  # the journal has left the hold when it is noted
    "mend": {"held"},
    "done_by_hand": {"awaiting", "held"},
    "done_wrongly": {"awaiting", "held"},
    "value_brought": {"awaiting"},
}
# fault -> phases in which it cannot strike
NEVER_IN = {
    "target_minter_refused": {"staged", "verified"},  # proofs are made with the token itself
    "target_409": {"staged", "verified"},  # nothing is written on the target
    "target_lost_after": {"staged", "verified"},
    "target_late": {"staged", "verified"},
    "journal_metadata": {"new"},
    "overtaken": {"new"},  # who overtakes has written the record
}


def reachable() -> set[tuple[str, str]]:
    """The universe."""
    return {(phase, fault) for fault in FAULTS for phase in PHASES if _meets(phase, fault)}


def _meets(phase: str, fault: str) -> bool:
    if fault in ONLY_IN:
        return phase in ONLY_IN[fault]
    if phase in ("new", "held") and fault in ON_TARGET:
        return False  # a visit calls no target there
    return phase not in NEVER_IN.get(fault, ())
