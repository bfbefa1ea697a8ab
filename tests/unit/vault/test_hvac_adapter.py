"""What an answer becomes: every status, every broken answer, and nothing leaked on the way."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import hvac
import pytest

from rotator.ports import Conflict, Fault, Refused, StoreRefused, Transient
from rotator.vault.hvac_adapter import (
    BODY_LIMIT,
    Answered,
    CasRequired,
    HardenedAdapter,
    Misread,
    PolicyDenied,
    Unforwarded,
    VaultResponse,
)
from rotator.vault.transport import new_requests_session
from tests.kit.certificates import self_signed
from tests.unit.vault.enterprise import FORWARD
from tests.unit.vault.hostile import Script, answer, raw_server
from tests.unit.vault.worlds import canary

TOKEN = canary("token")
BODY = canary("body").reveal()


def ask(reply: bytes | Script, **wishes: object) -> VaultResponse:
    """One GET against a server that gives this reply."""
    with raw_server(reply) as server:
        return ask_at(server.address, **wishes)


def ask_at(address: str, ca_file: str | None = None, **wishes: object) -> VaultResponse:
    session = new_requests_session(ca_file)
    try:
        adapter = HardenedAdapter(base_uri=address, token=TOKEN, timeout=(1, 1), session=session)
        return adapter.get("/v1/secret/data/x", **wishes)
    finally:
        session.close()


CAS = {"errors": ["check-and-set parameter did not match the current version"]}
UPGRADING = {"errors": ["Waiting for the primary to upgrade from non-versioned to versioned data. This backend …"]}
FAULTS = {
    "lost race": (answer(400, CAS), Conflict),
    "cas demanded": (answer(400, {"errors": ["check-and-set parameter required for this call"]}), CasRequired),
    "forwarding forbidden, Vault as shipped": (answer(400, {"errors": [FORWARD]}), Unforwarded),
    "index unreadable": (answer(400, {"errors": ['failed to decode "X-Vault-Index"']}), Misread),
    "fresh engine": (
        answer(400, UPGRADING),
        Transient,
    ),
    "our mistake": (answer(400, {"errors": [BODY]}), Answered),
    "400 by a stranger": (answer(400, BODY.encode()), Refused),
    "denied": (answer(403, {"errors": ["permission denied"]}), PolicyDenied),
    "404 by a stranger": (answer(404, b"<html>not here</html>"), Refused),
    "404 with other JSON": (answer(404, {"message": BODY}), Refused),
    "404 without a body": (answer(404), Refused),
    "no such method": (answer(405, {"errors": [BODY]}), Answered),
    "behind, Vault Enterprise": (answer(412, {"errors": [BODY]}), Transient),
    "too long": (answer(413, {"errors": [BODY]}), Answered),
    "no such type": (answer(415, {"errors": [BODY]}), Answered),
    "behind, OpenBao": (answer(429, {"errors": []}), Transient),
    "rate limited": (answer(429, {"errors": [BODY]}), Transient),
    "standby": (answer(473, b""), Transient),
    "error": (answer(500, {"errors": [BODY]}), Transient),
    "not initialised": (answer(501, {"errors": [BODY]}), Transient),
    "bad gateway": (answer(502, BODY.encode()), Transient),
    "sealed": (answer(503, {"errors": ["Vault is sealed"]}), Transient),
    "gateway timeout": (answer(504, b""), Transient),
    "leaderless standby": (
        answer(307, BODY.encode(), Location=f"https://elsewhere.test/{BODY}?token={BODY}"),
        Transient,
    ),
    "redirect": (answer(308, BODY.encode(), Location=f"https://elsewhere.test/{BODY}?token={BODY}"), Refused),
    "moved": (answer(301, b"", Location="http://[bad"), Refused),
    "a page": (answer(200, b"<html>hello</html>"), Transient),
    "a list": (answer(200, [BODY]), Transient),
    "cut JSON": (answer(200, b'{"data": {"k": "'), Transient),
    "not text": (answer(200, b'{"k": "\xff\xfe"}'), Transient),
    "deep JSON": (answer(200, b"[" * 100_000), Transient),
    "cut body": (answer(200, b"{}", Content_Length="4000") + b"", Transient),
    "wrong length": (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}", Transient),
    "not HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", Transient),
    "huge": (answer(200, b'{"k": "' + b"a" * (BODY_LIMIT + 10) + b'"}'), Transient),
    "bomb": (answer(200, gzip.compress(b" " * (BODY_LIMIT * 8)), Content_Encoding="gzip"), Transient),
    "broken gzip": (answer(200, b"no gzip at all", Content_Encoding="gzip"), Transient),
}


@pytest.mark.parametrize("case", FAULTS)
def test_each_answer_becomes_its_fault_and_no_body_is_quoted(case: str) -> None:
    reply, kind = FAULTS[case]
    with pytest.raises(Fault) as caught:
        ask(reply)
    assert type(caught.value) is kind
    fault = caught.value
    assert BODY not in repr(fault) + fault.reason + repr(fault.__cause__)
    assert fault.__suppress_context__ or fault.__context__ is None
    assert TOKEN.reveal() not in repr(fault)


def test_a_denial_is_a_refusal_of_the_store() -> None:
    assert issubclass(PolicyDenied, StoreRefused)


def test_the_other_side_may_ask_for_patience() -> None:
    with pytest.raises(Transient) as caught:
        ask(answer(503, {"errors": ["x"]}, Retry_After="7"))
    assert caught.value.retry_after == 7.0


@pytest.mark.parametrize("text", ["soon", "-5", "٣", "1e9999", ""])
def test_an_unreadable_retry_after_is_none(text: str) -> None:
    reply = answer(503, {"errors": ["x"]}).replace(b"\r\n\r\n", f"\r\nRetry-After: {text}\r\n\r\n".encode(), 1)
    with pytest.raises(Transient) as caught:
        ask(reply)
    assert caught.value.retry_after is None


@pytest.mark.parametrize(("status", "kind"), [(301, Refused), (302, Refused), (307, Transient), (308, Refused)])
def test_a_redirect_names_scheme_and_host_and_is_not_followed(status: int, kind: type[Fault]) -> None:
    with raw_server(answer(200, {"data": {}})) as elsewhere:
        with raw_server(answer(status, b"", Location=f"{elsewhere.address}/v1/secret/data/x")) as server:
            with pytest.raises(kind, match=r"http://127\.0\.0\.1") as caught:
                ask_at(server.address)
            assert "secret/data" not in caught.value.reason
        assert elsewhere.connections == 0


@pytest.mark.parametrize("status", [200, 201, 204])
def test_a_success_without_a_body_is_an_empty_answer(status: int) -> None:
    assert ask(answer(status)).body == {}


@pytest.mark.parametrize(
    "body", [{"errors": []}, {"data": {"data": None, "metadata": {"version": 1, "destroyed": True}}}]
)
def test_a_404_in_vaults_own_form_is_an_answer(body: dict[str, object]) -> None:
    found = ask(answer(404, body))
    assert (found.status, found.body) == (404, body)


def test_an_answer_keeps_headers_and_hides_its_body() -> None:
    found = ask(answer(200, {"data": {"k": BODY}}, X_Vault_Index="abc"))
    assert found.headers["x-vault-index"] == "abc"
    assert BODY not in repr(found)


def test_a_server_that_is_not_there_is_undecided() -> None:
    with raw_server(b"") as server:
        address = server.address
    with pytest.raises(Transient):
        ask_at(address)


def test_certificates_are_verified_against_the_ca_file_and_the_host(tmp_path: Path) -> None:
    reply = answer(200, {"data": {"k": "v"}})
    right, ca_file = self_signed(tmp_path, "127.0.0.1")
    with raw_server(reply, right) as server:
        assert ask_at(server.address, ca_file=ca_file).section("data") == {"k": "v"}
        with pytest.raises(Transient, match="its certificate is not issued by"):
            ask_at(server.address)
    wrong, ca_file = self_signed(tmp_path, "192.0.2.1")
    with raw_server(reply, wrong) as server, pytest.raises(Transient, match="another name than the url"):
        ask_at(server.address, ca_file=ca_file)
    assert server.seen == []


def test_connections_are_kept_and_used_again() -> None:
    with raw_server(answer(200, {"data": {}})) as server:
        session = new_requests_session(None)
        adapter = HardenedAdapter(base_uri=server.address, timeout=(1, 1), session=session)
        for _ in range(5):
            adapter.get("/v1/x")
        session.close()
        assert (server.connections, len(server.seen)) == (1, 5)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """An environment that tries to have a say: proxies, .netrc, a token file."""
    with raw_server(answer(200, {"data": {"by": "proxy"}})) as listener:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, listener.address)
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("no_proxy", "")
        monkeypatch.setenv("VAULT_TOKEN", "from-the-environment")
        monkeypatch.setenv("VAULT_ADDR", listener.address)
        (tmp_path / ".netrc").write_text("machine 127.0.0.1 login netrc-user password netrc-word\n")
        (tmp_path / ".netrc").chmod(0o600)
        monkeypatch.setenv("HOME", str(tmp_path))
        yield listener.address


def test_the_environment_has_no_say(environment: str) -> None:
    with raw_server(answer(200, {"data": {"by": "vault"}}, Set_Cookie="a=b; Path=/")) as server:
        session = new_requests_session(None)
        adapter = HardenedAdapter(base_uri=server.address, timeout=(1, 1), session=session)
        client = hvac.Client(url=server.address, token="", cert=(), verify=True, adapter=lambda **_: adapter)
        for _ in range(2):
            assert client.auth.token.lookup_self().section("data") == {"by": "vault"}
        session.close()
        said = "".join(server.seen)
        assert "from-the-environment" not in said
        assert "Authorization" not in said
        assert "Cookie" not in said
        assert "X-Vault-Token" not in said


def test_secrets_are_revealed_on_the_wire_and_nowhere_else() -> None:
    with raw_server(answer(200, {})) as server:
        session = new_requests_session(None)
        adapter = HardenedAdapter(base_uri=server.address, token=TOKEN, timeout=(1, 1), session=session)
        adapter.post("/v1/x", json={"data": {"token": canary("value")}})
        session.close()
        assert f"X-Vault-Token: {TOKEN.reveal()}" in server.seen[0]
    assert TOKEN.reveal() not in repr(vars(adapter))


def test_what_json_cannot_say_is_a_mistake_of_ours() -> None:
    for value in (object(), float("nan"), b"bytes"):
        with pytest.raises((TypeError, ValueError)):
            ask_at("http://127.0.0.1:9", json={"data": value})
