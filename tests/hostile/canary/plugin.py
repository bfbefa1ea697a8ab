"""The watch over the whole test run: every `Secret` a test makes is a canary, and no report may show one."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

import pytest

from rotator.rotation.secret import Secret

_SNIPPET = 16  # characters: a shorter piece of a readable test value could be chance
# their business is to show what must not be seen
_ALLOWED = ("tests/unit/observe/logs/", "tests/hostile/canary/", "tests/architecture/")
_FRAME = re.compile(r"-----(?:BEGIN|END) [A-Z0-9 ]+-----")  # of a PEM block
_snippets: set[str] = set()
_seen: set[int] = set()


def _learn(text: str) -> None:
    """The middle and the end of the value and of its base64: the beginning of a JSON web token is no secret.

    Nor is a public key, which is what is staged and published where the private one never leaves Transit; nor what
    every PEM block ends with.
    """
    if "-----BEGIN PUBLIC KEY-----" in text:
        return
    text = _FRAME.sub("", text).strip()
    if len(text) < 2 * _SNIPPET or hash(text) in _seen:
        return
    _seen.add(hash(text))
    for form in (text, base64.b64encode(text.encode(errors="surrogatepass")).decode().rstrip("=")[:-2]):
        middle = len(form) // 2
        _snippets.update((form[middle : middle + _SNIPPET], form[-_SNIPPET:]))


_original = Secret.__init__


def _watched(self: Secret, text: str) -> None:
    _original(self, text)
    _learn(text)


def pytest_configure() -> None:
    """Every secret made from now on is known."""
    Secret.__init__ = _watched  # type: ignore[method-assign] # the watch is the point


def shows_a_secret(text: str) -> bool:
    """Whether a piece of any canary stands in the text."""
    return any(text[at : at + _SNIPPET] in _snippets for at in range(len(text) - _SNIPPET + 1))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Iterator[None]:
    """Fail a test whose output or traceback shows a secret, and show neither."""
    report = yield
    if not item.nodeid.startswith(_ALLOWED):
        shown = [name for name, text in (*report.sections, ("traceback", report.longreprtext)) if shows_a_secret(text)]
        if shown:
            report.outcome = "failed"
            report.sections = []
            report.longrepr = f"{item.nodeid} ({call.when}) shows a secret in: {', '.join(shown)}; withheld"
    return report
