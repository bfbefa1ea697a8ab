"""No test redacts the words of another: the redactor of the process begins each with living values alone."""

from __future__ import annotations

import gc

from rotator.observe.logs.redaction import redact
from rotator.rotation.secret import Secret

SAID = "what canary-of-an-earlier-test-5e hides"


def test_a_value_that_dies_with_its_test() -> None:
    value = Secret("canary-of-an-earlier-test-5e")
    assert redact(SAID) != SAID
    assert value.matches(Secret("canary-of-an-earlier-test-5e"))


def test_is_no_secret_of_the_next_one() -> None:
    gc.collect()
    assert redact(SAID) == SAID
