"""Where a secret's value comes out: each way out is written down here, with its count."""

from __future__ import annotations

import ast

from tests.architecture.source import files, short, tree

WAYS_OUT = {
    "rotator/observe/logs/redaction.py": 1,  # to know what to blot out
    "rotator/host/proxy.py": 1,  # the header that logs in to a proxy
    "rotator/vault/login.py": 1,  # the dates in the JWT of our own login
    "rotator/observe/hooks/senders.py": 1,  # the key that signs a webhook
    "rotator/observe/hooks/__init__.py": 1,  # an address that is itself a secret: the one to call
    "rotator/providers/halo_cms/client.py": 2,  # the form of a Halo token, and the id inside it
    "rotator/providers/keys/algorithms.py": 1,  # a client secret as the key of an HMAC
    "rotator/providers/keys/assertion.py": 3,  # one taken apart: to make its sibling, to forge one for the control
    "rotator/providers/http/auth.py": 4,  # a caller's header: bearer, key, basic; a field of a form or body
    "rotator/providers/keys/client_certificate.py": 4,  # a certificate and its key: parsed, and handed to TLS
    "rotator/providers/keys/signing.py": 3,  # a private key, and a certificate, parsed; a public key, no secret
    "rotator/testing/kit.py": 1,  # to find a value in what a provider has said
    "rotator/testing/memory_vault.py": 1,  # a document of the engine in memory
    "rotator/vault/hvac_adapter.py": 1,  # a request to Vault: its token and its body
    # the sandbox is no part of the daemon: it plays the target and the person who sets things up
    "tests/sandbox/cms/model.py": 1,
    "tests/sandbox/itsm_process.py": 7,  # what is planted there, and what a consumer of the desk presents
    "tests/sandbox/itsm/model.py": 7,
    "tests/sandbox/openbao.py": 2,
    "tests/sandbox/environment.py": 4,
}


def used(path, attribute: str) -> int:
    """How often the attribute is named in a file, called or not."""
    return sum(isinstance(node, ast.Attribute) and node.attr == attribute for node in ast.walk(tree(path)))


def test_secrets_are_revealed_only_where_it_is_written_down() -> None:
    found = {short(path): count for path in files("rotator", "tests/sandbox") if (count := used(path, "reveal"))}
    assert found == WAYS_OUT, "every reveal() is a way out for a secret: review it, then write it down in this table"


def test_nobody_reaches_into_a_secret() -> None:
    inside = "rotator/rotation/secret.py"
    assert [short(path) for path in files("rotator") if used(path, "_text") and short(path) != inside] == []
