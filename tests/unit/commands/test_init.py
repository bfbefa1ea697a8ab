"""`rotate init`: what it writes loads, fits together, and replaces nothing."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rotator.app.vault_policy import policy
from rotator.cli import rotate
from rotator.commands import scaffold
from rotator.commands.scaffold import hidden, unit_text
from rotator.rotation.credential import VaultPath
from rotator.rotation.secret import SecretRef, SecretSource
from rotator.settings import Method, load

HOUSE = Path(__file__).parents[3]
THREE = ["rotator.hcl", "rotator.service", "rotator.toml"]
OVERLAY = ["kustomization.yaml", "rotator.hcl", "rotator.toml"]


def init(*arguments: str | Path, **environment: str) -> Result:
    cleared = dict.fromkeys(
        ("VAULT_ADDR", "BAO_ADDR", "VAULT_NAMESPACE", "BAO_NAMESPACE", "VAULT_CACERT", "BAO_CACERT")
    )
    return CliRunner().invoke(rotate, ["init", *map(str, arguments)], env=cleared | environment)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("kind", ["halo-cms", "oauth"])
@pytest.mark.parametrize("auth", [*Method])
def test_what_it_writes_loads_as_it_stands(tmp_path: Path, kind: str, auth: Method) -> None:
    ended = init(tmp_path, "--kind", kind, "--auth", auth.value)
    assert ended.exit_code == 0, ended.output
    settings = load(tmp_path / "rotator.toml")
    assert settings.vault.auth.method is auth
    assert len(settings.credentials) == 1
    assert (tmp_path / "rotator.hcl").read_text() == policy(settings)
    assert names(tmp_path) == (OVERLAY if auth is Method.KUBERNETES else THREE)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o644}


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_the_service_can_read_what_it_writes_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    folder = tmp_path / "etc" / "rotator"
    before = os.umask(umask)
    try:
        ended = init(folder)
    finally:
        os.umask(before)
    assert ended.exit_code == 0, ended.output
    assert {path.stat().st_mode & 0o777 for path in (folder, folder.parent)} == {0o755}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o755])
def test_a_folder_that_was_there_and_that_the_service_may_not_enter_is_told(tmp_path: Path, mode: int) -> None:
    """It is the operator's, so it stays as it is; the service ended with 78, and nothing had said why."""
    folder = tmp_path / "etc"
    folder.mkdir()
    folder.chmod(mode)
    about = folder.stat()
    opened = mode == 0o755 or about.st_uid != 0 or (mode == 0o750 and about.st_gid != 0)
    ended = init(folder)
    assert ended.exit_code == 0
    assert (f"{folder}, and the service has a user of its own" in ended.stderr) is not opened
    assert folder.stat().st_mode & 0o777 == mode


def test_it_takes_what_it_is_told_and_what_the_environment_of_the_vault_command_says(tmp_path: Path) -> None:
    wanted = ["--mount", "team/kv", "--target-url", "https://halo.example", "--credential", "web/ci.1"]
    ended = init(
        tmp_path, *wanted, VAULT_ADDR="https://vault.test:8200", VAULT_NAMESPACE="platform", VAULT_CACERT="/ca.pem"
    )
    assert ended.exit_code == 0, ended.output
    settings = load(tmp_path / "rotator.toml")
    vault = settings.vault
    assert (vault.address, vault.namespace, vault.ca_file) == ("https://vault.test:8200", "platform", "/ca.pem")
    assert settings.credentials["web/ci.1"].place == VaultPath("team/kv", "apps/web/ci.1/halo")
    assert settings.targets["blog"].config.url == "https://halo.example"


def test_it_says_three_things_to_type(tmp_path: Path) -> None:
    said = init(tmp_path).output
    assert [line[:2] for line in said.splitlines() if line[:1].isdigit()] == ["1.", "2.", "3."]
    typed = [line.strip() for line in said.splitlines() if line.startswith("    ")]
    assert all(shlex.split(line, comments=True) for line in typed)
    assert f"rotate -c {tmp_path}/rotator.toml check" in typed
    assert f"systemctl enable --now {tmp_path}/rotator.service" in typed


