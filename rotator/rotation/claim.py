"""A claim: a person says that this Vault is the only one, and a new lineage of names begins. Pure."""

from __future__ import annotations

from dataclasses import replace

from rotator.rotation import command_events as cmd
from rotator.rotation.record import HoldReason, Phase, Record

_NAMED_ONLY = frozenset({Phase.REQUESTED, Phase.REJECTED})


def claimed(record: Record, event: cmd.Claimed) -> Record:
    """What is published, in grace or staged goes on by the ordinary rules; names of the old lineage are not used again.

    An attempt that exists by its name alone is given up: what lives under that name may be another rotator's. Where the
    target was told a value already, the attempt is brought to its end, as consumers wait for it.
    """
    held, here = record.held, record.held.phase if record.held else record.phase
    waiting = here is Phase.AWAITING and record.candidate is None
    given_up = (here in _NAMED_ONLY or waiting) and record.cut_over_at is None and record.undo is None
    phase = Phase.SETTLED if given_up else here
    kept = replace(held, phase=phase) if held and held.reason is not HoldReason.TWO_VAULTS else None
    in_hand = not given_up and here not in (Phase.SETTLED, Phase.PUBLISHED, Phase.CONDEMNED)
    return replace(
        record,
        lineage=event.lineage,
        phase=Phase.HELD if kept else phase,
        held=kept,
        stem=record.stem if in_hand else "",
        candidate=None if given_up else record.candidate,
        uncertain=record.uncertain and not given_up,
        awaiting="" if given_up else record.awaiting,
        strays=record.strays and in_hand,
        retry_at=None,
    )
