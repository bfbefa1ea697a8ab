"""What settings say of hooks, the ping and traces, and how they are refused: the line, the key, the remedy."""

# ruff: noqa: E501 - one row, one line

from __future__ import annotations

import importlib.util
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.rotation.secret import SecretRef, SecretSource
from rotator.settings import Hook, HookMoment, Ping, Tracing, load, sections
from tests.unit.settings.files import SOUND, faults, line_of, write

COMMAND = '[hooks.reload]\non = ["published"]\ncommand = ["/usr/bin/systemctl", "reload", "web"]\n'
CALL = '[hooks.chat]\non = ["failed", "held"]\nurl = "https://hooks.example/rotator/"\nsecret = {credential = "hook"}\n'


def test_nobody_is_told_anything_by_default(tmp_path: Path) -> None:
    settings = load(write(tmp_path, SOUND))
    assert (settings.hooks, settings.ping, settings.tracing) == ({}, None, None)


def test_hooks_are_what_was_written(tmp_path: Path) -> None:
    more = 'credentials = ["web"]\nlabels = {team = "web"}\ntimeout = "1m"\nattempts = 1\n'
    settings = load(write(tmp_path, SOUND + COMMAND + more + CALL))
    assert settings.hooks["reload"] == Hook(
        "reload",
        (HookMoment.PUBLISHED,),
        ("/usr/bin/systemctl", "reload", "web"),
        credentials=("web",),
        labels={"team": "web"},
        timeout=timedelta(minutes=1),
        attempts=1,
    )
    chat = Hook("chat", (HookMoment.FAILED, HookMoment.HELD), url="https://hooks.example/rotator/")
    assert settings.hooks["chat"].url == chat.url
    assert settings.hooks["chat"].secret == SecretRef(SecretSource.CREDENTIAL, "hook")
    assert settings.hooks["chat"].attempts == 3


def test_the_ping_may_keep_its_address_elsewhere(tmp_path: Path) -> None:
    settings = load(write(tmp_path, SOUND + '[ping]\nurl = {file = "/run/secrets/ping"}\nevery = "5m"\n'))
    assert settings.ping == Ping(SecretRef(SecretSource.FILE, "/run/secrets/ping"), timedelta(minutes=5))


def test_traces_go_where_they_are_wanted(tmp_path: Path) -> None:
    assert load(write(tmp_path, SOUND + "[tracing]\n")).tracing == Tracing("")
    path = write(tmp_path, SOUND + '[tracing]\nendpoint = "http://collector.example:4318/v1/traces"\n')
    assert load(path).tracing == Tracing("http://collector.example:4318/v1/traces")


# what is wrong, the section, the start of the line to blame, the key, a phrase of the remedy
BROKEN = [
    ("no moment", "[hooks.a]\ncommand = ['/bin/true']", "[hooks.a]", "hooks.a", '`on` is missing; write on = ["published"'),
    ("a misspelt moment", '[hooks.a]\non = ["publishd"]\ncommand = ["/bin/true"]', "on", "hooks.a.on", "did you mean `published`?"),
    ("no moments", '[hooks.a]\non = []\ncommand = ["/bin/true"]', "on", "hooks.a.on", "must not be empty"),
    ("neither way", '[hooks.a]\non = ["held"]', "[hooks.a]", "hooks.a", "write command = ["),
    ("both ways", '[hooks.a]\non = ["held"]\ncommand = ["/bin/true"]\nurl = "https://h.example"\nsecret = {file = "/s"}', "[hooks.a]", "hooks.a", "one of the two"),
    ("no signature", '[hooks.a]\non = ["held"]\nurl = "https://h.example"', "[hooks.a]", "hooks.a", "write secret = {file"),
    ("a shell line", '[hooks.a]\non = ["held"]\ncommand = "systemctl reload web"', "command", "hooks.a.command", "no shell reads it"),
    ("a program without its path", '[hooks.a]\non = ["held"]\ncommand = ["systemctl"]', "command", "hooks.a.command", "absolute path of a program"),
    ("an argument that is no string", '[hooks.a]\non = ["held"]\ncommand = ["/bin/true", 1]', "command", "hooks.a.command", "strings only"),
    ("a secret among the arguments", '[hooks.a]\non = ["held"]\ncommand = ["/bin/curl", "-H", "Authorization: Bearer aB3dE5fG7hI9"]', "command", "hooks.a.command", "everybody on the host can read arguments"),
    ("a secret for a command", '[hooks.a]\non = ["held"]\ncommand = ["/bin/true"]\nsecret = {file = "/s"}', "secret", "hooks.a.secret", "never told a secret"),
    ("a secret in the file", '[hooks.a]\non = ["held"]\nurl = "https://h.example"\nsecret = "abc"', "secret", "hooks.a.secret", "must not stand in this file"),
    ("a secret in the address", '[hooks.a]\non = ["held"]\nurl = "https://h.example/?key=abc"\nsecret = {file = "/s"}', "url", "hooks.a.url", "refer to the whole address"),
    ("plain http", '[hooks.a]\non = ["held"]\nurl = "http://h.example"\nsecret = {file = "/s"}', "url", "hooks.a.url", "allow_insecure_http"),
    ("an unknown credential", '[hooks.a]\non = ["held"]\ncommand = ["/bin/true"]\ncredentials = ["wep"]', "credentials", "hooks.a.credentials", "did you mean `web`?"),
    ("an unknown key", '[hooks.a]\non = ["held"]\ncommand = ["/bin/true"]\ntimout = "1s"', "timout", "hooks.a.timout", "did you mean `timeout`?"),
    ("an endless limit", '[hooks.a]\non = ["held"]\ncommand = ["/bin/true"]\ntimeout = "1h"', "timeout", "hooks.a.timeout", "must be from 1s to 10m"),
    ("the name of the ping", '[hooks.ping]\non = ["held"]\ncommand = ["/bin/true"]', "[hooks.ping]", "hooks.ping", "choose another name"),
    ("a ping without an address", '[ping]\nevery = "1m"', "[ping]", "ping", "`url` is missing"),
    ("a hasty ping", '[ping]\nurl = "https://p.example"\nevery = "1s"', "every", "ping.every", "must be from 10s"),
    ("traces to no address", '[tracing]\nendpoint = "collector:4318"', "endpoint", "tracing.endpoint", "https://"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("section", "blamed", "key", "phrase"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN]
)
def test_a_broken_section_is_refused_with_its_line_and_the_remedy(
    section: str, blamed: str, key: str, phrase: str, tmp_path: Path
) -> None:
    path = write(tmp_path, SOUND + section + "\n")
    [fault] = faults(path)
    assert (fault.key, phrase in fault.text) == (key, True), fault
    assert fault.line == line_of(SOUND + section, blamed) if blamed.startswith("[") else fault.line > SOUND.count("\n")
    assert "abc" not in fault.text
    assert "aB3dE5fG7hI9" not in fault.text


def test_traces_without_the_extra_are_refused_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        assert name.startswith("opentelemetry")
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(sections, "find_spec", absent)
    [fault] = faults(write(tmp_path, SOUND + "[tracing]\n"))
    assert (fault.line, fault.key) == (line_of(SOUND + "[tracing]", "[tracing]"), "tracing")
    assert "pip install 'rotator[otel]'" in fault.text
    assert importlib.util.find_spec("opentelemetry.sdk.trace")  # it was the test that hid it