@pytest.mark.parametrize("there", THREE)
def test_a_file_that_is_there_is_left_alone_and_nothing_else_is_written(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine")
    ended = init(tmp_path)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert f"{tmp_path / there}: there already" in ended.stderr
    assert names(tmp_path) == [there]
    assert (tmp_path / there).read_text() == "mine"
    assert init(tmp_path, "--force").exit_code == 0
    assert names(tmp_path) == THREE


@pytest.mark.parametrize(
    ("wanted", "key"),
    [
        (["--vault-addr", "nowhere"], "vault.address"),
        (["--target-url", "ftp://x"], "targets.blog.url"),
        (["--credential", "Not A Name"], 'credentials."Not A Name"'),
        (["--consumer-path", "rotator/journal/x"], "credentials.newsletter.path"),
        (["--mount", "kv/*"], "vault.mount"),
    ],
)
def test_a_wish_that_makes_no_sense_names_its_key_and_leaves_nothing(
    tmp_path: Path, wanted: list[str], key: str
) -> None:
    ended = init(tmp_path / "new", *wanted)
    assert ended.exit_code == 2
    assert f"rotate: {key}: " in ended.stderr
    assert ".rotator-" not in ended.stderr
    assert names(tmp_path) == []


def test_each_fault_of_a_wish_has_a_line(tmp_path: Path) -> None:
    ended = init(tmp_path / "new", "--vault-addr", "nowhere", "--target-url", "ftp://x")
    assert [line.split(": ")[:2] for line in ended.stderr.splitlines()] == [
        ["rotate", "vault.address"],
        ["rotate", "targets.blog.url"],
    ]


def test_a_folder_that_cannot_be_written_is_named_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = init(tmp_path / "file" / "below")
    assert ended.exit_code == 1
    assert "cannot be written" in ended.stderr
    assert "rotate init ." in ended.stderr


def test_from_settings_that_are_there_come_policy_and_unit_beside_them(tmp_path: Path) -> None:
    source = HOUSE / "config" / "examples" / "single-host.toml"
    path = tmp_path / "mine.toml"
    path.write_text(source.read_text())
    assert init("--from", path).exit_code == 0
    assert names(tmp_path) == ["mine.toml", "rotator.hcl", "rotator.service"]
    assert path.read_text() == source.read_text()
    lines = (tmp_path / "rotator.service").read_text().splitlines()
    assert f"ExecStart={sys.executable} -I -m rotator -c {path} run --log json" in lines
    assert f"ExecReload={sys.executable} -I -m rotator -c {path} reload" in lines
    loaded = [line for line in lines if line.startswith("LoadCredential=")]
    assert loaded == [
        "LoadCredential=vault-token:rotator.vault-token",
        "LoadCredential=blog-minter:rotator.blog-minter",
    ]


def test_the_packaged_unit_is_the_shipped_one() -> None:
    packaged = Path(scaffold.__file__).with_name("rotator.service").read_text()
    assert packaged == (HOUSE / "systemd" / "rotator.service").read_text(), (
        "cp systemd/rotator.service rotator/commands/scaffold/"
    )
    login = [SecretRef(SecretSource.CREDENTIAL, "vault-secret-id")]
    assert unit_text(login, "/opt/rotator/bin/python", Path("/etc/rotator/rotator.toml")) == packaged


def test_odd_paths_reach_the_program_as_they_are() -> None:
    text = unit_text([], "/opt/my rotator/python", Path('/etc/100% "$HOME"/rotator.toml'))
    (line,) = [line for line in text.splitlines() if line.startswith("ExecStart=")]
    assert line == (
        'ExecStart="/opt/my rotator/python" -I -m rotator -c "/etc/100%% \\"$$HOME\\"/rotator.toml" run --log json'
    )
    assert "LoadCredential" not in "".join(line for line in text.splitlines() if not line.startswith("#"))


def test_the_unit_may_write_where_the_settings_have_it_write() -> None:
    files = ["/srv/www/shop/jwks.json", "/var/lib/rotator/receipts.jsonl", "/srv/www/shop/other.json", "/var/log/a b/r"]
    lines = unit_text([], "/opt/rotator/bin/python", Path("/etc/rotator/rotator.toml"), files).splitlines()
    assert [line for line in lines if line.startswith("ReadWritePaths=")] == [
        "ReadWritePaths=-/srv/www/shop",
        'ReadWritePaths="-/var/log/a b"',
    ]


def test_an_interpreter_that_the_service_cannot_see_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link, home = tmp_path / "python", "/ho" + "me/ada/venv/bin/python"
    link.symlink_to(home)
    assert hidden(str(link)) == home
    assert hidden("/opt/rotator/bin/x", "/run/user/0/venv") == "/run/user/0/venv"
    assert hidden("/opt/rotator/bin/x", "/homes/ada") == ""
    monkeypatch.setattr(sys, "executable", home)
    ended = init(tmp_path / "new")
    assert ended.exit_code == 0
    assert "\\n" not in ended.stderr
    assert f"warning: ProtectHome hides {home} from the service, which cannot start: install rotator" in ended.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path) -> None:
    assert init(tmp_path).exit_code == 0
    command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "rotator.service")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (ended.returncode, ended.stderr) == (0, "")


