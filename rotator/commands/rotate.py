"""`now` and `revoke`: selection, progress and verdict, for socket and shell alike; and what a person can end by hand.

By hand: while Vault is away nothing may happen that is not journalled, but a person can act at the target.
"""

from __future__ import annotations

import gzip
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, aclosing, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from rotator.app.composition import Actor
from rotator.commands.outcomes import HookOutcome, verdicts, waits_for
from rotator.commands.requests import ACCEPTED, Asking, new_id
from rotator.engine.reconciler import Transition
from rotator.engine.worker_pool import PendingRequest
from rotator.host.exit_codes import Exit
from rotator.host.files import opened as regular
from rotator.host.shutdown import out_of_time
from rotator.host.threads import Threads, within
from rotator.observe.event_log import progress
from rotator.observe.receipts import parse
from rotator.ports import Refused, StoreRefused
from rotator.providers import kind_of
from rotator.rotation.operator_request import OperatorRequest, RequestVerb
from rotator.rotation.record import Record
from rotator.settings import Settings
from rotator.settings.parsers import WrongValueError, span, suggest

AFTER = 3.0  # seconds until an absent Vault is reported: a new leader is found sooner
_DISK = 2.0  # seconds for the receipts
_FILES = 10  # of receipts, the newest first
_NOBODY = (
    "nobody here knows which token that is: end the newest whose name begins with `{prefix}-` and has `{slug}` in it, "
    "and all before it; `[audit] file` would have told"
)
_AWAY = "nothing may be begun while Vault is away. By hand"
_LOCKED_OUT = (
    "nothing may be begun before Vault lets us: mend that first, which costs consumers nothing. Should it take too "
    "long, by hand"
)
Known = tuple[str, list[tuple[str, str]]]  # the time of the state (empty: now); tokens and their targets
PATIENCE = 300.0  # seconds, unless the caller says otherwise
_SHORTEST, _LONGEST = timedelta(seconds=1), timedelta(days=1)
_POLL = 0.2  # seconds between two checks of what is done
_SIGN = 10.0  # seconds between two signs of life for the waiting person
DONE, FAILED, USAGE, HELD, BUSY = Exit.DONE, Exit.FAILED, Exit.USAGE, Exit.HELD, Exit.UNDECIDED
Hearing = Callable[[], AbstractContextManager[MemoryObjectReceiveStream[Transition]]]


def instructions(
    settings: Settings, names: Iterable[str], records: Mapping[str, Record], *, locked_out: bool = False
) -> list[str]:
    """Instructions to end values by hand, for each name. `records`: as last seen; otherwise receipts of this host.

    `locked_out`: Vault is there, and refuses us.
    """
    names = list(names)
    known = {name: _remembered(each) for name, each in records.items()}
    if (unknown := [name for name in names if name not in known]) and settings.audit.file:
        with suppress(OSError):  # treated like no receipts
            known |= within(_DISK, partial(_received, Path(settings.audit.file), unknown))
    begin = _LOCKED_OUT if locked_out else _AWAY
    return [f"{name}: {begin}, {_said(settings, name, *known.get(name, ('', [])))}" for name in names]


def _remembered(record: Record) -> Known:
    return "", [(each.token.id, each.target) for each in record.published]


def _received(file: Path, names: Iterable[str]) -> dict[str, Known]:
    """Tokens from the newest receipt of each credential, also in files that logrotate moved. Raises OSError."""
    found: dict[str, Known] = {}
    wanted = set(names)
    for path in (file, *_put_away(file)):
        last = {name: each for each in _receipts(path) if (name := str(each.get("credential"))) in wanted}
        for name, receipt in last.items():
            target = str(receipt.get("target"))
            older = [each for role in ("unended", "left") if isinstance(each := receipt.get(role), list)]
            roles = (receipt.get("current"), receipt.get("predecessor"), *chain.from_iterable(older))
            held = [each for each in roles if isinstance(each, dict)]
            since = f"{str(receipt.get('at'))[:19].replace('T', ' ')}Z"
            found[name] = since, [(str(each.get("id")), target) for each in held]
        if not (wanted := wanted - found.keys()):
            break
    return found


def _put_away(file: Path) -> list[Path]:
    """The newest first: receipts.jsonl.1, receipts.jsonl-20261130.gz."""
    beside = [each for each in file.parent.glob(f"{file.name}[.-]*") if each.is_file()]
    return sorted(beside, key=lambda each: each.stat().st_mtime, reverse=True)[:_FILES]


def _receipts(path: Path) -> Iterator[Mapping[str, Any]]:
    if path.is_file():
        with regular(path) as plain, gzip.open(plain) if path.suffix == ".gz" else plain as lines:
            yield from filter(None, map(parse, lines))


