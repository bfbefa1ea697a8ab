"""Owns beginning to keep receipts as settings want it, and saying in the log how that goes."""

from __future__ import annotations

from pathlib import Path

from rotator.logs import voice
from rotator.ports import Refused
from rotator.receipts.book import Book, ReceiptsError
from rotator.receipts.writer import Receipts
from rotator.settings import Audit


def keep(audit: Audit) -> Receipts | None:
    """Open the file; None when settings want none. Raises Refused when it is required and cannot be written."""
    if not audit.file:
        return None
    receipts = Receipts(Book(Path(audit.file), audit.sync), _troubled, found_cut=_cut)
    try:
        end = receipts.open()
    except ReceiptsError as fault:
        if audit.required:
            raise Refused(f"{fault}; [audit] required = true, so nothing is begun") from None
        receipts.note(str(fault))
    else:
        # Whoever keeps this line apart from the file can tell later that the file's end was not cut off.
        voice.say("receipts.opened", file=audit.file, receipts=end.number, head=end.head)
    return receipts


def _cut(said: str) -> None:
    voice.tell("receipts.cut", "error", said=said)


def _troubled(trouble: str) -> None:
    if trouble:
        voice.tell("receipts.missed", "error", said=trouble)
    else:
        voice.say("receipts.resumed")
