"""References to files and systemd credentials are read, and nothing unfit becomes a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from rotator.rotation.secret import SecretRef, SecretSource
from rotator.settings import SecretUnreadableError, read_secret
from rotator.settings.secret_files import exposed

CANARY = "canary-4f9a1c77e2"


def _file(directory: Path, content: bytes, mode: int = 0o400) -> SecretRef:
    path = directory / "secret"
    path.write_bytes(content)
    path.chmod(mode)
    return SecretRef(SecretSource.FILE, str(path))


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n"])
def test_closing_line_ends_do_not_belong_to_the_secret(end: bytes, tmp_path: Path) -> None:
    assert read_secret(_file(tmp_path, CANARY.encode() + end)).reveal() == CANARY


def test_a_pem_block_keeps_its_lines(tmp_path: Path) -> None:
    block = "-----BEGIN PRIVATE KEY-----\nMC4CAQA\n-----END PRIVATE KEY-----"
    assert read_secret(_file(tmp_path, block.encode() + b"\n")).reveal() == block


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (f"{CANARY}\nsecond".encode(), "printable ASCII"),
        (f"{CANARY}\x00".encode(), "printable ASCII"),
        (f"{CANARY}é".encode(), "printable ASCII"),
        (f"{CANARY}\t".encode(), "printable ASCII"),
        (f" {CANARY}".encode(), "blank"),
        (b"x" * 70_000, "larger than 64 KiB"),
    ],
)
def test_unfit_content_is_refused_without_being_shown(content: bytes, phrase: str, tmp_path: Path) -> None:
    with pytest.raises(SecretUnreadableError, match=phrase) as caught:
        read_secret(_file(tmp_path, content))
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SecretUnreadableError, match="absent cannot be read: No such file"):
        read_secret(SecretRef(SecretSource.FILE, str(tmp_path / "absent")))


@pytest.mark.parametrize(("mode", "warned"), [(0o400, 0), (0o600, 0), (0o640, 1), (0o604, 1)])
def test_a_file_that_others_may_read_is_warned_of(mode: int, warned: int, tmp_path: Path) -> None:
    said: list[str] = []
    read_secret(_file(tmp_path, CANARY.encode(), mode), said.append)
    assert len(said) == warned
    assert CANARY not in "".join(said)


def test_a_systemd_credential_is_found_in_its_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _file(tmp_path, CANARY.encode(), 0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    said: list[str] = []
    assert read_secret(SecretRef(SecretSource.CREDENTIAL, "secret"), said.append).reveal() == CANARY
    assert said == []
    with pytest.raises(SecretUnreadableError, match=f"credential:other cannot be read at {tmp_path}/other: No such"):
        read_secret(SecretRef(SecretSource.CREDENTIAL, "other"))


def test_without_systemd_a_credential_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    said = r"CREDENTIALS_DIRECTORY is not set.*neither /run/credentials/rotator.service/\S+ nor /etc/credstore/rotator"
    with pytest.raises(SecretUnreadableError, match=said):
        read_secret(SecretRef(SecretSource.CREDENTIAL, "minter"))


@pytest.mark.parametrize(("mode", "others"), [(0o400, False), (0o600, False), (0o640, True), (0o444, True)])
def test_a_file_that_others_may_read_is_known(tmp_path: Path, mode: int, others: bool) -> None:
    assert exposed(_file(tmp_path, CANARY.encode(), mode)) is others
    assert not exposed(SecretRef(SecretSource.FILE, str(tmp_path / "absent")))
    assert not exposed(SecretRef(SecretSource.VAULT, "secret/x", "y"))


def test_on_a_host_root_reads_what_the_service_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    places = (str(tmp_path / "run" / "{}"), str(tmp_path / "rotator.{}"))
    monkeypatch.setattr("rotator.settings.secret_files._SYSTEMD", places)
    Path(_file(tmp_path, CANARY.encode(), 0o400).name).rename(tmp_path / "rotator.secret")
    ref = SecretRef(SecretSource.CREDENTIAL, "secret")
    assert read_secret(ref).reveal() == CANARY
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "elsewhere"))
    with pytest.raises(SecretUnreadableError):  # what the environment names is all there is
        read_secret(ref)


def test_a_secret_in_vault_is_not_read_here() -> None:
    with pytest.raises(SecretUnreadableError):
        read_secret(SecretRef(SecretSource.VAULT, "secret/x", "token"))