def _said(settings: Settings, name: str, since: str, tokens: list[tuple[str, str]]) -> str:
    credential = settings.credentials[name]
    kind = kind_of(credential.kind)
    if not tokens:
        slug = name.lower().replace("/", "-")
        nobody = _NOBODY.format(prefix=settings.daemon.name_prefix, slug=slug)
        return f"at target {credential.target}: {nobody}"
    told = []
    for token, target in tokens:
        known = settings.targets.get(target)
        url = known.config.url.rstrip("/") if known else target
        told.append(f"end {token} at target {target}: {kind.end_by_hand.format(id=token, url=url)}")
    if since:
        told.append(f"so the receipts of this host knew it at {since}; another host may have made a newer one since")
    minter = settings.targets[credential.target].minter
    mints = (
        "; it mints its own successor, so a person has to bring the next one" if minter and minter.self_minting else ""
    )
    after = "once Vault is back, `rotate revoke` finds it dead and publishes a new value at once"
    return f"{'; '.join(told)}{mints}. Consumers are refused from then on; {after}"


@dataclass(frozen=True, slots=True)
class RotateCommand:
    """A request to rotate. `patient`: wait until the predecessors are dead. `within` in seconds.

    `waits_out`: the time in which a grace is waited for does not count.
    """

    names: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    everything: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    emergency: bool = False
    patient: bool = False
    within: float = PATIENCE
    by: str = "somebody"
    waits_out: bool = False


def parse_rotate_command(request: Mapping[str, Any]) -> RotateCommand:
    """Read a command from a request. Raises Refused for any bad part, as the rest would mean something else."""
    labels = request.get("labels", {})
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise Refused("`labels` must be an object of texts")
    within, patient = length(request, "within", _LONGEST), _flag(request, "patient")
    return RotateCommand(
        names=_names(request, "names"),
        targets=_names(request, "targets"),
        everything=_flag(request, "everything"),
        labels=labels,
        emergency=_flag(request, "emergency"),
        patient=patient,
        within=within.total_seconds() if within else PATIENCE,
        by=str(request.get("by") or "somebody")[:200],
        waits_out=patient and within is None,
    )


def _names(request: Mapping[str, Any], key: str) -> tuple[str, ...]:
    names = request.get(key, ())
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise Refused(f"`{key}` must be a list of names")
    return tuple(names)


def length(request: Mapping[str, Any], key: str, longest: timedelta) -> timedelta | None:
    """A duration as settings write it, or None. Raises Refused."""
    if request.get(key) is None:
        return None
    try:
        return span(_SHORTEST, longest)(request[key])
    except WrongValueError as fault:
        raise Refused(f"`{key}` {fault}") from None


def moment(request: Mapping[str, Any], key: str) -> datetime | None:
    """A time with its zone, or None. Raises Refused."""
    told = request.get(key)
    if told is None:
        return None
    try:
        found = datetime.fromisoformat(told) if isinstance(told, str) else None
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise Refused(f'`{key}` must be a moment with its zone, such as "2026-12-31T18:00Z"')
    return found


def _flag(request: Mapping[str, Any], key: str) -> bool:
    told = request.get(key, False)
    if not isinstance(told, bool):
        raise Refused(f"`{key}` must be true or false")
    return told


def chosen(settings: Settings, request: Mapping[str, Any]) -> tuple[RotateCommand, tuple[str, ...], str]:
    """A request's command, the selected credentials, and what is wrong with it (empty: nothing)."""
    try:
        wanted = parse_rotate_command(request)
    except Refused as fault:
        return RotateCommand(), (), fault.reason
    return wanted, *select(settings, wanted)


def select(settings: Settings, wanted: RotateCommand) -> tuple[tuple[str, ...], str]:
    """The selected names, and what is wrong with the selection (empty: nothing). Each selector must find something."""
    known = settings.credentials
    for name in wanted.names:
        if name not in known:
            return (), f"no credential is called {name!r}{_meant(name, known)}"
    used = {each.target for each in known.values()} if wanted.targets else set()
    for target in wanted.targets:
        if target not in used:
            return (), f"no credential lives on a target called {target!r}{_meant(target, used)}"
    if wanted.everything and (wanted.names or wanted.labels or wanted.targets):
        return (), "--all is everything: name it alone, or names, labels and targets without it"
    carrying = {
        name
        for name, each in known.items()
        if wanted.labels and all(each.labels.get(k) == v for k, v in wanted.labels.items())
    }
    if wanted.labels and not carrying:
        return (), f"no credential carries {', '.join(f'{k}={v}' for k, v in wanted.labels.items())}"
    there = {name for name, each in known.items() if each.target in wanted.targets}
    chosen = carrying.union(there, known if wanted.everything else wanted.names)
    if not chosen:
        return (), "nothing selected: give names, --all, or a --label that some credential carries"
    return tuple(sorted(chosen)), ""


def _meant(name: str, known: Iterable[str]) -> str:
    hint = suggest(name, known)
    return f"; {hint}" if hint else ""


