"""Traces: a rotation is one trace, each step a span. The only import of OpenTelemetry; imported only if wanted.

Spans are made from transitions; the library sends them.
"""

from __future__ import annotations

import hashlib
import io
import os
import threading
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags, set_span_in_context

from rotator.app.factories import local_secret
from rotator.engine.reconciler import Transition
from rotator.observe.logs.redaction import redact
from rotator.rotation import events as ev
from rotator.rotation.messages import EventSeverity, Message
from rotator.rotation.record import Phase
from rotator.settings import Tracing
from rotator.vault.transport import VaultProxy, new_requests_session

_PATH = "/v1/traces"
_LAST_WORDS = 3.0  # seconds for sending the rest at the end
_HEAD = 10.0  # seconds until an answer must have begun
_SECOND = 1_000_000_000  # nanoseconds


class Traces:
    """An observer. Steps are children of a span of the whole rotation, whose id every process can compute.

    The process that ends the rotation sends that span; until then a viewer shows the steps without it.
    """

    def __init__(self, processor: SpanProcessor, instance: str, now: Callable[[], int] = time.time_ns) -> None:
        """`now`: nanoseconds since the epoch."""
        self._now = now
        self._numbers = _Numbers()
        service = {
            "service.name": os.environ.get("OTEL_SERVICE_NAME", "rotator"),
            "service.version": version("rotator"),
        }
        resource = Resource.create({**service, "service.instance.id": instance})
        self._provider = TracerProvider(resource=resource, id_generator=self._numbers, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("rotator", version("rotator"))

    def __call__(self, transition: Transition) -> None:
        """Record a transition. Raises no fault of the receiver."""
        if not transition.after.rotation:
            return
        told = transition.told
        end = self._now()
        self._step(transition, told, end)
        if _ends(transition):
            self._whole(transition, end)

    def close(self) -> None:
        """Send what is left; waits a few seconds at most."""
        last = threading.Thread(target=self._provider.shutdown, daemon=True)
        last.start()
        last.join(_LAST_WORDS)

    def _step(self, transition: Transition, told: Message, end: int) -> None:
        event, after = transition.event, transition.after
        trace, root = _trace_and_root(transition)
        parent = NonRecordingSpan(SpanContext(trace, root, is_remote=True, trace_flags=self._flags(trace)))
        attributes = {
            **_about(transition),
            "rotator.event": told.name,
            "rotator.attempt": after.attempt,
            "rotator.phase": after.phase.value,
            "rotator.said": redact(told.said),
        }
        name = event.step if isinstance(event, ev.Faulted) else told.name
        span = self._tracer.start_span(
            name,
            set_span_in_context(parent, Context()),
            attributes=attributes,
            start_time=_before(end, transition.seconds),
        )
        if isinstance(event, ev.Faulted) or told.severity is EventSeverity.ERROR:
            span.set_status(Status(StatusCode.ERROR, redact(told.said)))
        span.end(end)

    def _whole(self, transition: Transition, end: int) -> None:
        after = transition.after
        begun = after.requested_at
        self._numbers.next = _trace_and_root(transition)
        attributes = {
            **_about(transition),
            "rotator.why": after.why.value if after.why else "",
            "rotator.attempts": after.attempt,
            "rotator.asked_by": redact(after.asked_by),
        }
        start = min(end, int(begun.timestamp() * _SECOND)) if begun else end
        span = self._tracer.start_span("rotation", Context(), attributes=attributes, start_time=start)
        if after.failure:
            said = f"given up at {after.failure.step}: {after.failure.reason}"
            span.set_status(Status(StatusCode.ERROR, redact(said)))
        span.end(end)
        self._numbers.next = None

    def _flags(self, trace: int) -> TraceFlags:
        """As the sampler will decide for the whole rotation: it decides by the trace id."""
        wanted = self._provider.sampler.should_sample(None, trace, "rotation").decision is Decision.RECORD_AND_SAMPLE
        return TraceFlags(TraceFlags.SAMPLED if wanted else TraceFlags.DEFAULT)


class _Numbers(IdGenerator):
    """Random ids, except for the one span whose ids are given."""

    def __init__(self) -> None:
        self._chance = RandomIdGenerator()
        self.next: tuple[int, int] | None = None

    def generate_trace_id(self) -> int:
        return self.next[0] if self.next else self._chance.generate_trace_id()

    def generate_span_id(self) -> int:
        return self.next[1] if self.next else self._chance.generate_span_id()


def over_otlp(tracing: Tracing, instance: str) -> Traces:
    """Traces that a thread of the library sends in batches. Without an endpoint, the OTEL_* environment decides."""
    endpoint = tracing.endpoint
    way = VaultProxy(tracing.proxy, local_secret) if tracing.proxy else None
    if endpoint and not urlsplit(endpoint).path:
        endpoint += _PATH
    return Traces(BatchSpanProcessor(exporter(endpoint, way)), instance)


def exporter(endpoint: str, way: VaultProxy | None = None) -> OTLPSpanExporter:
    """Sends spans, and reads only the head of an answer: the library's own session stores endless answers, decompresses
    them, and waits for slow ones (measured with its release 1.45.2)."""
    session = new_requests_session(None, _HEAD, way=way)
    session.hooks["response"].append(_unread)
    return OTLPSpanExporter(endpoint or None, session=session)


def _unread(answer: Any, **_: object) -> None:
    answer.raw.close()
    answer.raw = io.BytesIO()


def _trace_and_root(transition: Transition) -> tuple[int, int]:
    """The ids of a rotation's trace and of its whole span: the same in every process that works on it."""
    name = f"{transition.after.lineage}/{transition.credential.name}/{transition.after.rotation}"
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:16], "big") or 1, int.from_bytes(digest[16:24], "big") or 1


def _ends(transition: Transition) -> bool:
    released = isinstance(transition.event, ev.Released)  # a rotation held in phase settled has ended before
    return not released and transition.before.phase is not Phase.SETTLED and transition.after.phase is Phase.SETTLED


def _about(transition: Transition) -> dict[str, str | int]:
    credential = transition.credential
    return {
        "rotator.credential": credential.name,
        "rotator.target": credential.target,
        "rotator.rotation": transition.after.rotation,
    }


def _before(end: int, seconds: float) -> int:
    return end - int(seconds * _SECOND)
