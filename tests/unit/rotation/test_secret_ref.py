"""The whereabouts of a secret, as a log line shows them."""

from __future__ import annotations

import pytest

from rotator.rotation.secret import SecretRef, SecretSource


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        (SecretRef(SecretSource.FILE, "/run/keys/minter"), "file:/run/keys/minter"),
        (SecretRef(SecretSource.CREDENTIAL, "minter"), "credential:minter"),
        (SecretRef(SecretSource.VAULT, "kv/minters/blog", "token"), "vault:kv/minters/blog#token"),
    ],
)
def test_a_reference_is_written_with_its_source_and_its_key(reference: SecretRef, text: str) -> None:
    assert str(reference) == text
