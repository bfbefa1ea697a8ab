"""Where a secret's value comes out: each way out is written down here, with its count."""

from __future__ import annotations

import ast

from tests.architecture.source import files, short, tree

WAYS_OUT = {
    "rotator/providers/http.py": 2,  # the Authorization header: bearer, basic
    "rotator/sandbox/cms/model.py": 1,  # the sandbox is the target: it has to know what it minted
    "rotator/sandbox/openbao.py": 1,  # the root token of a server of our own
    "rotator/vault/adapter.py": 1,  # the body of a request to Vault
}


def used(path, attribute: str) -> int:
    """How often the attribute is named in a file, called or not."""
    return sum(isinstance(node, ast.Attribute) and node.attr == attribute for node in ast.walk(tree(path)))


def test_secrets_are_revealed_only_where_it_is_written_down() -> None:
    found = {short(path): count for path in files("rotator") if (count := used(path, "reveal"))}
    assert found == WAYS_OUT, "every reveal() is a way out for a secret: review it, then write it down in this table"


def test_nobody_reaches_into_a_secret() -> None:
    inside = "rotator/rotation/secret.py"
    assert [short(path) for path in files("rotator") if used(path, "_text") and short(path) != inside] == []
