"""Metrics for Prometheus. The only import of its library.

States are computed from the fleet at each scrape; only events are counted. Every label value comes from settings or
from a fixed list of ours, so that no answer of a target can make a series.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from rotator.engine.reconciler import Transition
from rotator.observe import logs
from rotator.observe.health import Fleet, State
from rotator.rotation import events as ev
from rotator.rotation.credential_state import Headline

Writable = Callable[[], bool]
_STEPS: dict[type[ev.Event], str] = {
    ev.Requested: "request",
    ev.Escalated: "request",
    ev.Staged: "mint",
    ev.MintLost: "mint",
    ev.MintRefused: "mint",
    ev.NotMinted: "look",
    ev.Installed: "install",
    ev.Awaited: "install",
    ev.Polled: "poll",
    ev.Reminded: "poll",
    ev.Verified: "verify",
    ev.CandidateRejected: "verify",
    ev.Overtaken: "publish",
    ev.Published: "publish",
    ev.Fenced: "fence",
    ev.Deferred: "condemn",
    ev.Condemned: "condemn",
    ev.Disproved: "condemn",
    ev.Retired: "revoke",
    ev.LeftToPerson: "revoke",
    ev.NotEnded: "revoke",
    ev.Ended: "revoke",
    ev.LeftToExpire: "revoke",
    ev.Reopened: "revoke",
    ev.Burned: "burn",
    ev.Swept: "sweep",
    ev.Reaped: "sweep",
    ev.PutOnHold: "hold",
    ev.Restored: "restore",
    ev.UndoFailed: "restore",
}
_VERDICTS: dict[type[ev.Event], str] = {
    ev.Verified: "accepted",
    ev.Condemned: "accepted",
    ev.CandidateRejected: "refused",
    ev.Disproved: "refused",
}
_KNOWN_STEPS = frozenset((*_STEPS.values(), "escalate"))
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class FromRecords(Collector):
    """States, computed at each scrape."""

    def __init__(self, fleet: Fleet, version: str, receipts: Writable | None, whole: Writable | None) -> None:
        self._fleet = fleet
        self._version = version
        self._receipts = receipts
        self._whole = whole
        self.states: Sequence[State] = ()  # of the scrape under way

    def collect(self) -> Iterable[Metric]:
        """Every metric, in a fixed order; called once without a fleet to learn their names."""
        yield InfoMetricFamily("rotator_build", "Which rotator this is.", {"version": self._version})
        yield from self._process()
        yield from _neighbours(self._fleet)
        yield _one(
            "rotator_unmanaged_tokens",
            "Living tokens of credentials that left the settings, by their records.",
            len(self._fleet.unmanaged()),
        )

    def _process(self) -> Iterable[Metric]:
        fleet = self._fleet
        yield _one("rotator_alive", "1 while workers finish visits.", not fleet.alive())
        yield _one(
            "rotator_ready", "1 while Vault serves us, all records are read and work may begin.", not fleet.unready()
        )
        healthy = not fleet.unhealthy(self.states)
        yield _one("rotator_healthy", "1 while nothing is overdue, held, refused or missing.", healthy)
        yield _one("rotator_vault_reachable", "1 while Vault serves us.", not fleet.vault())
        yield _one("rotator_idle_seconds", "Since a worker last finished a visit.", fleet.silent())
        yield from _login(fleet)
        words = "1 while the settings on disk are refused: the next start would fail."
        yield _one("rotator_settings_refused", words, bool(fleet.refused))
        words = "1 while Vault would not keep what is written there: the next start would fail."
        yield _one("rotator_vault_unfit", words, bool(fleet.unfit))
        yield CounterMetricFamily("rotator_log_lines_dropped", "Lines of the log that nobody took.", logs.dropped())
        if self._receipts is not None:
            yield _one("rotator_receipts_writable", "1 while receipts are written.", self._receipts())
        if self._whole is not None:
            yield _one("rotator_receipts_whole", "0 once the file is not the one that Vault knows of.", self._whole())


def _one(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, float(value))


def _login(fleet: Fleet) -> Iterable[Metric]:
    yield _one("rotator_login_ending", "1 once what we log in to Vault with ends soon.", bool(fleet.login_ending()))
    words, end = "When what we log in to Vault with ends, as far as Vault tells.", fleet.login_end()
    ends = GaugeMetricFamily("rotator_login_expiry_timestamp_seconds", words, labels=("what",))
    uses = GaugeMetricFamily("rotator_login_uses_left", "How many more logins it is good for.", labels=("what",))
    if end and end.ends:
        ends.add_metric((end.what,), end.ends.timestamp())
    if end and end.uses is not None:
        uses.add_metric((end.what,), float(end.uses))
    yield from (ends, uses)


def _neighbours(fleet: Fleet) -> Iterable[Metric]:
    paused = GaugeMetricFamily("rotator_target_paused", "1 while a target is left alone.", labels=("target",))
    for target in fleet.targets():
        paused.add_metric((target.name,), float(bool(target.said)))
    words = "1 while nothing begins there, as too many rotations failed, until a person resumes it."
    stopped = GaugeMetricFamily("rotator_target_stopped", words, labels=("target", "kind"))
    for (target_name, kind), on in fleet.stops().items():
        stopped.add_metric((target_name, kind), float(on))
    refused = GaugeMetricFamily("rotator_minter_refused", "1 while a minter is refused.", labels=("minter",))
    for minter in fleet.minters():
        refused.add_metric((minter.name,), float(bool(minter.said)))
    words = "When the token that mints expires, where it is itself kept fresh here."
    ends = GaugeMetricFamily("rotator_minter_expiry_timestamp_seconds", words, labels=("minter",))
    for name, end in fleet.minter_ends().items():
        ends.add_metric((name,), end.timestamp())
    yield from (paused, stopped, refused, ends)


_NO_NAME = "a credential"  # in the place of names, where what is told is summed up by target
_TIMES: tuple[tuple[str, str, Callable[[State], datetime | None]], ...] = (
    ("next_rotation", "When the next rotation is due.", lambda state: state.due_at),
    ("published", "When the published value was published.", lambda state: state.published_at),
    ("expiry", "When the published value expires.", lambda state: state.expires_at),
    ("due", "Since when a successor is due that is not published; absent when none is.", lambda state: state.due_since),
    ("revoke_by", "When the living predecessor is to be dead.", lambda state: state.revoke_by),
    ("refused", "Since when the published value fails its proof at the target.", lambda state: state.refused_at),
    ("unproven", "Since when the published value was not shown to its target.", lambda state: state.unproven_at),
    ("lost", "Since when consumers are known not to find the published value.", lambda state: state.lost_at),
    ("held", "Since when the credential is held, until a person decides.", lambda state: state.held_at),
    ("awaiting", "Since when the credential waits for a person's work.", lambda state: state.awaiting_at),
    ("paused", "Since when an operator keeps it from being rotated.", lambda state: state.paused_at),
    ("waits_for_window", "When a rotation begins that is due and waits for a window.", lambda state: state.waits_until),
    ("outside_window", "When the latest rotation began in spite of its calendar.", lambda state: state.outside_at),
    ("accepted", "When this process last saw the published value accepted.", lambda state: state.accepted_at),
)
_COUNTS: tuple[tuple[str, str, Callable[[State], float]], ...] = (
    ("consecutive_failures", "Failures in a row; publication ends them.", lambda state: state.failures),
    ("live_predecessors", "Predecessors that may still be accepted.", lambda state: state.predecessors),
    ("broken", "1 while a fault or a bug keeps it from being worked on.", lambda state: state.word is Headline.BROKEN),
)
_MOST = frozenset({"consecutive_failures"})  # counts of which the largest at a target is told, and no sum
_LATEST = frozenset({"outside_window_timestamp_seconds"})  # times of which the latest is told
_ROTATION, _PHASE, _HOLD = "rotation", "phase", "hold"
_WORDS = {
    **{f"{name}_timestamp_seconds": words for name, words, _ in _TIMES},
    **{name: words for name, words, _ in _COUNTS},
    _ROTATION: "The number of the latest rotation.",
    _PHASE: "1 for the phase it is in; `unknown` until its record was read.",
    _HOLD: "1 for why it is held.",
}


def of_credentials(states: Iterable[State]) -> bytes:
    """What there is to tell of each credential, in the text format. What is zero or not so has no series.

    Written here and not by the library, which needs a second and 60 MiB for the series of ten thousand credentials.
    """
    lines: dict[str, list[str]] = {name: [] for name in _WORDS}
    for state in states:
        place = f'credential="{_escaped(state.name)}",target="{_escaped(state.target)}"'
        for name, value, labels in _series(state):
            lines[name].append(f"rotator_credential_{name}{{{place}{labels}}} {value}\n")
    return _text(lines)


def of_targets(states: Iterable[State]) -> bytes:
    """The same series summed up by target: the earliest of times, the sum of counts, how many are in a phase.

    Of times in _LATEST the latest, of counts in _MOST the largest.
    """
    found: dict[tuple[str, str, str], float] = {}
    for state in states:
        place = f'credential="{_NO_NAME}",target="{_escaped(state.target)}"'
        for name, value, labels in _series(state):
            key, told = (name, place, labels), float(value)
            if key not in found:
                found[key] = told
            elif name.endswith("_timestamp_seconds") and name not in _LATEST:
                found[key] = min(found[key], told)
            else:
                found[key] = max(found[key], told) if name in _MOST | _LATEST else found[key] + told
    lines: dict[str, list[str]] = {name: [] for name in _WORDS if name != _ROTATION}
    for (name, place, labels), total in found.items():
        if name != _ROTATION:  # the sum of numbers says nothing
            lines[name].append(f"rotator_credential_{name}{{{place}{labels}}} {total:.0f}\n")
    return _text(lines)


def _series(state: State) -> Iterator[tuple[str, str, str]]:
    """The name of each series of a credential, its value, and its labels beside credential and target."""
    for name, _, when in _TIMES:
        if at := when(state):
            yield f"{name}_timestamp_seconds", f"{at.timestamp():.0f}", ""
    for name, _, count in _COUNTS:
        if value := count(state):
            yield name, str(int(value)), ""
    if state.known:
        yield _ROTATION, str(state.rotation), ""
    yield _PHASE, "1", f',phase="{state.phase}"'
    if state.hold:
        yield _HOLD, "1", f',reason="{state.hold}"'


def _text(lines: dict[str, list[str]]) -> bytes:
    heads = (
        (f"# HELP rotator_credential_{name} {_WORDS[name]}\n# TYPE rotator_credential_{name} gauge\n", rows)
        for name, rows in lines.items()
    )
    return "".join(part for head, rows in heads for part in (head, *rows)).encode()


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class Metrics:
    """An observer that counts, and the text of a scrape. `receipts`: whether they are written, if there are any."""

    def __init__(
        self,
        fleet: Fleet,
        version: str,
        receipts: Writable | None = None,
        whole: Writable | None = None,
        *,
        by_target: bool = False,
    ) -> None:
        """`by_target`: what credentials have to tell is summed up."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left it untyped
        self._registry = CollectorRegistry()
        self._fleet, self._by_target = fleet, by_target
        self._records = FromRecords(fleet, version, receipts, whole)
        self._registry.register(self._records)
        ProcessCollector(registry=self._registry)
        self._transitions = Counter(
            "rotator_transitions", "Transitions, by event.", ("target", "event"), registry=self._registry
        )
        self._verdicts = Counter(
            "rotator_target_verdicts", "What targets said of a value.", ("target", "verdict"), registry=self._registry
        )
        self._seconds = Histogram(
            "rotator_step_duration_seconds",
            "How long steps took.",
            ("step",),
            registry=self._registry,
            buckets=_SECONDS,
        )

        self._probes = Counter(
            "rotator_probes", "What probes of published values came to.", ("target", "verdict"), registry=self._registry
        )
        self._hooks = Counter(
            "rotator_hook_deliveries", "What became of calls of hooks.", ("hook", "outcome"), registry=self._registry
        )

    def __call__(self, transition: Transition) -> None:
        """Count a transition."""
        event, target = transition.event, transition.credential.target
        self._transitions.labels(target, transition.told.name).inc()
        if verdict := _verdict(event):
            self._verdicts.labels(target, verdict).inc()
        if step := _step(event):
            self._seconds.labels(step).observe(transition.seconds)

    def probed(self, target: str, verdict: str) -> None:
        """Count the verdict of a probe of a published value."""
        self._probes.labels(target, verdict).inc()

    def called(self, hook: str, outcome: str, times: int = 1) -> None:
        """Count a call of a hook or the ping; without a time, only make the series exist."""
        self._hooks.labels(hook, outcome).inc(times)

    def scrape(self) -> bytes:
        """The text format, version 0.0.4. One at a time."""
        self._records.states = states = list(self._fleet.each_state())
        try:
            return generate_latest(self._registry) + (of_targets if self._by_target else of_credentials)(states)
        finally:
            self._records.states = ()


def _step(event: ev.Event) -> str:
    step = event.step if isinstance(event, ev.Faulted) else _STEPS.get(type(event), "")
    return step if step in _KNOWN_STEPS else ""


def _verdict(event: ev.Event) -> str:
    if isinstance(event, ev.Faulted):
        return "unknown" if event.step in ("verify", "condemn") else ""
    return _VERDICTS.get(type(event), "")
