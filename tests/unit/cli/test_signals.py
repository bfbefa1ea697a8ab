"""A signal that comes before a command has begun, or when it has just ended: a definite exit code, and no traceback."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

# Stands for a machine that takes its time: `click` is the first of the heavy imports.
_SLOW_START = """
import runpy, sys, time

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            print("importing", flush=True)
            time.sleep(30)

sys.meta_path.insert(0, Slow())
runpy.run_module("rotator", run_name="__main__", alter_sys=True)
"""
_SLOW_END = """
import atexit, runpy, sys, time

def slowly():
    print("ending", flush=True)
    time.sleep(30)

atexit.register(slowly)
runpy.run_module("rotator", run_name="__main__", alter_sys=True)
"""


def ended(script: str, *words: str, by: int) -> tuple[int, str]:
    """The exit code and the words of `rotate WORDS`, which got these signals at a certain point."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", script, *words], stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout
        assert process.stdout.readline().strip() in ("importing", "ending")
        process.send_signal(by)
        _, errors = process.communicate(timeout=25)
    return process.returncode, errors


@pytest.mark.parametrize(
    ("words", "code"),
    [(("now", "x"), 75), (("-c", "run", "status"), 75), (("run",), 0), (("-c", "/etc/x.toml", "run"), 0)],
)
def test_a_command_that_is_still_importing_ends_with_a_code_of_its_own(words: tuple[str, ...], code: int) -> None:
    """It ended with -15, which says nothing; a daemon that was to stop before it began has stopped."""
    assert ended(_SLOW_START, *words, by=signal.SIGTERM) == (
        code,
        "rotate: ended by SIGTERM before anything was begun\n",
    )


def test_so_does_ctrl_c_without_a_traceback() -> None:
    assert ended(_SLOW_START, "plan", by=signal.SIGINT) == (
        75,
        "rotate: ended by SIGINT before anything was begun\n",
    )


def test_a_signal_at_the_very_end_takes_nothing_back() -> None:
    code, said = ended(_SLOW_END, "-c", "/nowhere/rotator.toml", "status", by=signal.SIGTERM)
    assert code == 78, said