# --- a cluster ------------------------------------------------------------------------------------------------------


def for_a_cluster(folder: Path, *more: str | Path) -> Result:
    return init(folder, "--auth", "kubernetes", *more)


def test_settings_of_pods_look_where_the_manifests_mount_and_listen_where_they_scrape(tmp_path: Path) -> None:
    assert for_a_cluster(tmp_path).exit_code == 0
    settings, shown = load(tmp_path / "rotator.toml"), load(HOUSE / "config" / "kubernetes" / "rotator.toml")
    assert settings.vault.auth == shown.vault.auth
    assert settings.status == shown.status
    assert "systemctl" not in (tmp_path / "rotator.toml").read_text()


def test_the_overlay_is_of_its_settings_its_ports_and_its_authority(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text("PEM")
    wanted = [
        "--vault-addr",
        "https://vault.test:8201",
        "--target-url",
        "https://blog.test:8443",
        "--ca-file",
        authority,
    ]
    folder = tmp_path / "overlay"
    assert for_a_cluster(folder, *wanted).exit_code == 0
    assert names(folder) == [*OVERLAY, "vault.crt"]
    assert (folder / "vault.crt").read_text() == "PEM"
    assert load(folder / "rotator.toml").vault.ca_file == "/etc/rotator-ca/vault.crt"
    text = (folder / "kustomization.yaml").read_text()
    (base,) = re.findall(r"^resources:\n  - (.+)$", text, re.MULTILINE)
    assert (folder / base).resolve() == HOUSE / "config" / "kubernetes"
    assert "files: [rotator.toml]" in text
    assert "files: [vault.crt]" in text
    assert re.findall(r"port: (\d+)", text) == ["8201", "8443"]


@pytest.mark.skipif(not os.environ.get("KUSTOMIZE"), reason="the real kustomize is asked with KUSTOMIZE=/path")
def test_kustomize_takes_the_overlay(tmp_path: Path) -> None:
    assert for_a_cluster(tmp_path, "--vault-addr", "https://vault.test:8201").exit_code == 0
    made = subprocess.run([os.environ["KUSTOMIZE"], "build", str(tmp_path)], capture_output=True, text=True, check=True)
    assert "https://vault.test:8201" in made.stdout
    assert "port: 8201" in made.stdout


@pytest.mark.parametrize(
    ("address", "first"),
    [
        ("https://vault.safe.svc:8200", "--serviceaccount=safe:vault"),
        ("https://vault.safe.svc.cluster.local:8200", "--serviceaccount=safe:vault"),
        ("https://vault.example:8200", "config/kubernetes/token-reviewer"),
    ],
)
def test_a_vault_inside_reviews_by_itself_and_one_outside_gets_an_account(
    tmp_path: Path, address: str, first: str
) -> None:
    said = for_a_cluster(tmp_path, "--vault-addr", address).output
    assert [line[:2] for line in said.splitlines() if line[:1].isdigit()] == ["1.", "2.", "3.", "4."]
    typed = [line.strip() for line in said.splitlines() if line.startswith("    ") and "#" not in line[:6]]
    assert all(shlex.split(line, comments=True) for line in typed)
    assert any(first in line for line in typed[:2])
    assert ("token_reviewer_jwt=-" in said) is ("token-reviewer" in said)
    assert "systemctl" not in said
    assert typed[-1] == "kubectl -n rotator exec deploy/rotator -- rotate check"


def test_an_overlay_that_kustomize_would_refuse_is_not_written(tmp_path: Path) -> None:
    ended = for_a_cluster(tmp_path / "x", "--manifests", tmp_path)
    assert ended.exit_code == 2
    assert "is not config/kubernetes" in ended.stderr
    ended = for_a_cluster(HOUSE / "config" / "kubernetes" / "mine")
    assert ended.exit_code == 2
    assert "name another" in ended.stderr
    assert not (HOUSE / "config" / "kubernetes" / "mine").exists()
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "team.toml").write_text("")
    (tmp_path / "rotator.toml").write_text((HOUSE / "config" / "kubernetes" / "rotator.toml").read_text())
    ended = init("--from", tmp_path / "rotator.toml")
    assert ended.exit_code == 2
    assert "a config map has no folders" in ended.stderr
    assert names(tmp_path) == ["conf.d", "rotator.toml"]


def test_manifests_may_be_at_an_address(tmp_path: Path) -> None:
    where = "https://git.example/rotator//config/kubernetes?ref=v1"
    assert where in for_a_cluster(tmp_path, "--manifests", where, "--vault-addr", "https://vault.test").output
    assert f"resources:\n  - {where}\n" in (tmp_path / "kustomization.yaml").read_text()
