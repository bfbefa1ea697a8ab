"""The output of commands. Nothing else prints.

Foreign text is shown as plain text (see rotation/wording.py) and cannot contain styles. Output never affects the
work: while a command works, a thread writes what it prints, so a slow reader or a full disk costs only output. A closed
pipe is no fault.
"""

from __future__ import annotations

import errno
import json
import os
import queue
import re
import secrets
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, TextIO

import click

from rotator.rotation.wording import visible

_STYLE = f"\0{secrets.token_hex(8)}\0"  # replaces the escape of a style; foreign text cannot contain it
_SGR = re.compile(r"\[[0-9;]*m")
_ERROR = "<3>"  # sd-daemon(3)
_QUIET = (errno.EPIPE, errno.ECONNRESET)  # the reader has gone, which is no fault
_lost: dict[str, str] = {}  # a stream that takes no more, and why; no reason when its reader has left
_waiting: queue.Queue[tuple[str, bool]] | None = None


def say(text: str = "", *, err: bool = False, grave: bool = False) -> None:
    """Print one line. Never raises, and never blocks while a command works.

    `grave`: why the command failed; on standard error, where `journalctl -p err` finds it.
    """
    mark = _ERROR if grave and _for_journal() else ""
    _put(mark + "".join(_shown(text)) + "\n", err or grave)


def _for_journal() -> bool:
    if "JOURNAL_STREAM" not in os.environ:
        return False
    from rotator.observe.logs import is_journal  # not from a shell, where a command must start fast

    return is_journal(sys.stderr, os.environ)


def clear() -> None:
    """Begin at the top of an empty screen, where there is one."""
    if sys.stdout.isatty():
        _put("\x1b[H\x1b[2J", err=False)


def block(text: str, *, err: bool = False) -> None:
    """Print a text of several lines."""
    for line in text.splitlines():
        say(line, err=err)


def document(content: object, *, indent: int | None = None) -> None:
    """Print JSON, in ASCII only and never cut."""
    _put(json.dumps(content, default=_spell, indent=indent) + "\n", err=False)


def _spell(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def style(text: str, **how: Any) -> str:
    """A text with a style of click.style, for `say`."""
    return click.style(visible(text), **how).replace("\x1b", _STYLE)


def _shown(text: str) -> Iterator[str]:
    for number, part in enumerate(text.split(_STYLE)):
        code = _SGR.match(part) if number else None
        yield f"\x1b{code[0]}" if code else ""
        yield visible(part[code.end() :] if code else part)


def _put(text: str, err: bool) -> None:
    if _waiting is None:
        _write(text, err)
    else:
        _waiting.put((text, err))


def left() -> bool:
    """Whether output is still queued."""
    return _waiting is not None and _waiting.unfinished_tasks > 0


def trouble() -> str:
    """Why standard output failed; empty if its reader just closed it."""
    return _lost.get("stdout", "")


def confirm(question: str) -> bool:
    """Ask on standard error, after everything that was printed before."""
    if _waiting is not None:
        _waiting.join()
    return click.confirm(question, err=True)


@contextmanager
def behind() -> Iterator[None]:
    """Write in a thread while the block lasts. Leaving the block does not wait: see `left`."""
    global _waiting
    _lost.clear()
    mine = _waiting = queue.Queue[tuple[str, bool]]()
    try:
        threading.Thread(target=_serve, args=(mine,), name="output", daemon=True).start()
    except RuntimeError:  # no thread on this host; the caller reports it
        _waiting = None
    try:
        yield
    finally:
        _waiting = None
        mine.put(("", False))


def _serve(mine: queue.Queue[tuple[str, bool]]) -> None:
    while True:
        text, err = mine.get()
        if not text:
            return
        _write(text, err)
        mine.task_done()


def _write(text: str, err: bool) -> None:
    name = "stderr" if err else "stdout"
    stream: TextIO | None = getattr(sys, name)
    if stream is None or name in _lost:
        return
    try:
        _send(stream, text if stream.isatty() else click.unstyle(text))
    except (OSError, ValueError) as fault:  # the latter: somebody has closed it
        number = fault.errno if isinstance(fault, OSError) else errno.EPIPE
        _lost[name] = "" if number in _QUIET else str(getattr(fault, "strerror", "") or fault)
        _to_nowhere(stream)


def _send(stream: TextIO, text: str) -> None:
    """Write to the descriptor if there is one: a thread that waits would hold the buffer's lock and block our exit."""
    stream.flush()
    try:
        number = stream.fileno()
    except (OSError, ValueError, AttributeError):  # a test's own stream
        stream.write(text)
        stream.flush()
        return
    rest = memoryview(text.encode(stream.encoding or "utf-8", "backslashreplace"))
    while rest:
        try:
            rest = rest[os.write(number, rest) :]
        except BlockingIOError:  # somebody shares it who made it so
            threading.Event().wait(0.01)


def _to_nowhere(stream: TextIO) -> None:
    """Discard the buffer, so that no error about it is printed at exit."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
