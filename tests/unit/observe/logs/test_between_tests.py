"""No test redacts the words of another: the redactor of the process begins each with living values alone."""

from __future__ import annotations

import gc

from rotator.observe.logs.redaction import redact
from rotator.rotation.secret import Secret

VALUE = "q7Zx-41vL-0pTk-93mW"  # it shares no eight characters with a value that lives as long as its module
SAID = f"what {VALUE} hides"


def test_a_value_that_dies_with_its_test() -> None:
    value = Secret(VALUE)
    assert redact(SAID) != SAID
    assert value.matches(Secret(VALUE))


def test_is_no_secret_of_the_next_one() -> None:
    gc.collect()
    assert redact(SAID) == SAID
