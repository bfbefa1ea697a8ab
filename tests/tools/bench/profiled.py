"""The profiled daemon: `rotate` under cProfile, CPU seconds per function over all threads, written at its end."""

from __future__ import annotations

import cProfile
import pstats
import sys
import threading
import time
from typing import Any

_profiles: list[cProfile.Profile] = []


def _begin(*_: Any) -> None:
    """The first event of a thread: from here on it has a profile of its own."""
    profile = cProfile.Profile(time.thread_time)
    _profiles.append(profile)
    profile.enable()


def main() -> None:
    target, sys.argv = sys.argv[1], ["rotate", *sys.argv[2:]]
    threading.setprofile(_begin)
    _begin()
    try:
        from rotator.cli import main as rotate

        rotate()
    finally:
        threading.setprofile(None)
        for profile in _profiles:
            profile.disable()
        pstats.Stats(*_profiles).dump_stats(target)


if __name__ == "__main__":
    main()
