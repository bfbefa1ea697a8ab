"""Log lines: structlog and the standard library through one chain, redacted at the end, written by a thread.

Nobody waits for a slow reader of the log: lines that find no room in the queue are dropped, counted, and reported when
writing goes on. Where the journal reads us, each line begins with its priority, as in sd-daemon(3).
"""

from __future__ import annotations

import atexit
import errno
import json as jsonlib
import logging
import os
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, MutableMapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, TextIO

import structlog
from structlog.processors import ExceptionRenderer
from structlog.tracebacks import ExceptionDictTransformer

from rotator.observe.logs.redaction import BLOT, Redactor, redact
from rotator.rotation.secret import Secret

__all__ = [
    "BLOT",
    "Redactor",
    "advise",
    "configure",
    "dropped",
    "flush",
    "open_to_others",
    "redact",
    "say",
    "tell",
    "unforeseen",
    "warn",
]
# At INFO httpx logs whole addresses with their queries; the others log too much.
_QUIET = ("httpx", "httpcore", "hpack", "urllib3", "asyncio", "apscheduler", "hvac", "requests")
_FRAMES = 30
_AT_THE_END = 1.0  # seconds for writing the last lines; later ones are lost
Event = MutableMapping[str, Any]
_NUMBERS = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7))
_MOST = 10_000  # lines
_LARGEST = 8 * 1024 * 1024  # bytes
_log = structlog.get_logger("rotator")
_advised: set[str] = set()


def configure(level: str = "info", json: bool | None = None, stream: TextIO | None = None) -> None:
    """Send everything at or above `level` to `stream` (stderr), one redacted line per event.

    `json` None: JSON unless the stream is a terminal. May be called again, on reload. Uncaught exceptions and
    warnings go the same way. Logging never waits for the reader: a thread writes to files of the system; `flush`
    waits for it.
    """
    out = stream or sys.stderr
    as_json = json if json is not None else not out.isatty()
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,  # a reload may change the level
    )
    lines = _LineStream(out, _writer_of(out))
    rendered = _Redacted(foreign_pre_chain=[*shared, _name_foreign], processors=_rendering(as_json, out))
    rendered.for_journal = is_journal(out, os.environ)
    lines.setFormatter(rendered)
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _LineStream)]:
        root.removeHandler(old)
    root.addHandler(lines)
    root.setLevel(number)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    _catch_escaped()


def _rendering(as_json: bool, out: TextIO) -> list[Callable[..., Any]]:
    first = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, _plain]
    if as_json:
        # Local variables of a frame may be secrets; structlog shows them unless told not to.
        trace = ExceptionRenderer(ExceptionDictTransformer(show_locals=False, max_frames=_FRAMES, use_rich=False))
        return [*first, trace, structlog.processors.JSONRenderer(sort_keys=False, default=_spell)]
    console = structlog.dev.ConsoleRenderer(
        colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback, sort_keys=False
    )
    return [*first, _one_line, console]


def _plain(logger: object, method: str, event: Event) -> Event:
    for key, value in event.items():
        if key != "exc_info" and not isinstance(value, str | int | float | None):
            event[key] = value if isinstance(value, dict | list | tuple) else _spell(value)
    return event


def _one_line(logger: object, method: str, event: Event) -> Event:
    # On a terminal a foreign text could otherwise look like our lines, or send commands to it.
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[key] = repr(value)[1:-1]
    return event


def _spell(value: object) -> object:
    match value:
        case Secret():
            return str(value)
        case BaseException():
            return f"{type(value).__name__}: {value}"  # its repr and args may contain a whole response
        case datetime():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Mapping():
            return dict(value)
        case set() | frozenset():
            return sorted(map(str, value))
        case _:
            return str(value)


def _name_foreign(logger: object, method: str, event: Event) -> Event:
    record = event["_record"]
    event["message"] = event["event"]
    event["logger"] = record.name
    event["event"] = "warning.raised" if record.name == "py.warnings" else "library.logged"
    return event


class _Redacted(structlog.stdlib.ProcessorFormatter):
    """Renders a record, then redacts it. Every line passes here."""

    _redact = staticmethod(redact)
    for_journal = False  # so that `journalctl -p err` finds it

    def format(self, record: logging.LogRecord) -> str:
        text = self._redact(super().format(record))
        return marked(text, record.levelno) if self.for_journal else text


def dropped() -> int:
    """How many lines were dropped since the start, because nobody read or the disk was full."""
    return sum(each.dropped for each in _writers.values())


def flush(seconds: float) -> None:
    """Wait until every line is written, for this many seconds at most."""
    for each in _writers.values():
        each.flush(seconds)


_writers: dict[int, Writer] = {}  # by descriptor


def _writer_of(out: TextIO) -> Writer | None:
    """The writer of a stream; None for a stream without descriptor (in a test)."""
    try:
        number = out.fileno()
    except (OSError, ValueError, AttributeError):
        return None
    if number not in _writers:
        if not _writers:
            atexit.register(flush, _AT_THE_END)
        _writers[number] = Writer(number, _tell_dropped)
    return _writers[number]


def _tell_dropped(lines: int) -> None:
    said = "nobody read them, or they could not be written; what they told happened all the same"
    structlog.get_logger("rotator").warning("lines.dropped", lines=lines, said=said)


