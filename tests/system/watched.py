"""A rotator that tells of each file of its settings' folder that its event loop touches itself:

    python -m tests.system.watched -c rotator.toml run

Such a file may be on a drive that hangs. Its own sockets and their locks are not: they are made on this machine.
"""

from __future__ import annotations

import asyncio
import builtins
import io
import json
import os
import ssl
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rotator.cli import main

EVENT = "test.touched"
_PLACES: tuple[tuple[Any, str], ...] = (
    *((os, name) for name in ("stat", "lstat", "open", "listdir", "scandir", "replace", "rename", "unlink", "mkdir")),
    (io, "open"),
    (builtins, "open"),
    (ssl.SSLContext, "load_verify_locations"),
    (ssl.SSLContext, "load_cert_chain"),
)


def watch(folder: Path, *, but: tuple[str, ...]) -> None:
    """From now on each is told as a line of the log. `but`: ends of names that are this machine's own."""

    def watched(call: Callable[..., Any]) -> Callable[..., Any]:
        def instead(*args: Any, **named: Any) -> Any:
            paths = [str(each) for each in (*args, *named.values()) if isinstance(each, str | os.PathLike)]
            touched = [each for each in paths if each.startswith(f"{folder}/") and not each.endswith(but)]
            if touched and _in_loop():
                stack = [f"{each.filename}:{each.lineno}" for each in traceback.extract_stack(limit=6)[:-1]]
                line = {"event": EVENT, "file": touched[0], "by": stack}
                os.write(2, (json.dumps(line) + "\n").encode())
            return call(*args, **named)

        return instead

    for place, name in _PLACES:
        setattr(place, name, watched(getattr(place, name)))


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


if __name__ == "__main__":
    settings = Path(sys.argv[sys.argv.index("-c") + 1])
    watch(settings.parent, but=(".sock", ".rotator.lock"))
    main()
