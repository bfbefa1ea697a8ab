"""The password of a proxy, for clients that go through none."""

from __future__ import annotations

from rotator.rotation.secret import Secret, SecretRef


async def no_password(ref: SecretRef) -> Secret:
    """Raises AssertionError."""
    raise AssertionError(f"nobody here goes through a proxy that wants the password at {ref}")
