"""Which of our tokens on a target no record accounts for; listing and revoking them is the engine's."""

from __future__ import annotations

from rotator.rotation.record import Phase, Record, Token
from rotator.rotation.second_vault import overtaken
from rotator.rotation.token_names import parse

_MINTING = frozenset({Phase.REQUESTED, Phase.AWAITING, Phase.REJECTED, Phase.HELD})


def known(record: Record) -> frozenset[str]:
    """The ids of every token that the record accounts for."""
    published = {x.token.id for x in (record.current, record.predecessor) if x}
    return frozenset(published | ({record.candidate.token.id} if record.candidate else set()))


def is_stray(record: Record, token: Token) -> bool:
    """Whether a token of ours is accounted for by nothing.

    Numbers never go back, so a token of an older attempt than a record **read after** the listing cannot be about
    to be recorded. A token of the current attempt is left alone while that attempt is minting; what another journal
    made is not ours to end.
    """
    name = parse(token.name)
    if name is None or name.stem != record.stem or token.id in known(record) or overtaken(record, token):
        return False
    here, there = (record.rotation, record.attempt), (name.rotation, name.attempt)
    return there < here or (there == here and record.phase not in _MINTING)
