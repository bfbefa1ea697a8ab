"""Who may neither log in to Vault nor use the daemon's socket is told that a daemon runs, and who may ask it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rotator.app import factories
from rotator.ports import StoreRefused
from rotator.rotation.secret import SecretRef, SecretSource


@pytest.mark.parametrize(
    ("who", "more"),
    [("", ""), ("rotator and root", "; a daemon runs here: rotator and root may ask it, `sudo rotate` for one")],
)
def test_a_secret_that_is_not_ours_to_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, who: str, more: str
) -> None:
    monkeypatch.setattr(factories, "others", lambda path: who)
    ref = SecretRef(SecretSource.FILE, str(tmp_path / "secret-id"))
    with pytest.raises(StoreRefused) as refused:
        factories._login_secret("/run/rotator/control.sock", ref)
    assert refused.value.reason == f"file:{tmp_path}/secret-id cannot be read: No such file or directory{more}"
