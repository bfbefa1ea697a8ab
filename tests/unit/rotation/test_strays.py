"""Which tokens on a target no record accounts for. We end only what is provably ours and provably forgotten."""

from __future__ import annotations

import pytest

from rotator.rotation.ownership import is_stray, known
from rotator.rotation.record import Phase, Token
from tests.unit.rotation.builders import STEM, record, token

MINTING = record(Phase.REQUESTED, rotation=3, attempt=2)
REJECTED = record(Phase.REJECTED, rotation=3, attempt=2, candidate=None)
HELD = record(Phase.HELD, rotation=3, attempt=2, candidate=None)
PUBLISHED = record(Phase.PUBLISHED)

TABLE = {
    "a token of an earlier attempt": (MINTING, token(3, 1), True),
    "a token of an earlier rotation": (MINTING, token(2, 7), True),
    "the token being minted is not": (MINTING, token(3, 2), False),
    "the token being burned is not": (REJECTED, token(3, 2), False),
    "a token of the attempt on hold is not": (HELD, token(3, 2), False),
    "a second token of the published attempt": (PUBLISHED, token(2, id="t2.1-again"), True),
    "the published token is not": (PUBLISHED, token(2), False),
    "the predecessor is not": (PUBLISHED, token(1), False),
    "the candidate is not": (record(Phase.STAGED), token(2), False),
    "a token of a later attempt than the record knows is not": (PUBLISHED, token(2, 2), False),
    "a token of a later rotation than the record knows is not": (PUBLISHED, token(3), False),
    "a token of another credential is not": (PUBLISHED, Token("x", f"{STEM}x-r1-a1"), False),
    "a token of an earlier lineage is not": (PUBLISHED, Token("x", "rotator-home-blog-bot-l0-r1-a1"), False),
    "a token with a name of somebody else's is not": (PUBLISHED, Token("x", "personal laptop"), False),
    "a token without a name is not": (PUBLISHED, Token("x"), False),
}


@pytest.mark.parametrize(("after", "found", "verdict"), TABLE.values(), ids=TABLE)
def test_a_stray_is(after, found, verdict) -> None:
    assert is_stray(after, found) is verdict


def test_a_record_accounts_for_what_is_published_preceding_and_staged() -> None:
    assert known(PUBLISHED) == {"t2.1", "t1.1"}
    assert known(record(Phase.STAGED)) == {"t1.1", "t2.1"}
    assert known(record(Phase.SETTLED, current=None)) == set()