async def now(actor: Actor, hearing: Hearing, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
    """The verb of the control socket."""
    wanted, names, wrong = chosen(actor.settings, request)
    if wrong:
        yield {"error": wrong, "exit": USAGE}
        return
    with hearing() as transitions:
        async for line in follow(actor, names, wanted, transitions):
            yield line


async def follow(
    actor: Actor, names: tuple[str, ...], wanted: RotateCommand, transitions: MemoryObjectReceiveStream[Transition]
) -> AsyncGenerator[dict[str, Any]]:
    """Request rotations, with progress lines and then a verdict. Rotations go on when the caller disconnects."""
    clock = actor.clock
    end = clock.monotonic() + wanted.within
    asking, hooks, code = Asking(actor, _request(wanted, clock.now()), names, end), HookOutcome(actor, names), DONE
    actor.tasks.begin("now", asking.write)
    async for line in _written(asking):
        yield line
    asked, left = asking.asked, dict(asking.asked)
    look = sign = clock.monotonic()
    while left and clock.monotonic() < end and not out_of_time():
        transition = None
        with anyio.move_on_after(_POLL):
            transition = await transitions.receive()
        # Not under the timeout: a yield hands it to the caller, and a slow one would be cancelled by it.
        if transition and transition.credential.name in asked:
            asked[transition.credential.name].latest = transition.after
            yield progress(transition)
        if clock.monotonic() >= look + _POLL:
            look = clock.monotonic()
            if wanted.waits_out:
                end = max(end, *(_waited_out(actor, each) + wanted.within for each in left.values()))
            left = {name: each for name, each in left.items() if not _over(actor, each, end - look)}
        if left and look >= sign + _SIGN:
            sign = look
            yield {"waiting": len(left), "said": f"{(name := next(iter(left)))}: {waits_for(actor, name, left[name])}"}
    for transition in heard(transitions):
        if transition.credential.name in asked:
            asked[transition.credential.name].latest = transition.after
            yield progress(transition)
    for line in verdicts(actor, asked, asking.failed, emergency=wanted.emergency):
        code = line.get("exit", code)
        yield line
    async with aclosing(hooks.lines(code, end if wanted.patient else 0.0)) as lines:
        async for line in lines:
            yield line


def _request(wanted: RotateCommand, at: datetime) -> OperatorRequest:
    verb, patient = RequestVerb.ROTATE, wanted.patient or wanted.emergency
    return OperatorRequest(new_id(), verb, at, wanted.by, wanted.emergency, patient)


async def _written(asking: Asking) -> AsyncGenerator[dict[str, Any]]:
    """Wait until all requests are in Vault, or cannot be."""
    clock = asking.actor.clock
    sign, helped = (began := clock.monotonic()), set[str]()
    while not asking.over.is_set() and not out_of_time():
        with anyio.move_on_after(_POLL):
            await asking.over.wait()
        if asking.over.is_set() or clock.monotonic() >= began + AFTER:
            for line in await _by_hand(asking, helped):
                yield line
        if asking.trouble and clock.monotonic() >= sign + _SIGN:
            sign = clock.monotonic()
            name, reason = next(iter(asking.trouble.items()))
            yield {"waiting": len(asking.trouble), "said": f"{name}: {reason}; nothing is written down yet"}
    if asking.asked:
        yield {"accepted": len(asking.asked), "said": ACCEPTED}


async def _by_hand(asking: Asking, helped: set[str]) -> list[dict[str, Any]]:
    """After a leak, what a person can do without Vault. `helped`: credentials with instructions already."""
    seen, failed = asking.actor.worker_pool.seen, asking.failed
    names = sorted((asking.trouble.keys() | failed.keys()) - helped) if asking.request.emergency else []
    if not names:
        return []
    helped.update(names)
    records = {name: record for name in names if name in seen and (record := seen[name].record)}
    refused = all(isinstance(failed.get(name), StoreRefused) for name in names)
    tell = partial(instructions, asking.actor.settings, names, records, locked_out=refused)
    said = await Threads("receipts", 1).run(tell)
    return [{"by_hand": name, "said": each} for name, each in zip(names, said, strict=True)]


def _waited_out(actor: Actor, asked: PendingRequest) -> float:
    """The end of the grace that is waited for, in monotonic seconds; 0: none."""
    until = asked.wait.until if asked.wait and asked.waits and not asked.done.is_set() else None
    return actor.clock.monotonic() + (until - actor.clock.now()).total_seconds() if until else 0.0


def _over(actor: Actor, asked: PendingRequest, left: float) -> bool:
    """Whether it is answered, or cannot be in the seconds left."""
    if asked.done.is_set() or asked.wait is None:
        return asked.done.is_set()
    return asked.wait.until is None or asked.wait.until > actor.clock.now() + timedelta(seconds=left)


def heard(transitions: MemoryObjectReceiveStream[Transition]) -> Iterable[Transition]:
    """The transitions since the last call, without waiting."""
    while True:
        try:
            yield transitions.receive_nowait()
        except (anyio.WouldBlock, anyio.EndOfStream, anyio.ClosedResourceError):
            return
