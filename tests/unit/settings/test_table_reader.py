"""Every key has its line, whatever TOML stands around it."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from rotator.settings.table_reader import lines

TEXT = '''\
# a comment with [brackets] and = signs
title = "x" # and another
[a.b]
c.d = 1
"quoted key" = 2
'literal.key' = 3
"e\\u0073c" = 4

text = """
[not.a.table]
not_a_key = 1
\\""" still inside """
other = 5
raw = \'\'\'
[nor.this] # "
\'\'\'
list = [
  1, # ]
  "]",
  [2],
]
inline = {x = 1, y = {z = "}"}}
after = 6
[[many]]
one = 1
[ "spaced" . out ]
two = 2
'''


def test_each_key_is_found_on_its_line() -> None:
    found = lines(TEXT)
    wanted = {
        ("title",): 2, ("a",): 3, ("a", "b"): 3, ("a", "b", "c"): 4, ("a", "b", "c", "d"): 4,
        ("a", "b", "quoted key"): 5, ("a", "b", "literal.key"): 6, ("a", "b", "esc"): 7, ("a", "b", "text"): 9,
        ("a", "b", "other"): 13, ("a", "b", "raw"): 14, ("a", "b", "list"): 17, ("a", "b", "inline"): 22,
        ("a", "b", "after"): 23, ("many",): 24, ("many", "one"): 25, ("spaced",): 26, ("spaced", "out"): 26,
        ("spaced", "out", "two"): 27,
    }  # fmt: skip
    tomllib.loads(TEXT)
    assert found == wanted


def test_a_text_without_a_closing_line_end_is_read_to_its_end() -> None:
    assert lines("[a]\nb = 1") == {("a",): 1, ("a", "b"): 2}
    assert lines("[a]") == {("a",): 1}
    assert lines("") == {}


VALUES = st.sampled_from(
    ['"a]b"', "'#'", "[1, [2], ']']", '{a = "}", b = [1]}', '"""\nx = 1\n"""', "[\n1,\n# ]\n2\n]", "1"]
)


@given(st.lists(VALUES, max_size=12))
def test_lines_count_every_line_end_before_a_key(values: list[str]) -> None:
    text, wanted = "", {}
    for number, value in enumerate(values):
        wanted[(f"k{number}",)] = text.count("\n") + 1
        text += f"k{number} = {value}\n"
    assert lines(text) == wanted
