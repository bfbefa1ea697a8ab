"""The container's health check: asks the daemon over its control socket whether it is alive.

Exit code 0, or 1 with the reason in a line, which `kubectl describe pod` and `docker inspect` show.
"""

from __future__ import annotations

import json
import os
import socket
import sys

SECONDS = 4.0  # below the five that the probe allows


def trouble(path: str) -> str:
    """Why the daemon there doesn't count as alive; empty when it does."""
    try:
        with socket.socket(socket.AF_UNIX) as wire:
            wire.settimeout(SECONDS)
            wire.connect(path)
            wire.sendall(b'{"verb": "ping"}\n')
            line = wire.makefile("rb").readline(4096)
    except TimeoutError:
        return f"the daemon on {path} has not answered for {SECONDS:g} s: it hangs"
    except FileNotFoundError:
        return f"no daemon listens on {path}: it has not started yet, or waits for Vault; its log says which"
    except OSError as fault:
        return f"no daemon answers on {path}: {fault.strerror or type(fault).__name__}"
    return judged(line, path)


def judged(line: bytes, path: str) -> str:
    """What is wrong with an answer."""
    try:
        answer = json.loads(line)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        return f"what answers on {path} is no daemon of ours, or it has ended"
    if answer.get("alive") is True:
        return ""
    return f"the daemon says: {answer.get('missing') or answer.get('error') or 'not alive'}"


if __name__ == "__main__":
    reason = trouble(sys.argv[1] if len(sys.argv) > 1 else "/run/rotator/control.sock")
    if reason:
        os.write(1, f"{reason}\n".encode())
    sys.exit(bool(reason))
