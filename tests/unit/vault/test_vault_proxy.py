"""Vault behind a proxy: what is sent to whom, and that no trouble of the proxy's is taken for Vault's word."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rotator.host.proxy import Proxy
from rotator.ports import Conflict, Fault, Refused, StoreRefused, Transient
from rotator.rotation.secret import Secret, SecretRef, SecretSource
from rotator.vault.hvac_adapter import HardenedAdapter, PolicyDenied, VaultResponse
from rotator.vault.transport import VaultConnection, VaultProxy, new_requests_session
from tests.kit.certificates import self_signed
from tests.unit.providers.forward_proxy import Asked, ForwardProxy, forward_proxy
from tests.unit.vault.hostile import answer, raw_server
from tests.unit.vault.worlds import canary

TOKEN = canary("token-behind")
PASSWORD = "canary-proxy-Vq8RtW2mLx5Kp"
LOGIN = ("rotator", PASSWORD)
REF = SecretRef(SecretSource.FILE, "/run/secrets/proxy")
GOOD = answer(200, {"data": {}})


class Kept:
    """Where the password is kept; what is None cannot be read."""

    def __init__(self, password: str | None = PASSWORD) -> None:
        self.password = password

    def read(self, ref: SecretRef) -> Secret:
        if self.password is None:
            raise StoreRefused(f"{ref} cannot be read: No such file or directory")
        return Secret(self.password)


@contextmanager
def asking(
    address: str,
    running: ForwardProxy,
    ca_file: str | None = None,
    kept: Kept | None = None,
    authority: str | None = None,
) -> Iterator[HardenedAdapter]:
    proxy = Proxy(running.url, *((LOGIN[0], REF) if running.login else ()), ca_file=authority)
    session = new_requests_session(ca_file, 2.0, way=VaultProxy(proxy, (kept or Kept()).read))
    try:
        yield HardenedAdapter(base_uri=address, token=TOKEN, timeout=(1, 1), session=session)
    finally:
        session.close()


def ask(address: str, running: ForwardProxy, ca_file: str | None = None, **more: str) -> VaultResponse:
    with asking(address, running, ca_file, **more) as adapter:
        return adapter.get("/v1/secret/data/x")


def fault_of(address: str, running: ForwardProxy, ca_file: str | None = None, **more: str) -> Fault:
    with pytest.raises(Fault) as fault:
        ask(address, running, ca_file, **more)
    assert PASSWORD not in repr(fault.value)
    return fault.value


@pytest.fixture
def safe(tmp_path: Path) -> Iterator[tuple[str, str, list[str]]]:
    """A server with TLS: its address, its authority's file, what it heard."""
    context, ca_file = self_signed(tmp_path, "127.0.0.1")
    with raw_server(GOOD, context) as server:
        yield server.address, ca_file, server.seen


# --- the way ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("login", [None, LOGIN])
def test_an_https_vault_is_met_through_a_tunnel(
    safe: tuple[str, str, list[str]], login: tuple[str, str] | None
) -> None:
    address, ca_file, seen = safe
    with forward_proxy(login) as running, asking(address, running, ca_file) as adapter:
        for _ in range(3):
            assert adapter.get("/v1/secret/data/x").status == 200
    assert [(each.method, each.target) for each in running.asked] == [("CONNECT", address.removeprefix("https://"))]
    assert TOKEN.reveal().encode() not in running.heard
    assert len(seen) == 3
    assert "roxy-" not in "".join(seen)


@pytest.mark.parametrize("login", [None, LOGIN])
def test_a_plain_vault_is_asked_for_by_its_whole_address(login: tuple[str, str] | None) -> None:
    with raw_server(GOOD) as server, forward_proxy(login) as running:
        assert ask(server.address, running).status == 200
    assert [(each.method, each.target) for each in running.asked] == [("GET", f"{server.address}/v1/secret/data/x")]
    assert server.seen[0].startswith("GET /v1/secret/data/x ")
    assert "roxy-" not in server.seen[0]


def test_the_name_of_vault_is_looked_up_by_the_proxy() -> None:
    with raw_server(GOOD) as server, forward_proxy() as running:
        running.hosts["vault.invalid"] = int(server.address.rpartition(":")[2])
        assert ask("http://vault.invalid:8200", running).status == 200


def test_an_https_proxy_is_believed_by_an_authority_of_its_own(
    safe: tuple[str, str, list[str]], tmp_path: Path
) -> None:
    address, ca_file, _ = safe
    (tmp_path / "proxy").mkdir()
    context, authority = self_signed(tmp_path / "proxy", "127.0.0.1")
    with forward_proxy(LOGIN, tls=context) as running:
        assert ask(address, running, ca_file, authority=authority).status == 200
        unknown = fault_of(address, running, ca_file)
        other = fault_of(address, running, authority=authority)
        with raw_server(GOOD) as plain:
            assert ask(plain.address, running, authority=authority).status == 200
    assert f"the proxy {running.url} cannot be reached: its certificate is not issued by" in unknown.reason
    assert "cannot be reached" not in other.reason
    assert "its certificate is not issued by" in other.reason


def test_the_environment_names_no_other_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "*")
    with raw_server(GOOD) as server, forward_proxy() as running:
        assert ask(server.address, running).status == 200
    assert len(running.asked) == 1


def test_plain_http_to_this_host_does_not_leave_it() -> None:
    elsewhere = VaultProxy(Proxy("http://proxy.example:3128"), Kept().read)
    with pytest.raises(ValueError, match="would leave it"):
        VaultConnection("http://127.0.0.1:8200", proxy=elsewhere)
    VaultConnection("https://127.0.0.1:8200", proxy=elsewhere)
    VaultConnection("http://127.0.0.1:8200", proxy=VaultProxy(Proxy("http://127.0.0.1:3128"), Kept().read))


