"""This process: streams that were closed are the null device, and its memory is shut."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rotator.host import process

SAYS = """
import resource, sys
from rotator.host import process
print(bool(process.open_to()), end=" ")
process.shut_memory()
print(repr(process.open_to()), resource.getrlimit(resource.RLIMIT_CORE)[0])
"""
STREAMS = """
import os, sys
from rotator.host.process import open_standard_streams
open_standard_streams()
print("lost", file=sys.stderr)
print("lost too")
sys.stdin.read()
os.write(3, " ".join(os.readlink(f"/proc/self/fd/{n}") for n in range(3)).encode())
"""


def test_memory_is_shut_to_others_and_no_core_is_dumped() -> None:
    ended = subprocess.run([sys.executable, "-c", SAYS], capture_output=True, text=True, timeout=30, check=True)
    assert ended.stdout == "True '' 0\n"


def test_where_it_cannot_be_shut_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(option: int, value: int) -> int:
        raise PermissionError

    monkeypatch.setattr(process, "_prctl", denied)
    assert process.open_to() == "cannot be found out: PermissionError"


def test_streams_that_were_closed_are_the_null_device() -> None:
    command = ["/bin/sh", "-c", '"$0" -c "$1" 3>&1 0<&- 1>&- 2>&-', sys.executable, STREAMS]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert (ended.stdout, ended.stderr) == ("/dev/null /dev/null /dev/null", "")
