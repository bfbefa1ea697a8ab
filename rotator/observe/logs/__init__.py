"""How log lines look and leave: structlog and the standard library through one chain, redacted at the end.

Events are named `noun.past_participle`; which events there are is left to those who emit them.
"""

from __future__ import annotations

import atexit
import json as jsonlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping, MutableMapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, TextIO

import structlog
from structlog.processors import ExceptionRenderer
from structlog.tracebacks import ExceptionDictTransformer

from rotator.observe.logs.priority import is_journal, marked
from rotator.observe.logs.redaction import BLOT, Redactor, redact
from rotator.observe.logs.writing import Writer
from rotator.rotation.secret import Secret

__all__ = ["BLOT", "Redactor", "configure", "dropped", "flush", "redact"]

# At INFO httpx writes whole addresses, queries included; the others are merely talkative.
_QUIET = ("httpx", "httpcore", "hpack", "urllib3", "asyncio", "apscheduler", "hvac", "requests")
_FRAMES = 30
_AT_THE_END = 1.0  # seconds in which the last lines are taken, or lost

Event = MutableMapping[str, Any]


def configure(level: str = "info", json: bool | None = None, stream: TextIO | None = None) -> None:
    """Send everything at or above `level` to `stream` (stderr), one redacted line per event.

    `json` None: JSON unless the stream is a terminal. May be called again, on reload. Uncaught exceptions and
    warnings go the same way. Whoever logs never waits for whoever reads: a file of the system's is written to by a
    thread (writing.py); `flush` waits for it.
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
    # On a terminal a foreign text could otherwise pass for lines of ours, or send commands.
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[key] = repr(value)[1:-1]
    return event


def _spell(value: object) -> object:
    match value:
        case Secret():
            return str(value)
        case BaseException():
            return f"{type(value).__name__}: {value}"  # its repr and args may carry a whole response
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
    """Renders a record, then blots: nothing is written that did not pass here."""

    _redact = staticmethod(redact)
    for_journal = False  # `journalctl -p err` finds what is marked

    def format(self, record: logging.LogRecord) -> str:
        text = self._redact(super().format(record))
        return marked(text, record.levelno) if self.for_journal else text


def dropped() -> int:
    """How many lines were dropped since the start, as nobody read, or the disk was full."""
    return sum(each.dropped for each in _writers.values())


def flush(seconds: float) -> None:
    """Wait until every line is written, at most so long."""
    for each in _writers.values():
        each.flush(seconds)


_writers: dict[int, Writer] = {}  # by descriptor


def _writer_of(out: TextIO) -> Writer | None:
    """Who writes to a stream; nobody but ourselves where it is none of the system's (in a test)."""
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
    """Writes lines. A record that cannot be rendered is reported without its content, unlike the library's way."""

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
            return  # nobody is left to tell


def _catch_escaped() -> None:
    """Let warnings, and exceptions that nobody caught, be written like everything else."""
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