# --- its login ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True])
def test_another_password_is_used_at_once_and_on_no_old_connection(tmp_path: Path, tls: bool) -> None:
    context, ca_file = self_signed(tmp_path, "127.0.0.1")
    kept = Kept()
    with (
        raw_server(GOOD, context if tls else None) as server,
        forward_proxy(LOGIN) as running,
        asking(server.address, running, ca_file if tls else None, kept) as adapter,
    ):
        adapter.get("/v1/x")
        assert running.connections == 1
        running.login = (LOGIN[0], "canary-proxy-next-7Gq2Wx9Tz")
        kept.password = running.login[1]
        adapter.get("/v1/x")
        assert running.connections == 2
        running.await_open(1)
        kept.password = None
        adapter.get("/v1/x")  # a file that is being replaced: the one before is good
        assert running.connections == 2


def test_a_password_that_cannot_be_had_is_a_fault_of_the_way() -> None:
    with (
        raw_server(GOOD) as server,
        forward_proxy(LOGIN) as running,
        asking(server.address, running, kept=Kept(None)) as adapter,
        pytest.raises(Transient) as fault,
    ):
        adapter.get("/v1/x")
    assert f"the password of the proxy {running.url} cannot be had: file:/run/secrets/proxy" in fault.value.reason
    assert running.asked == []


# --- its faults ---------------------------------------------------------------------------------------------------

TROUBLES = {
    "407": "refuses our login (407): compare username and password",
    "403": "does not let us through to 127.0.0.1:",
    "302": "does not let us through to 127.0.0.1:",
    "502": "cannot reach 127.0.0.1:",
    "503": "cannot reach 127.0.0.1:",
    "504": "cannot reach 127.0.0.1:",
    "hang": "did not answer in time",
    "reset": "closed the connection without an answer",
    "silence": "closed the connection without an answer",
    "garbage": "answers is not HTTP",
    "drip": "did not answer in time",
    "hints": "does not let us through to 127.0.0.1:",  # http.client takes an informational answer for the answer
}


@pytest.mark.parametrize("deed", TROUBLES)
def test_what_a_proxy_does_to_a_tunnel_is_its_own_fault(safe: tuple[str, str, list[str]], deed: str) -> None:
    address, ca_file, seen = safe
    with forward_proxy(LOGIN, deed) as running:
        fault = fault_of(address, running, ca_file)
    assert type(fault) is Transient
    assert f"no answer from Vault ({address} through the proxy {running.url}): " in fault.reason
    assert TROUBLES[deed] in fault.reason
    assert seen == []


@pytest.mark.parametrize("deed", ["407", "400", "403", "404", "405", "200", "301", "502", "503"])
def test_a_page_of_the_proxys_own_is_no_word_of_vault(deed: str) -> None:
    with raw_server(GOOD) as server, forward_proxy(LOGIN, deed) as running:
        fault = fault_of(server.address, running)
    assert type(fault) is Transient
    assert running.url in fault.reason
    assert deed in fault.reason
    assert server.seen == []


@pytest.mark.parametrize("deed", ["cut", "late", "lose", "hang", "reset", "silence", "garbage", "drip"])
def test_a_forwarded_call_whose_answer_is_lost_has_no_known_outcome(deed: str) -> None:
    with raw_server(GOOD) as server, forward_proxy(None, deed) as running:
        fault = fault_of(server.address, running)
    assert type(fault) is Transient
    assert running.url in fault.reason


def test_what_vault_says_itself_keeps_its_meaning_through_a_proxy() -> None:
    words: list[tuple[bytes, type[Fault]]] = [
        (answer(403, {"errors": ["permission denied"]}), PolicyDenied),
        (answer(400, {"errors": ["check-and-set parameter did not match the current version"]}), Conflict),
        (answer(400, {"errors": ["no"]}), Refused),
        (answer(503, {"errors": ["Vault is sealed"]}), Transient),
    ]
    for said, meant in words:
        with raw_server(said) as server, forward_proxy() as running:
            assert isinstance(fault_of(server.address, running), meant)
    with raw_server(answer(404, {"errors": []})) as server, forward_proxy() as running:
        assert ask(server.address, running).status == 404


def test_a_proxy_that_is_down(safe: tuple[str, str, list[str]]) -> None:
    with forward_proxy() as running:
        pass
    for address, ca_file in ((safe[0], safe[1]), ("http://127.0.0.1:9", None)):
        fault = fault_of(address, running, ca_file)
        assert f"the proxy {running.url} cannot be reached: nothing listens there (connection refused)" in fault.reason
        assert "is it up, and its address in `proxy` right?" in fault.reason


def test_who_wants_a_login_is_told_from_who_refuses_it(safe: tuple[str, str, list[str]]) -> None:
    with forward_proxy(None, lambda asked: "407" if isinstance(asked, Asked) else "") as running:
        for address, ca_file in ((safe[0], safe[1]), ("http://127.0.0.1:9", None)):
            assert f"the proxy {running.url} wants a login (407)" in fault_of(address, running, ca_file).reason


def test_a_407_is_not_vaults_without_a_proxy_either() -> None:
    with raw_server(answer(407)) as server:
        session = new_requests_session(None)
        adapter = HardenedAdapter(base_uri=server.address, token=TOKEN, timeout=(1, 1), session=session)
        with pytest.raises(Transient, match="something on the way to Vault"):
            adapter.get("/v1/x")
        session.close()
