"""A rotation is one trace: whoever works on it, its steps hang below one span, and last as long as was measured."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from rotator.engine.reconciler import Transition
from rotator.observe.tracing import Traces, over_otlp
from rotator.rotation import events as ev
from rotator.rotation.record import Failure, HoldReason, Phase
from rotator.settings import Tracing
from tests.kit.fleet import settled, transition
from tests.unit.engine.world import World
from tests.unit.observe.hooks import transitions as they
from tests.unit.rotation.builders import NOW, record
from tests.unit.vault.worlds import canary

END = 1_800_000_000_000_000_000  # nanoseconds
SECOND = 1_000_000_000


class Process:
    """One process that traces into memory."""

    def __init__(self) -> None:
        self.memory = InMemorySpanExporter()
        self.traces = Traces(SimpleSpanProcessor(self.memory), "host-a", lambda: END)

    def told(self, *transitions: Transition) -> list[ReadableSpan]:
        self.memory.clear()
        for each in transitions:
            self.traces(each)
        return list(self.memory.get_finished_spans())


@pytest.fixture
def process() -> Iterator[Process]:
    made = Process()
    yield made
    made.traces.close()


def test_a_step_is_a_span_that_took_as_long_as_was_measured(process: Process) -> None:
    [span] = process.told(replace(they.publication(), seconds=0.25))
    assert span.name == "value.published"
    assert (span.end_time, span.end_time - span.start_time) == (END, SECOND // 4)
    expected = {
        "rotator.credential": "blog",
        "rotator.target": "blog",
        "rotator.rotation": 3,
        "rotator.attempt": 1,
        "rotator.event": "value.published",
        "rotator.phase": "published",
    }
    assert expected.items() <= dict(span.attributes).items()
    assert span.status.status_code is StatusCode.UNSET
    assert span.resource.attributes["service.name"] == "rotator"
    assert span.resource.attributes["service.instance.id"] == "host-a"


def test_what_went_wrong_is_an_error_named_by_its_step(process: Process) -> None:
    [fault] = process.told(they.fault("HTTP 503"))
    assert (fault.name, fault.status.status_code, fault.status.description) == (
        "mint",
        StatusCode.ERROR,
        "mint: HTTP 503",
    )
    refusal = next(span for span in process.told(they.surrender()) if span.name == "mint.refused")
    assert refusal.status.status_code is StatusCode.ERROR


def test_the_steps_of_a_rotation_share_a_trace_and_the_whole_is_sent_at_its_end(process: Process) -> None:
    first, last, whole = process.told(they.retirement(), they.settling())
    assert whole.name == "rotation"
    assert whole.parent is None
    assert {first.context.trace_id, last.context.trace_id} == {whole.context.trace_id}
    assert {first.parent.span_id, last.parent.span_id} == {whole.context.span_id}
    began = int(they.settling().after.requested_at.timestamp()) * SECOND
    assert (whole.start_time, whole.end_time) == (began, END)
    assert {"rotator.attempts": 2, "rotator.why": "aged"}.items() <= dict(whole.attributes).items()
    assert whole.status.status_code is StatusCode.UNSET


def test_processes_that_work_on_one_rotation_share_its_trace() -> None:
    one, other = Process(), Process()
    [step] = one.told(they.retirement())
    *_, whole = other.told(they.settling())
    assert (step.context.trace_id, step.parent.span_id) == (whole.context.trace_id, whole.context.span_id)
    assert step.context.span_id != whole.context.span_id
    one.traces.close()
    other.traces.close()


@pytest.mark.parametrize("changes", [{"rotation": 4}, {"lineage": "l2"}], ids=str)
def test_another_rotation_or_lineage_is_another_trace(process: Process, changes: dict[str, Any]) -> None:
    they_are = they.retirement()
    other = replace(they_are, after=replace(they_are.after, **changes))
    [span], [elsewhere] = process.told(they_are), process.told(other)
    assert span.context.trace_id != elsewhere.context.trace_id


def test_a_rotation_that_was_given_up_ends_with_an_error(process: Process) -> None:
    whole = process.told(they.surrender())[-1]
    assert (whole.name, whole.status.status_code) == ("rotation", StatusCode.ERROR)
    assert whole.status.description == "given up at mint: HTTP 403"


def test_what_happens_before_the_first_rotation_or_at_rest_ends_no_trace(process: Process) -> None:
    held = they.hold()
    released = transition(they.BLOG, held.after, ev.Released(NOW, "ada"))
    assert [span.name for span in process.told(held, released)] == ["credential.held", "credential.released"]
    swept = transition(they.BLOG, settled(failure=Failure("mint", "x", NOW)), ev.Swept(NOW, ()))
    assert [span.name for span in process.told(swept)] == ["rotation.settled"]
    none = transition(
        they.BLOG, record(Phase.SETTLED, rotation=0), ev.PutOnHold(NOW, HoldReason.DELETED, "somebody deleted it")
    )
    assert process.told(none) == []


def test_no_secret_is_in_a_span(process: Process) -> None:
    secret = canary("span")
    fault = they.fault(f"the target said {secret.reveal()}")
    ending = they.settling()
    ending = replace(
        ending,
        after=replace(ending.after, asked_by=secret.reveal(), failure=Failure("mint", secret.reveal(), NOW)),
    )
    spans = process.told(fault, ending)
    text = "".join(span.to_json() for span in spans)
    assert len(spans) == 3
    assert secret.reveal() not in text
    assert "[redacted]" in text


def test_the_sampler_decides_for_a_whole_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    for sampler in ("traceidratio", "parentbased_traceidratio"):
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
        monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
        process = Process()
        kept = []
        for rotation in range(1, 21):
            ending = they.settling()
            kept.append(len(process.told(replace(ending, after=replace(ending.after, rotation=rotation)))))
        assert set(kept) == {0, 2}, sampler
        process.traces.close()


@pytest.mark.anyio
async def test_a_real_rotation_of_the_engine_is_one_trace_from_request_to_rest(process: Process) -> None:
    spans = process.told(*await rotated())
    [whole] = [span for span in spans if span.name == "rotation"]
    assert {span.context.trace_id for span in spans} == {whole.context.trace_id}
    names = [span.name for span in spans]
    assert names[0] == "rotation.requested"
    assert {"candidate.staged", "candidate.verified", "value.published"} <= set(names)


async def rotated() -> list[Transition]:
    """Every transition of a first rotation in the engine's world."""
    actor = World().actor()
    await actor.reconcile()
    return actor.told


def test_a_dead_receiver_does_not_delay_the_end_for_long() -> None:
    traces = over_otlp(Tracing("http://127.0.0.1:9"), "host-a")  # nobody listens on the discard port
    begun = time.monotonic()
    traces(they.publication())
    traces.close()
    assert time.monotonic() - begun < 6
