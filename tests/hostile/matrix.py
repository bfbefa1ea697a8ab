"""The run of cells, one behaviour at one call site: judged by time, truth, words, memory and what stays open."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import anyio

from rotator.ports import Fault
from rotator.rotation.secret import Secret
from tests.hostile.applications import APPLICATIONS
from tests.hostile.behaviours import BEHAVIOURS, Behaviour
from tests.hostile.canary.search import WINDOW, forms, readings
from tests.hostile.clients import CLIENTS
from tests.hostile.server import Hostile
from tests.hostile.sites import Site
from tests.hostile.targets import TARGETS
from tests.hostile.vaults import VAULT
from tests.kit.certificates import Authority

MIB = 1 << 20
AT_ONCE = 10
SETTLED = 2.0  # seconds within which every connection is closed after a client is
SITES: dict[str, Site[Any]] = {**TARGETS, **CLIENTS, **APPLICATIONS, **VAULT}
Cells = list[tuple[str, str]]
BUSY = (
    "took",
    "it hangs",
    "cannot be set up",
    "honest, and yet",
)  # what a machine with too much to do brings about as well


@dataclass
class Summary:
    """What came out."""

    cells: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    again: Cells = field(default_factory=list)  # too late in company; what they do alone decides
    slowest: tuple[float, str] = (0.0, "")
    fattest: tuple[int, str] = (0, "")
    seconds: float = 0.0

    def text(self) -> str:
        ends = ", ".join(f"{count} {name}" for name, count in self.ends.most_common())
        lines = [
            f"{self.cells} cells in {self.seconds:.1f} s, {len(self.violations)} violations",
            f"ends: {ends}; {len(self.again)} once more, alone",
            f"slowest {self.slowest[0]:.1f} s ({self.slowest[1]}); most memory {self.fattest[0] / MIB:.1f} MiB"
            f" ({self.fattest[1] or 'no heavy cell'})",
        ]
        return "\n".join(lines + sorted(self.violations))


def every(only: str = "") -> Cells:
    """All cells, or those whose name has `only` in it."""
    return [(site, name) for site in SITES for name in BEHAVIOURS if only in f"{site} / {name}"]


def chosen(seed: int, sites: int = 3, behaviours: int = 3) -> Cells:
    """A part: each behaviour at a few sites, each site with a few behaviours, all of it decided by the seed."""
    draw = random.Random(seed)
    light = [name for name, each in BEHAVIOURS.items() if not each.heavy]
    cells = {
        (site, name)
        for name in BEHAVIOURS
        for site in draw.sample(sorted(SITES), 1 if BEHAVIOURS[name].heavy else sites)
    }
    cells |= {(site, name) for site in SITES for name in draw.sample(light, behaviours)}
    return sorted(cells)


def run(cells: Cells, *, patient: bool = True) -> Summary:
    """All of them, the heavy ones one by one. `patient`: what a busy machine may have spoilt has a second chance."""
    return asyncio.run(_run(cells, patient=patient))


async def _run(cells: Cells, *, patient: bool) -> Summary:
    summary, began = Summary(), time.monotonic()
    loop_troubles: list[str] = []

    def note(_: object, context: dict[str, Any]) -> None:
        if "_sock_accept" not in context["message"]:  # the bad server's own socket, closed while it listens
            loop_troubles.append(context["message"])

    asyncio.get_running_loop().set_exception_handler(note)
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder))
        await _cell(Summary(), authority, cells[0][0], "honest")  # warms up: modules, threads
        files, threads = _open_files(), threading.active_count()
        places = anyio.Semaphore(AT_ONCE)

        async def one(site: str, name: str) -> None:
            async with places:
                await _cell(summary, authority, site, name, last=not patient)

        async with anyio.create_task_group() as group:
            for site, name in cells:
                if not _alone(name):
                    group.start_soon(one, site, name)
        for site, name in cells:
            if _alone(name):
                with _memory(summary, f"{site} / {name}"):
                    await _cell(summary, authority, site, name, last=not patient)
        for site, name in summary.again:
            await _cell(summary, authority, site, name, last=True)
        await _left_open(summary, files, threads)
    summary.violations += [f"left behind in the loop: {text}" for text in loop_troubles]
    summary.seconds = time.monotonic() - began
    return summary


def _alone(name: str) -> bool:
    """Whether a behaviour is measured without company: its memory, or its success within the deadline."""
    return BEHAVIOURS[name].heavy or BEHAVIOURS[name].honest


async def _cell(summary: Summary, authority: Authority, site: str, name: str, *, last: bool = False) -> None:
    """One cell; whatever is wrong goes into the summary. `last`: it has had its second chance."""
    label, behaviour = f"{site} / {name}", BEHAVIOURS[name]
    hostile, began = Hostile(behaviour, authority), time.monotonic()
    async with hostile.running():
        with _listening() as words:
            try:
                end, wrong = await _ask(SITES[site], hostile, authority, behaviour, words)
            except Exception as trouble:  # noqa: BLE001 (a cell that cannot be set up proves nothing)
                end, wrong = "no cell", [f"cannot be set up: {type(trouble).__name__}: {trouble}"]
        took = time.monotonic() - began
        with anyio.move_on_after(SETTLED):
            while hostile.open:  # noqa: ASYNC110 (what is waited for sets no event)
                await anyio.sleep(0.02)
        if hostile.open:
            wrong.append(f"{hostile.open} connections stay open")
    if wrong and not last and all(text.startswith(BUSY) for text in wrong):
        summary.again.append((site, name))
        return
    summary.cells += 1
    summary.ends[end] += 1
    summary.slowest = max(summary.slowest, (took, label))
    summary.violations += [f"{label}: {text}" for text in wrong]
    for text in wrong:
        print(f"violation: {label}: {text}", file=sys.stderr, flush=True)  # noqa: T201 (a long run tells early)


async def _ask(
    site: Site[Any], hostile: Hostile, authority: Authority, behaviour: Behaviour, words: list[str]
) -> tuple[str, list[str]]:
    """How it ended, and what is wrong with that."""
    async with site.setup(hostile, authority.ca_file) as cell:
        began, got = time.monotonic(), None
        try:
            with anyio.fail_after(4 * site.bound):
                got = await site.ask(cell)
        except Fault as fault:
            words += [fault.reason, repr(fault), "".join(traceback.format_exception(fault))]
            end, wrong = type(fault).__name__, f"honest, and yet a {type(fault).__name__}" if behaviour.honest else ""
        except TimeoutError:
            end, wrong = "hang", "it hangs"
        except Exception as bug:  # noqa: BLE001 (that is what is looked for)
            words.append("".join(traceback.format_exception(bug)))
            end, wrong = "traceback", f"{type(bug).__name__} at {traceback.extract_tb(bug.__traceback__)[-1]}"
        else:
            end = type(got).__name__
            wrong = site.judge(cell, got, spoilt=behaviour.spoils, honest=behaviour.honest)
            if not isinstance(got, str | bytes):
                words.append(repr(got))
        took = time.monotonic() - began
        secrets = {secret.reveal() for secret in Secret.living() if len(secret.reveal()) > 15}
    late = f"took {took:.1f} s, {site.bound:.1f} s are allowed" if took > site.bound else ""
    return end, [text for text in (wrong, late) if text] + _leaks(words, secrets)


@contextmanager
def _listening() -> Iterator[list[str]]:
    """What anybody logs from WARNING on, as the program's own loggers are set."""
    words: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            words.append(self.format(record))

    ear = Ear(logging.WARNING)
    logging.getLogger().addHandler(ear)
    try:
        yield words
    finally:
        logging.getLogger().removeHandler(ear)


