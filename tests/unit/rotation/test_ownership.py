"""What a value found on the consumer path is to us."""

from __future__ import annotations

import pytest

from rotator.rotation.credential import VaultPath
from rotator.rotation.ownership import ConsumerContent, classify_content, published_here
from rotator.rotation.record import Phase
from tests.unit.rotation.builders import published, record

OURS, NEXT, STRANGE = "print-1.1", "print-2.1", "print-strange"
STAGED, FIRST = record(Phase.STAGED), record(Phase.STAGED, current=None)
MOVED = record(Phase.STAGED, current=published(1, place=VaultPath("kv", "old")))

# record, fingerprint, exists, deleted, content
TABLE = {
    "our published value": (STAGED, OURS, True, False, ConsumerContent.CURRENT),
    "the candidate, published already": (STAGED, NEXT, True, False, ConsumerContent.CANDIDATE),
    "somebody else's value": (STAGED, STRANGE, True, False, ConsumerContent.FOREIGN),
    "a document without our key": (STAGED, None, True, False, ConsumerContent.FOREIGN),
    "our value deleted": (STAGED, None, True, True, ConsumerContent.DELETED),
    "our document gone with all its versions": (STAGED, None, False, False, ConsumerContent.DELETED),
    "nothing yet": (FIRST, None, False, False, ConsumerContent.EMPTY),
    "a document of others that our key may join": (FIRST, None, True, False, ConsumerContent.EMPTY),
    "a strange value before our first": (FIRST, STRANGE, True, False, ConsumerContent.FOREIGN),
    "deleted before our first": (FIRST, None, True, True, ConsumerContent.DELETED),
    "nothing yet at the new place": (MOVED, None, False, False, ConsumerContent.EMPTY),
    "our old value copied to the new place is not known there": (MOVED, OURS, True, False, ConsumerContent.FOREIGN),
    "our value while nothing is in flight": (record(Phase.SETTLED), OURS, True, False, ConsumerContent.CURRENT),
}


@pytest.mark.parametrize(("known", "mark", "exists", "deleted", "content"), TABLE.values(), ids=TABLE)
def test_recognise(known, mark, exists, deleted, content) -> None:
    assert classify_content(known, mark, exists=exists, deleted=deleted) is content


def test_what_was_published_elsewhere_is_not_published_here() -> None:
    assert published_here(MOVED) is None
    assert published_here(STAGED) == STAGED.current
    assert published_here(record(Phase.SETTLED, place=None)) is not None
