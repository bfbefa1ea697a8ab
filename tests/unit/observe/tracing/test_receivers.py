"""A bad receiver of traces costs nothing: no thread that waits, no memory, no connection left open."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import anyio
import pytest
from anyio import to_thread
from opentelemetry.sdk.trace.export import SpanExportResult

from rotator.observe.tracing import exporter
from tests.hostile.behaviours import BEHAVIOURS
from tests.hostile.server import Hostile
from tests.hostile.wire import Asked, Reply
from tests.kit.certificates import Authority

pytestmark = pytest.mark.anyio

LIMIT = 8.0  # seconds: below the patience for a head, far above what it takes on a busy machine
MOST = 8 << 20  # bytes


@pytest.mark.parametrize(
    "behaviour",
    [
        "honest",
        "a body that drips",
        "chunks without end",
        "a body without end",
        "a compression bomb",
        "a bomb in a bomb",
    ],
)
async def test_an_answer_is_read_no_further_than_its_head(behaviour: str, tmp_path: Path) -> None:
    async def taken(asked: Asked) -> Reply:
        return Reply()

    bad = Hostile(BEHAVIOURS[behaviour], Authority(tmp_path))
    bad.upstream, bad.armed = taken, True
    async with bad.running():
        sender = exporter(f"{bad.url}/v1/traces")
        tracemalloc.start()
        with anyio.fail_after(LIMIT):
            told = await to_thread.run_sync(sender.export, (), abandon_on_cancel=True)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        sender.shutdown()
        assert told is SpanExportResult.SUCCESS
        assert most < MOST
        with anyio.fail_after(LIMIT):
            while bad.open:  # noqa: ASYNC110 (what is waited for sets no event)
                await anyio.sleep(0.02)
