"""Runs an installed rotator, each command in a process of its own, and tells what was read of the repository.

Standard input has the commands, a JSON list of words per line; standard output gets the names of all modules, then one
JSON object for each command. A word NAME=VALUE before the others is a variable for that command.
It is started with `-S -P`: no `.pth` file and no folder of this file puts the repository on the path.
"""

from __future__ import annotations

import gc
import json
import os
import pkgutil
import signal
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

HOUSE = str(Path(__file__).parents[2]) + os.sep
ALLOWED = str(Path(sys.executable).parents[1]) + os.sep  # the interpreter's own environment, which may stand in there
PATIENCE = 30  # seconds for one command
_READS = {"open", "os.listdir", "os.scandir", "subprocess.Popen"}


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: a line on standard error for each look into the repository."""
    if event in _READS and isinstance(arguments[0], str | bytes | os.PathLike):
        path = os.path.realpath(os.fsdecode(arguments[0]))
        if path.startswith(HOUSE) and not path.startswith(ALLOWED):
            os.write(2, f"REPOSITORY {event} {path}\n".encode())


def everything() -> list[str]:
    """Import every module of the package; their names."""
    import rotator

    names = [each.name for each in pkgutil.walk_packages(rotator.__path__, "rotator.")]
    for name in names:
        import_module(name)
    return names


def _end(command: Callable[[], None]) -> NoReturn:
    """Run it, and end without tidying up a whole interpreter, which takes longer than most commands."""
    code: object = 0
    try:
        command()
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 (told as the interpreter would)
        sys.excepthook(*sys.exc_info())
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(code) if isinstance(code, int) else bool(code))


def outcome(words: list[str]) -> dict[str, Any]:
    """What the command printed, and its exit code."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        if not (child := os.fork()):
            signal.alarm(PATIENCE)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            while "=" in words[0]:
                os.environ.update([words.pop(0).split("=", 1)])
            sys.argv = ["rotate", *words]
            _end(import_module("rotator.cli").main)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode())
    return {"code": code, "stdout": texts[0], "stderr": texts[1]}


def main() -> None:
    """Commands in, outcomes out."""
    commands = [json.loads(line) for line in sys.stdin]
    sys.addaudithook(watch)
    names = everything()
    gc.freeze()
    sys.stdout.write(json.dumps(names) + "\n")
    for words in commands:
        sys.stdout.flush()
        sys.stdout.write(json.dumps(outcome(words)) + "\n")


main()
