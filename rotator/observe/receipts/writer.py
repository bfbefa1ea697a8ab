"""What a receipt says of a transition, and that a trouble with the file never reaches a visit."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rotator.engine.reconciler import Transition
from rotator.observe.logs.redaction import Redactor, redact
from rotator.observe.receipts.chain import Link
from rotator.observe.receipts.receipt_file import ReceiptFile, ReceiptsError
from rotator.rotation.record import Record

_KEPT = 10_000  # transitions kept in memory while the file cannot be written
_AT_ONCE = 256


@dataclass(slots=True)
class Receipts:
    """An observer. What cannot be written is kept and tried again with the next transition, or when somebody asks.

    Any thread may ask, and a probe's does: who writes is alone.

    `troubled` is told once per trouble, and once, with an empty text, when it is over.
    """

    book: ReceiptFile
    troubled: Callable[[str], None]
    trouble: str = ""
    cut: str = ""  # why the file is not the one that was told of before
    found_cut: Callable[[str], None] = lambda said: None
    lost: int = 0  # counted by who takes; what was told of them, by who writes
    _told: int = 0
    _waiting: deque[Mapping[str, Any]] = field(default_factory=deque)
    _writing: list[Mapping[str, Any]] = field(default_factory=list)
    _redact: Redactor = redact
    _alone: threading.RLock = field(default_factory=threading.RLock)

    def open(self) -> Link:
        """Check the end of the file and go on from there. Raises ReceiptsError."""
        with self._alone:
            return self.book.open()

    def __call__(self, transition: Transition) -> None:
        """Write down a transition. Raises nothing that the file could cause."""
        self.take(transition)
        self.flush()

    def take(self, transition: Transition) -> None:
        """Take note of a transition, for the next flush, which may be another thread's."""
        self._keep(self._receipt(transition))

    def take_fleet(self, at: datetime, event: str, by: str, said: str, holder: str) -> None:
        """Take note of something about the whole installation."""
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
        """Write what waits; why that is not possible, or an empty text."""
        with self._alone:
            return self.note(self._written())

    def _written(self) -> str:
        try:
            while self._writing or self._waiting:
                while self._waiting and len(self._writing) < _AT_ONCE:
                    self._writing.append(self._waiting.popleft())
                lost = self.lost
                more = [{"event": "receipts.lost", "transitions": lost - self._told}] if lost > self._told else []
                self.book.append([*more, *self._writing])
                self._told = lost
                self._writing.clear()
        except ReceiptsError as fault:
            self._waiting.extendleft(reversed(self._writing))
            self._writing.clear()
            return str(fault)
        return ""

    def tells(self) -> dict[str, str]:
        """The newest head, for a place out of reach of who can write the file."""
        end = self.book.end
        return {"receipts": str(end.number), "receipts_head": end.head} if end.number else {}

    def compare(self, told: Mapping[str, object]) -> None:
        """Hold the file against what was told of it before, by `tells`."""
        number, head = str(told.get("receipts", "")), str(told.get("receipts_head", ""))
        if not number.isdecimal():
            return
        try:
            with self._alone:
                self.book.open()
                self.cut = self.book.lacks(Link(int(number), head))
        except (ReceiptsError, OSError) as fault:
            self.cut = str(fault)
        if self.cut:
            self.found_cut(f"the file of receipts {self.book.path} {self.cut}")

    def barred(self) -> str:
        """Why no new rotation may begin, for those who require receipts; the file is tried before this says so."""
        with self._alone:
            try:
                self.book.open()
            except ReceiptsError as fault:
                return self.note(str(fault))
            return self.flush()

    def note(self, trouble: str) -> str:
        """Take note of a trouble, or of its end."""
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
    """Names and keyed fingerprints of every token that the record knows: who holds a value can be told, never what."""
    known = {"candidate": record.candidate, "current": record.current, "predecessor": record.predecessor}
    return {
        role: {"id": each.token.id, "name": each.token.name, "fingerprint": each.fingerprint}
        for role, each in known.items()
        if each is not None
    }
