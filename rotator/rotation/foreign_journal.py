"""Evidence that another journal mints under our names, because this Vault was restored or copied.

Five kinds of evidence, each with the reason why a late mint of our own is not mistaken for it:

- A token with a higher number than the record. Rotation and attempt are journalled by check-and-set before their mint
  is sent, and they never go back, not even by an undo, an adoption, a hold, a crash or a lost answer. So a record that
  is read **after** the listing has at least the number of every token in it, however late a mint lands and whatever
  the clocks say. Only an older journal, or another one, has a lower number.
- A token under the name of the current attempt that was made before its rotation was requested. To compare two clocks,
  the target's stamp of the published token is subtracted from the time of its publication, which was later. So the
  difference can only make a token seem younger than it is. The time of the request is Vault's, which all hosts share;
  the host's own clock never counts. If Vault or the target tells no time, only numbers count. A target whose clock was
  set back by more than the margin looks like evidence; then the credential is held, and nothing is revoked.
- A token with a lower number than the published one, made long after it by the target's own stamps of both. A mint of
  ours whose answer was lost may land late, but not later than the margin.
- A token whose name is already taken when an attempt first asks for it, in the reconcile that began the attempt.
- A token under the name of the current attempt that was used, although nobody here ever had its value: if the answer
  of a mint is lost, its value is lost too. This needs no clock.

After a claim, names have another lineage, so tokens from before the claim are no evidence any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from rotator.rotation import events as ev
from rotator.rotation.phases import SettledState
from rotator.rotation.record import HoldReason, Phase, Record, Token
from rotator.rotation.token_names import Parsed, parse

MARGIN = timedelta(minutes=10)  # for clocks that drift between two rotations


def newest(tokens: Iterable[Token]) -> dict[str, tuple[tuple[int, int], Token]]:
    """For each stem, the highest number in a listing, and its token."""
    found: dict[str, tuple[tuple[int, int], Token]] = {}
    for token in tokens:
        if (name := parse(token.name)) and (name.stem not in found or number(name) > found[name.stem][0]):
            found[name.stem] = (number(name), token)
    return found


def latest(tokens: Iterable[Token]) -> dict[str, Token]:
    """For each stem, the token in a listing that was made last. Only targets that date their tokens have one."""
    found: dict[str, tuple[datetime, Token]] = {}
    for token in tokens:
        name, made = parse(token.name), token.issued_at
        if name and made and (name.stem not in found or made > found[name.stem][0]):
            found[name.stem] = (made, token)
    return {stem: token for stem, (_, token) in found.items()}


def number(name: Parsed) -> tuple[int, int]:
    """Rotation and attempt, which never go back."""
    return name.rotation, name.attempt


def ahead(record: Record, token: Token) -> bool:
    """Whether a token listed before the record was read has a higher number than the record."""
    name = parse(token.name)
    return name is not None and name.stem == own_stem(record) and number(name) > (record.rotation, record.attempt)


def overtaken(record: Record, token: Token) -> bool:
    """Whether a token has a lower number than the published one but was made long after it."""
    current, name = record.current, parse(token.name)
    if current is None or name is None or name.stem != own_stem(record) or current.target != record.target:
        return False
    ours, made, since = parse(current.token.name), token.issued_at, current.token.issued_at
    if ours is None or ours.stem != name.stem or number(name) >= number(ours):
        return False
    return made is not None and since is not None and made > since + MARGIN


def anothers(record: Record, token: Token) -> str:
    """Why a token listed before the record was read is another journal's, in words; empty: it is not."""
    return HIGHER if ahead(record, token) else LOWER if overtaken(record, token) else ""


def own_stem(record: Record) -> str:
    """The stem of the record's names; empty if they have a lineage from before a claim."""
    return record.stem if record.lineage and record.stem.endswith(f"-{record.lineage}") else ""


def earlier(record: Record, token: Token) -> bool:
    """Whether the token of the current attempt was made before its rotation was requested."""
    if token.name != record.mint_name or not own_stem(record):
        return False
    made, asked, behind = token.issued_at, record.requested_told, _behind(record)
    return made is not None and asked is not None and behind is not None and made + behind + MARGIN < asked


def used(record: Record, token: Token, last_used: datetime | None) -> bool:
    """Whether somebody used the token of the current attempt, whose value we do not have."""
    return last_used is not None and token.name == record.mint_name and own_stem(record) != ""


def _behind(record: Record) -> timedelta | None:
    """The most by which the target's clock can be behind, judged by the last publication; None: unknown."""
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
    """The time at which a token was made, in words."""
    return f"made at {token.issued_at:%F %T}Z, before we asked for it"


def said(token: Token, what: str = HIGHER) -> str:
    """The evidence, both causes, and what a person has to decide."""
    return (
        f"{token.id} lives at the target, {what}: this Vault was restored from an older state, or it is a copy and "
        "another rotator works on the original. Nothing is minted or ended at this target until a person decides"
    )


_NAMED_ONLY = frozenset({Phase.REQUESTED, Phase.REJECTED})


def claimed(record: Record, event: ev.Claimed) -> Record:
    """The record after a claim. Published, graced and staged values go on by the ordinary rules, under a new lineage.

    An attempt of which only the name exists is given up, because a token of that name may be another rotator's. An
    attempt whose value was already installed is completed, because consumers wait for it.
    """
    held, here = record.held, record.reached.phase
    waiting = here is Phase.AWAITING and record.candidate is None
    given_up = (here in _NAMED_ONLY or waiting) and record.cut_over_at is None and record.undo is None
    state = SettledState() if given_up else record.reached
    kept = replace(held, state=state) if held and held.reason is not HoldReason.TWO_VAULTS else None
    in_hand = not given_up and here not in (Phase.SETTLED, Phase.PUBLISHED, Phase.CONDEMNED)
    return replace(
        record,
        lineage=event.lineage,
        state=kept or state,
        stem=record.stem if in_hand else "",
        strays=record.strays and in_hand,
        retry_at=None,
    )
