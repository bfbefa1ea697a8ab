"""Evidence that another journal mints under our names: this Vault was restored, or it is one of two. Pure.

Five kinds of evidence, and why no late mint of our own is taken for either:

- A token with a higher number than the record. Rotation and attempt are journalled, by check-and-set, before the mint
  that bears them leaves, and they never go back: neither by an undo, nor by an adoption, a hold, a crash or a lost
  answer. So a record that is read **after** the listing has at least the number of every token in it, however late the
  mint landed and whatever the clocks of the hosts say. Only an older journal, or another one, has not.
- A token under the name of the attempt in hand, made before the rotation was requested. Both times have to be on one
  clock: the target's own stamp of the published token is compared with the time at which that was published, which was
  later by any clock, so the difference taken from it can only make a token seem younger than it is. The time of the
  request is Vault's, which all hosts share; a host's own clock never counts. Where Vault or the target tells no time,
  numbers alone count. A clock of the target that was set back by more than the margin since then would be taken for
  evidence: what follows is a hold, and nothing is revoked.
- A token with a lower number than what is published, made long after that by the target's own stamps of both. A mint
  of ours whose answer was lost may land late, but not by the margin.
- A token whose name is taken when an attempt asks for it the first time, in the visit that has just begun that attempt.
- A token under the name of the attempt in hand that was used, although nobody here ever had its value: of a mint whose
  answer was lost, the value is lost, too. No clock is needed for that.

What a claim leaves behind bears another lineage in its name, and is no evidence any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from rotator.rotation import events as ev
from rotator.rotation.record import HoldReason, Phase, Record, Token
from rotator.rotation.token_names import Parsed, parse

MARGIN = timedelta(minutes=10)  # for clocks that drift between two rotations


def newest(tokens: Iterable[Token]) -> dict[str, tuple[tuple[int, int], Token]]:
    """The highest number in a listing for each stem, and its token."""
    found: dict[str, tuple[tuple[int, int], Token]] = {}
    for token in tokens:
        if (name := parse(token.name)) and (name.stem not in found or number(name) > found[name.stem][0]):
            found[name.stem] = (number(name), token)
    return found


def latest(tokens: Iterable[Token]) -> dict[str, Token]:
    """The token in a listing that was made last, for each stem; of targets that date what they make."""
    found: dict[str, tuple[datetime, Token]] = {}
    for token in tokens:
        name, made = parse(token.name), token.issued_at
        if name and made and (name.stem not in found or made > found[name.stem][0]):
            found[name.stem] = (made, token)
    return {stem: token for stem, (_, token) in found.items()}


def number(name: Parsed) -> tuple[int, int]:
    """What never goes back."""
    return name.rotation, name.attempt


def ahead(record: Record, token: Token) -> bool:
    """Whether a token that was listed before the record was read has a number that the record never gave."""
    name = parse(token.name)
    return name is not None and name.stem == own_stem(record) and number(name) > (record.rotation, record.attempt)


def overtaken(record: Record, token: Token) -> bool:
    """Whether a token bears a lower number than what is published, and was made long after that."""
    current, name = record.current, parse(token.name)
    if current is None or name is None or name.stem != own_stem(record) or current.target != record.target:
        return False
    ours, made, since = parse(current.token.name), token.issued_at, current.token.issued_at
    if ours is None or ours.stem != name.stem or number(name) >= number(ours):
        return False
    return made is not None and since is not None and made > since + MARGIN


def anothers(record: Record, token: Token) -> str:
    """What shows that another journal has a token that was listed before the record was read, or nothing."""
    return HIGHER if ahead(record, token) else LOWER if overtaken(record, token) else ""


def own_stem(record: Record) -> str:
    """The stem of the record's names; empty when they are those of a lineage before a claim."""
    return record.stem if record.lineage and record.stem.endswith(f"-{record.lineage}") else ""


def earlier(record: Record, token: Token) -> bool:
    """Whether the token of the attempt in hand was made before its rotation was requested."""
    if token.name != record.mint_name or not own_stem(record):
        return False
    made, asked, behind = token.issued_at, record.requested_told, _behind(record)
    return made is not None and asked is not None and behind is not None and made + behind + MARGIN < asked


def used(record: Record, token: Token, last_used: datetime | None) -> bool:
    """Whether somebody used the token of the attempt in hand, whose value we do not have."""
    return last_used is not None and token.name == record.mint_name and own_stem(record) != ""


def _behind(record: Record) -> timedelta | None:
    """By how much the target's clock is behind at most, by what was published last."""
    current = record.current
    if current is None or current.token.issued_at is None or current.target != record.target:
        return None
    return current.at - current.token.issued_at


SHORT = (
    "it lives {}: this Vault was restored, or it is a copy; `rotate claim` if it is the only one, "
    "`[daemon] read_only = true` if it is a copy"
)
HIGHER = "with a later number than our record"
LOWER = "with an earlier number than what we published, and was made long after that"
USED = "under the name of our attempt, and was used before we had its value"
TAKEN = "under the name of our attempt, before we asked for it the first time"


def made_before(token: Token) -> str:
    """When it was made, in words."""
    return f"made at {token.issued_at:%F %T}Z, before we asked for it"


def said(token: Token, what: str = HIGHER) -> str:
    """Both causes, and what a person has to decide."""
    return (
        f"{token.id} lives at the target, {what}: this Vault was restored from an older state, or it is a copy and "
        "another rotator works on the original. Nothing is minted or ended at this target until a person decides"
    )


_NAMED_ONLY = frozenset({Phase.REQUESTED, Phase.REJECTED})


def claimed(record: Record, event: ev.Claimed) -> Record:
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
