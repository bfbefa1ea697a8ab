from __future__ import annotations

import secrets
from pathlib import Path

from rotator.rotation.secret import Secret
from tests.hostile.canary.plugin import shows_a_secret


def test_every_secret_that_a_test_makes_is_watched() -> None:
    value = "pat_eyJ" + secrets.token_urlsafe(60)
    assert not shows_a_secret(f"before: {value}")
    secret = Secret(value)
    assert shows_a_secret(f"AssertionError: {value} was printed")
    assert not shows_a_secret(f"AssertionError: {secret!r} was printed")


def test_a_test_that_prints_a_secret_fails_and_does_not_show_it(pytester, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    pytester.makeconftest("from tests.hostile.canary.plugin import pytest_configure, pytest_runtest_makereport")
    pytester.makepyfile(
        """
        import secrets
        from rotator.rotation.secret import Secret

        def test_leaky():
            value = "pat_eyJ" + secrets.token_urlsafe(60)
            secret = Secret(value)
            print("the value is", secret.reveal())

        def test_tight():
            print("the value is", Secret("pat_eyJ" + secrets.token_urlsafe(60)))
        """
    )
    outcome = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    outcome.assert_outcomes(passed=1, failed=1, errors=1)  # the teardown reports the same output
    assert "withheld" in outcome.stdout.str()
    assert "pat_eyJ" not in outcome.stdout.str()


def test_a_public_key_and_the_frame_of_a_private_one_are_no_secrets() -> None:
    body = "\n".join(secrets.token_hex(32) for _ in range(20))
    public, private = (
        f"-----BEGIN {sort} KEY-----\n{body}\n-----END {sort} KEY-----" for sort in ("PUBLIC", "PRIVATE")
    )
    Secret(public)
    assert not shows_a_secret(f"replace the public key by the one below: {public}")
    Secret(private)
    assert shows_a_secret(private)
    assert not shows_a_secret("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----")
