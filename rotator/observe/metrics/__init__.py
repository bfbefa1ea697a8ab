"""What Prometheus is told, and the only import of its library; what is true of the fleet is fleet's.

States are computed from the fleet at each scrape; only what happened is counted. Every label value comes from
settings or from a fixed list of ours, so that nothing a target says can make a series.
"""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from rotator.engine.reconciler import Transition
from rotator.observe.fleet import Fleet
from rotator.observe.metrics.states import FromRecords, Writable
from rotator.rotation import events as ev

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
    ev.Rejected: "verify",
    ev.Overtaken: "publish",
    ev.Published: "publish",
    ev.Fenced: "fence",
    ev.Deferred: "condemn",
    ev.Condemned: "condemn",
    ev.Disproved: "condemn",
    ev.Retired: "revoke",
    ev.LeftToExpire: "revoke",
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
    ev.Rejected: "refused",
    ev.Disproved: "refused",
}
_KNOWN_STEPS = frozenset((*_STEPS.values(), "escalate"))
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """An observer that counts, and the text of a scrape. `receipts`: whether they are written, where there are any."""

    def __init__(
        self, fleet: Fleet, version: str, receipts: Writable | None = None, whole: Writable | None = None
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left it untyped
        self._registry = CollectorRegistry()
        self._registry.register(FromRecords(fleet, version, receipts, whole))
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
        """Count what a probe of a published value came to."""
        self._probes.labels(target, verdict).inc()

    def called(self, hook: str, outcome: str, times: int = 1) -> None:
        """Count a call of a hook, or of the ping; no time at all shows that it would be counted."""
        self._hooks.labels(hook, outcome).inc(times)

    def scrape(self) -> bytes:
        """The text format, version 0.0.4."""
        return generate_latest(self._registry)


def _step(event: ev.Event) -> str:
    step = event.step if isinstance(event, ev.Faulted) else _STEPS.get(type(event), "")
    return step if step in _KNOWN_STEPS else ""


def _verdict(event: ev.Event) -> str:
    if isinstance(event, ev.Faulted):
        return "unknown" if event.step in ("verify", "condemn") else ""
    return _VERDICTS.get(type(event), "")
