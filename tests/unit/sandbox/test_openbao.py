"""The launcher: a real server starts, keeps its secrets to itself, forgets or remembers, and is gone at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sandbox.openbao import OpenBao, OpenBaoError, Storage, running

pytestmark = [pytest.mark.anyio, pytest.mark.system]


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")


def surroundings(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_text()


@pytest.mark.parametrize("storage", Storage)
def test_no_secret_is_in_the_servers_log_arguments_or_environment(storage: Storage) -> None:
    with OpenBao(storage) as bao:
        bao.enable_kv()
        role = bao.approle("reader", 'path "secret/data/a" { capabilities = ["read"] }')
        seen = bao.log.read_text() + command_line(bao.pid) + surroundings(bao.pid)
        assert "server" in seen
        for secret in (bao.root, bao._key, role.secret_id):
            assert secret.reveal() not in seen


def test_seal_and_unseal_are_verbs() -> None:
    with OpenBao() as bao:
        bao.enable_kv()
        bao.seal()
        with pytest.raises(OpenBaoError) as refusal:
            bao.call("GET", "secret/data/a")
        assert refusal.value.status == 503
        bao.unseal()
        assert bao.call("POST", "secret/data/a", {"data": {"k": "v"}})["data"]["version"] == 1


def test_raft_remembers_over_a_kill_and_a_start() -> None:
    with OpenBao(Storage.RAFT) as bao:
        bao.enable_kv()
        bao.call("POST", "secret/data/a", {"data": {"k": "v"}})
        bao.kill()
        bao.start()
        bao.unseal()
        assert bao.call("GET", "secret/data/a")["data"]["data"] == {"k": "v"}


def test_nothing_is_left_at_the_end() -> None:
    with OpenBao() as bao:
        pid, directory = bao.pid, bao.directory
        assert Path(f"/proc/{pid}").exists()
    assert not Path(f"/proc/{pid}").exists()
    assert not directory.exists()
    with pytest.raises(OpenBaoError, match="does not run"):
        bao.pid  # noqa: B018  # asking is the test


def test_a_server_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OpenBao, "_configuration", lambda self: {"storage": {"punchcards": {}}})
    with pytest.raises(OpenBaoError, match="the server ended instead of starting"), OpenBao():
        pass


async def test_async_code_can_use_it_too() -> None:
    async with running() as bao:
        assert bao.call("GET", "sys/health")["sealed"] is False
