"""Spans go through the proxy that settings name, and past the one that the environment names."""

from __future__ import annotations

import pytest

from rotator.host.proxy import Proxy
from rotator.observe.tracing import exporter
from rotator.rotation.secret import Secret, SecretRef, SecretSource
from rotator.vault.transport import VaultProxy
from tests.kit.http_server import Listener
from tests.unit.providers.forward_proxy import forward_proxy

PASSWORD = "canary-proxy-Tq8RtW2mLx5Kp"


@pytest.mark.parametrize("named", [False, True])
def test_spans_go_where_settings_say(named: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with Listener() as receiver, forward_proxy(("rotator", PASSWORD)) as running:
        proxy = Proxy(running.url, "rotator", SecretRef(SecretSource.FILE, "/run/secrets/proxy"))
        sender = exporter(
            f"{receiver.url}/v1/traces", VaultProxy(proxy, lambda ref: Secret(PASSWORD)) if named else None
        )
        sender.export(())
        sender.shutdown()
        assert [call.target for call in receiver.calls] == ["/v1/traces"]
        assert "proxy-authorization" not in receiver.calls[0].headers
        assert [each.target for each in running.asked] == ([f"{receiver.url}/v1/traces"] if named else [])
