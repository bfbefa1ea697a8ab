"""Owns the container's health check: asks the daemon over its control socket whether it is alive; exit code 0 or 1."""

from __future__ import annotations

import json
import socket
import sys

SECONDS = 4.0


def alive(path: str) -> bool:
    """Whether a daemon answers there and counts itself as alive."""
    try:
        with socket.socket(socket.AF_UNIX) as wire:
            wire.settimeout(SECONDS)
            wire.connect(path)
            wire.sendall(b'{"verb": "ping"}\n')
            return json.loads(wire.makefile("rb").readline(4096)).get("alive") is True
    except (OSError, ValueError):
        return False


if __name__ == "__main__":
    sys.exit(not alive(sys.argv[1] if len(sys.argv) > 1 else "/run/rotator/control.sock"))