class _LineStream(logging.StreamHandler[TextIO]):
    """Writes lines. A record that cannot be rendered is reported without its content, unlike in the library."""

    def __init__(self, stream: TextIO, writer: Writer | None) -> None:
        super().__init__(stream)
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        if self._writer is None:
            super().emit(record)
            return
        try:
            self._put(self.format(record))
        except Exception:  # noqa: BLE001 (as the library does: a line that cannot be rendered ends nothing)
            self.handleError(record)

    def _put(self, text: str) -> None:
        if self._writer is None:
            self.stream.write(text + self.terminator)
            self.flush()
        else:
            self._writer.put((text + self.terminator).encode("utf-8", "backslashreplace"))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        fault = sys.exc_info()[0]
        line = {
            "event": "line.lost",
            "level": "error",
            "logger": record.name,
            "where": f"{record.filename}:{record.lineno}",
            "fault": fault.__name__ if fault else "",
        }
        try:
            self._put(jsonlib.dumps(line))
        except (OSError, ValueError):
            return  # there is no other place to report it


def _catch_escaped() -> None:
    """Log warnings and uncaught exceptions like everything else."""
    logging.captureWarnings(True)
    log = structlog.get_logger("rotator")

    def escaped(
        kind: type[BaseException], fault: BaseException | None, trace: TracebackType | None, **where: str
    ) -> None:
        if fault is not None and not issubclass(kind, KeyboardInterrupt):
            log.critical("exception.escaped", exc_info=(kind, fault, trace), **where)

    sys.excepthook = escaped
    threading.excepthook = lambda args: escaped(
        args.exc_type, args.exc_value, args.exc_traceback, thread=args.thread.name if args.thread else ""
    )
    sys.unraisablehook = lambda args: escaped(args.exc_type, args.exc_value, args.exc_traceback, where="finaliser")


def is_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether the journal reads the stream: systemd names its file by device and inode."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return environment.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def marked(text: str, level: int) -> str:
    """Each line with its priority in front, which the journal removes."""
    mark = next(f"<{number}>" for least, number in _NUMBERS if level >= least)
    return mark + text.replace("\n", f"\n{mark}")


class Writer:
    """Writes lines to a descriptor, in order, in a thread. `dropped`: how many were not written since the start."""

    def __init__(self, number: int, told: Callable[[int], None], most: int = _MOST, largest: int = _LARGEST) -> None:
        """`told`: called by the thread with the number of dropped lines, once writing works again."""
        self._number = number
        self._told = told
        self._most = most
        self._largest = largest
        self._lines: deque[bytes] = deque()
        self._size = 0
        self._busy = False
        self._news = threading.Condition()
        self._thread: threading.Thread | None = None
        self._untold = 0
        self.dropped = 0

    def put(self, line: bytes) -> None:
        """Queue a line. Never waits. The thread's own line about dropped lines is never dropped."""
        with self._news:
            full = len(self._lines) >= self._most or self._size + len(line) > self._largest
            if full and threading.current_thread() is not self._thread:
                self._drop(1)
                return
            self._lines.append(line)
            self._size += len(line)
            if self._thread is None:
                self._thread = threading.Thread(target=self._write, name="log", daemon=True)
                try:
                    self._thread.start()
                except RuntimeError:  # no thread left on this host: try again later
                    self._thread = None
            self._news.notify_all()

    def flush(self, seconds: float) -> bool:
        """Wait until all is written, for this many seconds at most. Whether it is."""
        end = time.monotonic() + seconds
        if self._thread is None:
            return self._write_here(end)
        with self._news:
            while self._lines or self._busy:
                if (left := end - time.monotonic()) <= 0:
                    return False
                self._news.wait(left)
        return True

    def _write_here(self, end: float) -> bool:
        """Write without a thread, where none could be started."""
        while self._lines:
            left = end - time.monotonic()
            if left <= 0 or not select.select([], [self._number], [], left)[1]:
                return False
            _written(self._number, self._next())
            self._busy = False
        return True

    def _drop(self, lines: int) -> None:
        self.dropped += lines
        self._untold += lines

    def _write(self) -> None:
        while True:
            line = self._next()
            fine = _written(self._number, line)
            with self._news:
                self._busy = False
                if not fine:
                    self._drop(1)
                caught_up = fine and not self._lines
                missed, self._untold = (self._untold, 0) if caught_up else (0, self._untold)
                self._news.notify_all()
            if missed:
                self._told(missed)

    def _next(self) -> bytes:
        with self._news:
            while not self._lines:
                self._news.wait()
            line = self._lines.popleft()
            self._size -= len(line)
            self._busy = True
            return line


def _written(number: int, line: bytes) -> bool:
    """Write the line, for as long as that takes. Whether all of it was written."""
    left = memoryview(line)
    try:
        while left:
            try:
                left = left[os.write(number, left) :]
            except BlockingIOError:  # another process made it non-blocking
                select.select([], [number], [])
            except OSError as fault:
                if fault.errno != errno.EINTR:
                    return False
    except (OSError, ValueError):
        return False
    return True


# --- writing a line ---------------------------------------------------------------------------------------------------


def say(event: str, **fields: Any) -> None:
    """Log an expected event."""
    _log.info(event, **fields)


def warn(event: str, **fields: Any) -> None:
    """Log an event that a person should look at some day."""
    _log.warning(event, **fields)


def tell(event: str, severity: str, **fields: Any) -> None:
    """Log an event with this severity: info, warning or error."""
    getattr(_log, severity)(event, **fields)


def advise(text: str) -> None:
    """Log advice about where a secret is kept: once, as some secrets are read with each call."""
    if text not in _advised:
        _advised.add(text)
        _log.warning("secret.exposed", said=text)


def open_to_others(path: str, text: str) -> None:
    """Log that others may write a file that the daemon obeys."""
    _log.warning("settings.exposed", file=path, said=text)


def unforeseen(credential: str, bug: BaseException) -> None:
    """Log a bug that ended a reconcile. The trace has no local variables."""
    _log.error("visit.failed", credential=credential, exc_info=bug)
