"""What campaigns with daemons share: judged wires, settings in a hurry, rest, what logs show, and a verdict."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.sandbox.environment import World
from tests.system.daemon import Daemon, until
from tests.system.kinds import Heard
from tests.system.proxy import Judge, Proxy
from tests.system.quick import LEASE, quick
from tests.system.truth import faults_of, journal, settled

CONVERGENCE = LEASE + 60  # seconds until everything is as promised once faults have ended
PIECE = 16  # characters of a secret that no log may show
_TOLD = ("phase", "rotation", "failures", "retry_at", "failure", "held", "paused", "slot_full", "lease", "candidate")


def wired(stack: ExitStack, world: World, heard: Heard, judge: Judge) -> dict[str, str]:
    """The addresses of judged proxies in front of every server of a world. `heard` is told what passes."""
    servers = {"vault": (world.bao.address, heard.vault), "halo": (world.halo.url, None)}
    if world.desk:
        servers["desk"] = (world.desk.url, heard.desk)
    proxies = {edge: Proxy(edge, url, judge, hear, heard.denied) for edge, (url, hear) in servers.items()}
    return {edge: stack.enter_context(proxy).url for edge, proxy in proxies.items()}


def minutely(world: World, name: str, urls: dict[str, str], **daemon: str) -> Path:
    """Settings of one actor by which every credential is due every minute."""
    defaults = {"every": "1m", "lifetime": "10m", "retire": {"after": "1s"}, "limits": {"mints_per_day": 10000}}
    hurry = {"sweep": "60s", "reconcile": "10s", **daemon}
    return quick(world, name, **urls, defaults=defaults, daemon=hurry, target={"settle": "4s"})


def together(tasks: Iterable[Callable[[], None]], seconds: float, over: threading.Event, errors: list[str]) -> None:
    """All tasks at once, until it is over for all of them. What breaks is an error, and the others go on."""

    def guarded(task: Callable[[], None]) -> None:
        try:
            task()
        except Exception as surprise:  # noqa: BLE001 (the campaign goes on, and says so)
            errors.append(f"{getattr(task, 'func', task).__name__}: {type(surprise).__name__}: {surprise}")

    threads = [threading.Thread(target=guarded, args=(task,), daemon=True) for task in tasks]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    over.set()
    for thread in threads:
        thread.join(CONVERGENCE + 60)
        assert not thread.is_alive(), "an actor of the campaign does not end"


def unrest(world: World, name: str, heard: Heard) -> list[str]:
    """What is not as promised; a record in flight is told by its own words."""
    if settled(world, name):
        return faults_of(world, name, heard)
    record = journal(world, name)
    return [f"{name}: {key} {record.get(key)}" for key in (*_TOLD, "current", "predecessor") if record.get(key)]


def not_at_rest(names: Iterable[str], wrong: Callable[[str], list[str]]) -> list[str]:
    """Wait until nothing was `wrong` with each name once; what still is, when that takes too long."""
    waiting = set(names)

    def rest() -> bool:
        waiting.difference_update([name for name in waiting if not wrong(name)])
        return not waiting

    try:
        until("rest", rest, CONVERGENCE, 0.2)
    except TimeoutError:
        return [f"does not come to rest: {name}: {wrong(name)}" for name in waiting]
    return []


def leaks(daemons: Iterable[Daemon], values: Iterable[str]) -> list[str]:
    """Logs in which a piece of a published value stands, or a bug."""
    found, pieces = [], {piece for value in values for piece in _pieces(value)}
    for daemon in daemons:
        text = daemon.log.read_text()
        windows = {text[at : at + PIECE] for at in range(len(text))}
        found += [f"{daemon.log.name} holds a secret" for _ in pieces & windows]
        bugs = [at for word in ("visit.failed", "Traceback") if (at := text.find(word)) >= 0]
        found += [f"{daemon.log.name} tells of a bug: {text[at:][:800]}" for at in bugs]
    return found


def _pieces(value: str) -> Iterator[str]:
    """Of the middle and near the end: what a private key begins and ends with is no secret."""
    for start in (len(value) // 2, -3 * PIECE):
        yield value[start : start + PIECE].replace("\n", "\\n")[:PIECE]


def parser(about: str | None) -> argparse.ArgumentParser:
    """The options of a campaign, told by its module."""
    return argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)


def verdict(said: object, violations: Sequence[Any]) -> int:
    """Print what a campaign came to; its exit code."""
    sys.stdout.write(f"{said}\n" + "".join(f"  {text}\n" for text in violations))
    sys.stdout.flush()
    return 1 if violations else 0
