"""A signal ends a command with words and 75, also on a host that has no thread left."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import os, signal, threading
import anyio
from rotator.cli import base

def refused(thread):
    raise RuntimeError("can't start new thread")

async def main():
    os.kill(os.getpid(), signal.SIGTERM)
    await anyio.sleep_forever()

threading.Thread.start = refused
base.run(main)
"""


def test_a_signal_where_no_thread_is_left_is_words_and_no_trace() -> None:
    """`now` that waited for a thread ended with a traceback of the timer that was to end it in any case."""
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (75, "rotate: interrupted; nothing was changed\n")
