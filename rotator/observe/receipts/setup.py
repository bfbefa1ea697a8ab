"""Beginning to keep receipts as settings want it, and saying in the log how that goes."""

from __future__ import annotations

import os
from pathlib import Path

from rotator.host.threads import within
from rotator.observe.logs import log
from rotator.observe.receipts.chain import Link
from rotator.observe.receipts.receipt_file import ReceiptFile, ReceiptsError, ends_well
from rotator.observe.receipts.writer import Receipts
from rotator.ports import Refused
from rotator.settings import Audit

_PATIENCE = 5.0  # seconds for a drive to answer


def keep(audit: Audit) -> Receipts | None:
    """Open the file; None when settings want none. Raises Refused when it is required and cannot be written."""
    if not audit.file:
        return None
    receipts = Receipts(ReceiptFile(Path(audit.file), audit.sync), _troubled, found_cut=_cut)
    try:
        end = _opened(receipts)
    except ReceiptsError as fault:
        if audit.required:
            raise Refused(f"{fault}; [audit] required = true, so nothing is begun") from None
        receipts.note(str(fault))
    else:
        # Whoever keeps this line apart from the file can tell later that the file's end was not cut off.
        log.say("receipts.opened", file=audit.file, receipts=end.number, head=end.head)
    return receipts


def _opened(receipts: Receipts) -> Link:
    try:
        return within(_PATIENCE, receipts.open)
    except TimeoutError as late:
        raise ReceiptsError(f"receipts {receipts.book.path}: {late}") from None


def unfit(audit: Audit) -> str:
    """Why the file cannot be written by this user, or nothing; it is not touched."""
    path = Path(audit.file)
    if path.exists() or path.is_symlink():
        if path.is_symlink() or not path.is_file():
            return f"{path} is not a regular file"
        if not os.access(path, os.W_OK | os.R_OK):
            return f"{path} is not writable by this user"
        return "" if ends_well(path) else f"{path}: the last line is no receipt"
    if not path.parent.is_dir():
        return f"{path.parent} is no folder"
    return "" if os.access(path.parent, os.W_OK) else f"{path.parent} is not writable by this user"


def _cut(said: str) -> None:
    log.tell("receipts.cut", "error", said=said)


def _troubled(trouble: str) -> None:
    if trouble:
        log.tell("receipts.missed", "error", said=trouble)
    else:
        log.say("receipts.resumed")