@lru_cache(256)  # the windows of one secret are a megabyte
def _windows(secret: str) -> frozenset[str]:
    return frozenset(form[at : at + WINDOW] for _, form in forms(secret) for at in range(len(form) - WINDOW + 1))


def _leaks(words: list[str], secrets: set[str]) -> list[str]:
    texts = [reading for text in words for reading in readings(text)]
    shown = {text[at : at + WINDOW] for text in texts for at in range(len(text) - WINDOW + 1)}
    return ["it tells a secret"] if any(shown & _windows(secret) for secret in secrets) else []


@contextmanager
def _memory(summary: Summary, label: str) -> Iterator[None]:
    """The growth of what the process holds, looked at every two milliseconds."""
    peak = before = _resident()
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, _resident())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    summary.fattest = max(summary.fattest, (peak - before, label))
    if peak - before > SITES[label.partition(" / ")[0]].memory * MIB:
        summary.violations.append(f"{label}: memory grew by {(peak - before) / MIB:.0f} MiB")


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 (a count of names)


async def _left_open(summary: Summary, files: int, threads: int) -> None:
    """Idle workers of anyio end after ten seconds; only those that are busy count."""
    with anyio.move_on_after(5):
        while _open_files() > files or _busy() > 0:  # noqa: ASYNC110 (as above)
            await anyio.sleep(0.05)
    if _open_files() > files:
        summary.violations.append(f"{_open_files() - files} files stay open")
    if _busy() > 0:
        summary.violations.append(f"{_busy()} threads are still at it")


def _busy() -> int:
    """Worker threads within a request."""
    frames = sys._current_frames()
    count = 0
    for thread in threading.enumerate():
        frame = frames.get(thread.ident or 0)
        while frame is not None:
            if frame.f_code.co_filename.endswith("rotator/vault/hvac_adapter.py"):
                count += 1
                break
            frame = frame.f_back
    return count
