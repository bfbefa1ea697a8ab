"""`rotate init --auth kubernetes`, followed literally: each line that it says is typed, in its order."""

from __future__ import annotations

import base64
import os
import stat
import subprocess
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner

from rotator.cli import rotate
from rotator.ports import StoreRefused
from rotator.rotation.credential import VaultPath
from rotator.settings import load
from rotator.vault.kv import Kv
from tests.kit.certificates import Authority
from tests.sandbox.openbao_binary import binary
from tests.system.cluster.conftest import TlsOpenBao
from tests.system.cluster.test_logins import opened
from tests.system.cluster.token_review import ISSUER, Cluster
from tests.unit.vault.worlds import only_openbao

pytestmark = [pytest.mark.anyio, pytest.mark.system]
# What a cluster answers to the commands that read; whatever changes it is only noted.
KUBECTL = """#!/bin/sh
printf '%s\\n' "$*" >> {log}
case "$*" in
    *data.token*) printf %s {token} ;;
    *data.ca*) printf %s {ca} ;;
    *cluster.server*) printf %s {server} ;;
esac
"""


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    (folder / name).chmod(stat.S_IRWXU)


def followed(bao: TlsOpenBao, cluster: Cluster, folder: Path) -> list[str]:
    """Type what init says, in a namespace of Vault that is as empty as an engineer's; the commands of kubectl."""
    namespace = f"team-{uuid4().hex[:8]}"
    bao.call("POST", f"sys/namespaces/{namespace}", {})
    bao.call("POST", f"{namespace}/sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
    bao.await_kv(f"{namespace}/secret")
    programs, log = folder / "bin", folder / "typed"
    programs.mkdir()
    program(programs, "bao", f'#!/bin/sh\nexec {binary()} "$@"\n')
    ca, reviewer = Path(bao.ca_file).read_text(), cluster.token("vault", "vault", audience=ISSUER).reveal()
    answers = {"token": encoded(reviewer), "ca": encoded(ca), "server": cluster.address, "log": log}
    program(programs, "kubectl", KUBECTL.format(**answers))
    wanted = ["--auth", "kubernetes", "--vault-addr", bao.tls_address, "--namespace", namespace]
    said = CliRunner().invoke(rotate, ["init", str(folder / "overlay"), *wanted, "--ca-file", str(bao.ca_file)])
    assert said.exit_code == 0, said.output
    here: dict[str, Any] = os.environ | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "BAO_ADDR": bao.address,
        "BAO_TOKEN": bao.root.reveal(),
        "BAO_NAMESPACE": namespace,
    }
    for line in [line.strip() for line in said.output.splitlines() if line.startswith("    ")]:
        ended = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {line}"],
            input="the-minters-token\n", capture_output=True, text=True, env=here, cwd=folder, timeout=60,
        )  # fmt: skip
        assert ended.returncode == 0, f"{line}: {ended.stderr}"
    return log.read_text().splitlines()


@only_openbao  # namespaces
async def test_what_init_says_is_typed_line_by_line_and_the_pods_token_logs_in(
    bao: TlsOpenBao, servers: Authority, tmp_path: Path
) -> None:
    with Cluster(servers.issue(f"cluster-{uuid4().hex[:8]}")) as cluster:
        typed = followed(bao, cluster, tmp_path)
        assert [each for each in typed if each.startswith(("create", "apply"))] == [
            "create namespace rotator --save-config",
            next(each for each in typed if each.endswith("/token-reviewer")),
            f"apply -k {tmp_path / 'overlay'}",
        ]
        assert typed[-2:] == [
            "-n rotator rollout status deployment/rotator",
            "-n rotator exec deploy/rotator -- rotate check",
        ]
        await logs_in_with_what_was_written(cluster, tmp_path)


def in_the_pod(folder: Path) -> Path:
    """The settings that were written; only the two places in the pod are others here."""
    text = (folder / "overlay" / "rotator.toml").read_text()
    places = {"/var/run/secrets/rotator/token": "token", "/etc/rotator-ca/vault.crt": "overlay/vault.crt"}
    for place, there in places.items():
        assert text.count(f'"{place}"') == 1
        text = text.replace(f'"{place}"', f'"{folder / there}"')
    (folder / "rotator.toml").write_text(text)
    return folder / "rotator.toml"


async def logs_in_with_what_was_written(cluster: Cluster, folder: Path) -> None:
    settings, token = load(in_the_pod(folder)), folder / "token"
    token.touch(0o600)
    token.write_text(cluster.token("rotator", "rotator").reveal())
    session = opened(settings)
    try:
        assert (await Kv(session).read(VaultPath("secret", "minters/blog"))).values["token"] == "the-minters-token"
        with pytest.raises(StoreRefused, match="policy denies"):
            await Kv(session).read(VaultPath("secret", "minters/others"))
    finally:
        await session.close()
    token.write_text(cluster.token("others", "rotator").reveal())
    stranger = opened(settings)
    with pytest.raises(StoreRefused, match="kubernetes login"):
        await stranger.open()
    await stranger.close()
