"""Advice about a secret that others may read is given once, however often the secret is read."""

from __future__ import annotations

from pathlib import Path

import structlog
from structlog.testing import capture_logs

from rotator.app.factories import local_secret
from rotator.rotation.secret import SecretRef, SecretSource


def test_a_password_that_is_read_with_each_call_is_advised_about_once(tmp_path: Path) -> None:
    (tmp_path / "proxy").write_text("canary-advice-Zq8RtW2mLx5Kp")
    (tmp_path / "proxy").chmod(0o644)
    structlog.reset_defaults()  # another test may have left a level that no advice reaches
    with capture_logs() as lines:
        for _ in range(3):
            local_secret(SecretRef(SecretSource.FILE, str(tmp_path / "proxy")))
    assert [line["event"] for line in lines] == ["secret.exposed"]
