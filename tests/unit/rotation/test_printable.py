"""What others wrote is shown as text: no terminal obeys it, and none of it passes for a line of ours."""

from __future__ import annotations

import pytest

from rotator.ports import Refused, Transient
from rotator.rotation.wording import LONGEST, visible

PEM = "-----BEGIN PUBLIC KEY-----\nMIIBojANBgkqhkiG9w0BAQEFAAOC\nAY8A+/==\n-----END PUBLIC KEY-----"


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("plain words, é and 漢字", "plain words, é and 漢字"),
        ("", ""),
        ("a\nb\r\n", "a\\nb\\r\\n"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("abc\u202edef", "abc\\u202edef"),
        ("a\u2066b\u200fc\u200b", "a\\u2066b\\u200fc\\u200b"),
        ("tab\tand\x9b5n", "tab\\tand\\x9b5n"),
        ("half \ud800", "half \\ud800"),
        ("a\u2028b\x85", "a\\u2028b\\x85"),
    ],
)
def test_what_is_not_printable_is_spelt_out(told: str, shown: str) -> None:
    assert visible(told) == shown


def test_a_public_key_keeps_its_lines_and_nothing_else_does() -> None:
    assert visible(f"paste this:\n{PEM}\nweb  settled") == f"paste this:\n{PEM}\\nweb  settled"
    forged = PEM.replace("AY8A+/==", "web  settled  0")
    assert "\n" not in visible(forged)


def test_what_has_no_end_is_cut_and_says_so() -> None:
    shown = visible("a" * (LONGEST + 7))
    assert shown == "a" * LONGEST + "… (7 more characters)"
    assert visible("a" * 12, 10) == "a" * 10 + "… (2 more characters)"


def test_the_reason_of_a_fault_is_a_line_whoever_wrote_it() -> None:
    fault = Refused("it says that it is \x1b[31mroot\nweb  settled", remedy="ask\u202e")
    assert fault.reason == "it says that it is \\x1b[31mroot\\nweb  settled: ask\\u202e"
    assert len(Transient("a" * 70_000).reason) < 5000
