"""The rules about faults: calls that are given up, lost answers, texts that contain secrets."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from time import perf_counter

import anyio

from rotator.ports import Accepted, Duplicate, Fault
from rotator.testing.kit import TICK, Kit, NotApplicable, must, words

_SHARES = (0.2, 0.4, 0.6, 0.8)  # shares of the time that the call takes undisturbed
_UNDER_WAY = 0.02  # seconds
_CALLS = 12  # more than a target is called at once
_OPEN = Path("/proc/self/fd")
_LOOKS = 40


async def given_up(call: Callable[[], Awaitable[object]], seconds: float) -> bool:
    """Cancel a call after this time, like a lost answer. Returns whether it was answered before."""
    with anyio.move_on_after(seconds):
        try:
            await call()
        except (Fault, NotApplicable):
            return False
        return True
    await anyio.sleep(max(seconds, _UNDER_WAY))  # real time: requests on their way may arrive
    return False


async def _takes(call: Callable[[], Awaitable[object]]) -> float:
    began = perf_counter()
    await call()
    return perf_counter() - began


async def lost(kit: Kit) -> None:
    """After a mint without an answer, what is on the target is found by its name, and nothing else is there."""
    took = await _takes(kit.made)
    known = await _census(kit)
    names = {}
    for share in _SHARES:
        name = kit.name()
        names[name] = await given_up(partial(kit.made, name), took * share)
    await kit.clock.sleep(kit.settle)
    found = {name: len(await kit.provider.find(name)) for name in names}
    for name, answered in names.items():
        must(found[name] <= 1, f"one mint under {name} left {found[name]} tokens")
        must(found[name] == 1 or not answered, f"{name} was minted, and is not found")
    lives = await _census(kit)
    if known is not None and lives is not None:
        strays = lives - known - sum(found.values())
        must(strays <= 0, f"{strays} of {len(names)} mints without an answer live on, and are not found by name")
    for name, number in found.items():
        if number == 0:
            await _again(kit, name)


async def _again(kit: Kit, name: str) -> None:
    """Mint again under a name that finds nothing."""
    try:
        await kit.made(name)
    except Duplicate:
        must(bool(await kit.provider.find(name)), f"{name} is taken, and finds nothing")


async def _census(kit: Kit) -> int | None:
    held = await kit.server.inventory()
    return None if held is None else len(held)


async def resumed(kit: Kit) -> None:
    """An effect that was given up half-way is completed by repeating it."""
    for share in _SHARES:
        made = await kit.made()
        if kit.can.needs_install:
            await kit.clock.sleep(TICK)
            took = await _takes(partial(kit.provider.install, made))
            await kit.clock.sleep(TICK)
            made = await kit.made("", made.token)
            await given_up(partial(kit.provider.install, made), took * share)
            made = await kit.installed(made)
        verdict = await kit.verdict(made)
        must(isinstance(verdict, Accepted), f"installed again after an answer was lost: {words(verdict)}")
        if kit.can.can_revoke and kit.can.overlap:
            took = await _takes(partial(kit.provider.inspect, made.token))
            await given_up(partial(kit.provider.revoke, made.token), took * share)
            await kit.provider.revoke(made.token)
            must(await kit.dead(made.token, None) is True, "revoked again after an answer was lost: it is not dead")
        await kit.clear()
        await kit.clock.sleep(kit.rest)


async def tireless(kit: Kit) -> None:
    """Calls that were given up do not block the next one."""
    made = await kit.fresh()
    took = await _takes(partial(kit.provider.verify, made.token, made.secret))
    for number in range(_CALLS):
        await given_up(partial(kit.provider.verify, made.token, made.secret), took * _SHARES[number % len(_SHARES)])
    verdict = await kit.verdict(made)
    must(isinstance(verdict, Accepted), f"after {_CALLS} proofs that were given up: {words(verdict)}")


async def closed(kit: Kit) -> None:
    """A target that was opened, called, cancelled and closed leaves no connection."""
    if not _files():
        raise NotApplicable("this system does not list open files")
    made = await kit.fresh()
    before = _files()
    server = kit.reopen()
    provider = kit.kind.bind(server, kit.credential)
    took = await _takes(partial(provider.verify, made.token, made.secret))
    for share in _SHARES:
        await given_up(partial(provider.verify, made.token, made.secret), took * share)
    await server.aclose()
    if server is not kit.server:
        left = await _dwindled(before)
        must(left <= 0, f"{left} files are still open after the target was closed")


def _files() -> int:
    """How many files this process has open; 0 where that is unknown."""
    return len(list(_OPEN.iterdir())) if _OPEN.is_dir() else 0


async def _dwindled(before: int) -> int:
    """How many more files are open than before, once the other ends of connections (perhaps ours) are closed."""
    for _ in range(_LOOKS):
        gc.collect()
        if _files() <= before:
            break
        await anyio.sleep(0.02)  # real time, as for sockets
    return _files() - before


async def discreet(kit: Kit) -> None:
    """No text of the provider contains a value. This rule is last, after most texts."""
    quoted = kit.memory.quoted(kit.memory.said)
    must(quoted == 0, f"{quoted} of {len(kit.memory.said)} sentences quote a secret")
