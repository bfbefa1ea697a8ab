"""Receipts: every transition as one line of an append-only file, each line with the SHA-256 of the one before.

A chain shows what was changed before its end. That its end was cut off, or that all of it was made anew, shows only
against a head noted elsewhere: the daemon logs its head for that purpose, and `rotate receipts verify` takes it. A
fault of the file never reaches a reconcile.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rotator.engine.reconciler import Transition
from rotator.host.threads import within
from rotator.observe import logs
from rotator.observe.logs.redaction import Redactor, redact
from rotator.observe.receipts.chain import (
    START,
    ChainFault,
    ChainVerdict,
    Link,
    ReceiptFile,
    ReceiptsError,
    ill_ended,
    parse,
    verify,
)
from rotator.ports import Refused
from rotator.rotation.record import Candidate, LeftValue, PublishedValue, Record, Unended
from rotator.settings import Audit

_KEPT = 10_000  # transitions kept in memory while the file cannot be written
_AT_ONCE = 256
_PATIENCE = 5.0  # seconds for a drive to answer
__all__ = [
    "START",
    "ChainFault",
    "ChainVerdict",
    "ReceiptFile",
    "Receipts",
    "ReceiptsError",
    "keep",
    "parse",
    "unfit",
    "verify",
]


@dataclass(slots=True)
class Receipts:
    """An observer. What cannot be written is kept, and tried again with the next transition or on request.

    Thread-safe (probes run in a thread): only one thread writes at a time.

    `troubled` is called once per trouble, and once with an empty text when it is over.
    """

    receipt_file: ReceiptFile
    troubled: Callable[[str], None]
    trouble: str = ""
    cut: str = ""  # why the file is not the one that was stored as head
    found_cut: Callable[[str], None] = lambda said: None
    lost: int = 0  # counted by `take`; `_told` is counted by `flush`
    _told: int = 0
    _waiting: deque[Mapping[str, Any]] = field(default_factory=deque)
    _writing: list[Mapping[str, Any]] = field(default_factory=list)
    _redact: Redactor = redact
    _alone: threading.RLock = field(default_factory=threading.RLock)

    def open(self) -> Link:
        """Check the end of the file and continue from there. Raises ReceiptsError."""
        with self._alone:
            return self.receipt_file.open()

    def __call__(self, transition: Transition) -> None:
        """Write a receipt. Raises no fault of the file."""
        self.take(transition)
        self.flush()

    def take(self, transition: Transition) -> None:
        """Queue a transition for the next flush, which may be in another thread."""
        self._keep(self._receipt(transition))

    def take_fleet(self, at: datetime, event: str, by: str, said: str, holder: str) -> None:
        """Queue an event about the whole installation."""
        self._keep(
            {
                "at": at.astimezone(UTC).isoformat(timespec="milliseconds"),
                "by": holder,
                "event": event,
                "said": self._redact(said),
                "asked_by": self._redact(by),
            }
        )

    def _keep(self, receipt: Mapping[str, Any]) -> None:
        if self._waiting and len(self._waiting) + len(self._writing) >= _KEPT:
            self._waiting.popleft()
            self.lost += 1
        self._waiting.append(receipt)

    def flush(self) -> str:
        """Write what is queued. Returns why that is not possible, or an empty text."""
        with self._alone:
            return self.note(self._written())

    def _written(self) -> str:
        try:
            while self._writing or self._waiting:
                while self._waiting and len(self._writing) < _AT_ONCE:
                    self._writing.append(self._waiting.popleft())
                lost = self.lost
                more = [{"event": "receipts.lost", "transitions": lost - self._told}] if lost > self._told else []
                self.receipt_file.append([*more, *self._writing])
                self._told = lost
                self._writing.clear()
        except ReceiptsError as fault:
            self._waiting.extendleft(reversed(self._writing))
            self._writing.clear()
            return str(fault)
        return ""

    def tells(self) -> dict[str, str]:
        """The newest head, to be stored where those who can write the file cannot change it."""
        end = self.receipt_file.end
        return {"receipts": str(end.number), "receipts_head": end.head} if end.number else {}

    def compare(self, told: Mapping[str, object]) -> None:
        """Compare the file with a head that `tells` gave before."""
        number, head = str(told.get("receipts", "")), str(told.get("receipts_head", ""))
        if not number.isdecimal():
            return
        try:
            with self._alone:
                self.receipt_file.open()
                self.cut = self.receipt_file.lacks(Link(int(number), head))
        except (ReceiptsError, OSError) as fault:
            self.cut = str(fault)
        if self.cut:
            self.found_cut(f"the file of receipts {self.receipt_file.path} {self.cut}")

    def barred(self) -> str:
        """Why no rotation may begin without receipts; the file is tried first. Empty: it may."""
        with self._alone:
            try:
                self.receipt_file.open()
            except ReceiptsError as fault:
                return self.note(str(fault))
            return self.flush()

    def note(self, trouble: str) -> str:
        """Record a trouble, or its end."""
        if trouble != self.trouble:
            self.trouble = trouble
            self.troubled(trouble)
        return trouble

    def _receipt(self, transition: Transition) -> dict[str, Any]:
        before, event, after = transition.before, transition.event, transition.after
        told = transition.told
        texts = {name: self._plain(value) for name, value in told.fields.items()}
        return {
            "at": event.at.astimezone(UTC).isoformat(timespec="milliseconds"),
            "by": transition.holder,
            "credential": transition.credential.name,
            "target": transition.credential.target,
            "event": told.name,
            "from": before.phase.value,
            "said": self._redact(told.said),
            "why": after.why.value if after.why else "",
            "asked_by": self._redact(after.asked_by),
            **_tokens(after),
            "detail": texts,
        }

    def _plain(self, value: object) -> object:
        return self._redact(value) if isinstance(value, str) else value


def _tokens(record: Record) -> dict[str, Any]:
    """Names and keyed fingerprints of every token in the record: they identify a value without showing it."""
    known = {"candidate": record.candidate, "current": record.current, "predecessor": record.predecessor}
    found: dict[str, Any] = {role: _named(each) for role, each in known.items() if each is not None}
    older: dict[str, tuple[Unended | LeftValue, ...]] = {"unended": record.unended, "left": record.left}
    return {**found, **{role: [_named(each.value) for each in values] for role, values in older.items() if values}}


def _named(value: Candidate | PublishedValue) -> dict[str, str]:
    return {"id": value.token.id, "name": value.token.name, "fingerprint": value.fingerprint}


def keep(audit: Audit) -> Receipts | None:
    """Begin to keep receipts; None when settings name no file. Raises Refused when required ones cannot be written."""
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
        # This line, kept apart from the file, can later prove that the file's end was not cut off.
        logs.say("receipts.opened", file=audit.file, receipts=end.number, head=end.head)
    return receipts


def _opened(receipts: Receipts) -> Link:
    try:
        return within(_PATIENCE, receipts.open)
    except TimeoutError as late:
        raise ReceiptsError(f"receipts {receipts.receipt_file.path}: {late}") from None


def unfit(audit: Audit) -> str:
    """Why this user cannot write the file; empty if they can. The file is not changed."""
    path = Path(audit.file)
    if path.exists() or path.is_symlink():
        if path.is_symlink() or not path.is_file():
            return f"{path} is not a regular file"
        if not os.access(path, os.W_OK | os.R_OK):
            return f"{path} is not writable by this user"
        return f"{path}: {said}" if (said := ill_ended(path)) else ""
    if not path.parent.is_dir():
        return f"{path.parent} is no folder"
    return "" if os.access(path.parent, os.W_OK) else f"{path.parent} is not writable by this user"


def _cut(said: str) -> None:
    logs.tell("receipts.cut", "error", said=said)


def _troubled(trouble: str) -> None:
    if trouble:
        logs.tell("receipts.missed", "error", said=trouble)
    else:
        logs.say("receipts.resumed")
