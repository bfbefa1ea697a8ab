"""Forgetting: what was fuzzed into a secret here, a word perhaps, must not be blotted out of others' lines."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from rotator.observe.logs.redaction import Redactor, redact


@pytest.fixture(autouse=True, scope="module")
def forgetful() -> Iterator[None]:
    yield
    gc.collect()
    redact.__dict__.update(Redactor().__dict__)
