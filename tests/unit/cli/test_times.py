"""Times are written as in settings by every command, and selectors contradict nobody: usage errors otherwise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner

from rotator.cli import rotate, strays
from rotator.cli.base import FutureTime, Length
from tests.unit.cli.test_manpage import commands
from tests.unit.settings.files import SOUND, write

# What a number is that is no length of time, by command and option.
COUNTS: dict[tuple[str, str], str] = {
    ("rotate status", "--limit"): "credentials",
    ("rotate plan", "--limit"): "credentials",
}


def options() -> list[tuple[str, click.Option]]:
    return [(path, param) for path, each in commands() for param in each.params if isinstance(param, click.Option)]


def test_no_option_of_any_command_takes_a_bare_number_of_seconds() -> None:
    bare = {
        (path, option.opts[0])
        for path, option in options()
        if isinstance(option.type, click.types.IntParamType | click.types.FloatParamType | click.DateTime)
    }
    assert bare == set(COUNTS), "a length of time is a Length, a moment a Moment: as settings write them"


def test_an_option_whose_help_speaks_of_a_time_is_one() -> None:
    words = ("second", "minute", "how long", "so long", "ends by itself", "ends all the same", "between two")
    timed = [(path, each) for path, each in options() if any(word in (each.help or "").lower() for word in words)]
    assert len(timed) >= 8
    assert not [(path, each.opts) for path, each in timed if not isinstance(each.type, Length | FutureTime)]


@pytest.mark.parametrize("told", ["300", "-1", "1.5s", "soon", "", "1h1h", "9999w", "5 m"])
@pytest.mark.parametrize(("path", "option"), [each for each in options() if isinstance(each[1].type, Length)])
def test_what_settings_refuse_is_refused_in_their_words(path: str, option: click.Option, told: str) -> None:
    with pytest.raises(click.BadParameter) as caught:
        option.type.convert(told, option, None)
    assert any(word in str(caught.value) for word in ("unit", "duration", "longer than", "twice"))
    assert option.type.convert("30s", option, None) == timedelta(seconds=30), path


def test_a_moment_is_utc_unless_it_says_otherwise_and_still_to_come() -> None:
    read = FutureTime().convert
    assert read("2999-12-31", None, None) == datetime(2999, 12, 31, tzinfo=UTC)
    assert read("2999-12-31T18:00+02:00", None, None) == datetime(2999, 12, 31, 16, tzinfo=UTC)
    for wrong in ("2020-01-01", "tomorrow", "18:00"):
        with pytest.raises(click.BadParameter):
            read(wrong, None, None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pause", "web", "--for", "2h", "--until", "2999-01-01"], "two ends"),
        (["pause", "web", "--all"], "--all is everything"),
        (["now", "--label", "team=web", "--all"], "--all is everything"),
        (["now", "--label", "team=web", "--label", "team=ops"], "no credential carries both"),
        (["now", "web", "--within", "120"], "has no unit"),
        (["due", "--within", "-1"], "is no duration"),
        (["resume"], "say which"),
    ],
)
def test_contradictions_are_usage_errors_before_anything_is_asked(tmp_path, words: list[str], said: str) -> None:
    ended = CliRunner().invoke(rotate, ["-c", str(write(tmp_path, SOUND)), *words])
    assert ended.exit_code == 2, ended.output
    assert said in ended.output.replace("\n", " ")


def test_a_question_that_nobody_is_there_to_answer_is_a_usage_error(tmp_path) -> None:
    in_a_file = SOUND.replace('vault = "secret/minters/blog#token"', f'file = "{tmp_path}/minter"')
    acme = write(tmp_path, in_a_file)
    ended = CliRunner().invoke(rotate, ["conformance", "halo-pat", "--settings", str(acme)])
    assert ended.exit_code == 2
    assert "say --yes" in ended.output


def test_a_kit_without_vault_refuses_a_secret_there_before_anything_is_tried(tmp_path) -> None:
    acme = write(tmp_path, SOUND)
    ended = CliRunner().invoke(rotate, ["conformance", "halo-pat", "--settings", str(acme), "--yes"])
    assert ended.exit_code == 2
    assert "vault:secret/minters/blog#token: the kit calls no Vault" in ended.output


def test_a_kit_without_vault_refuses_what_each_use_may_replace(tmp_path) -> None:
    more = (
        '[targets.sso]\nkind = "oauth"\nurl = "https://sso.example"\n[credentials.crm]\ntarget = "sso"\npath = "crm"\n'
    )
    more += 'kind = "assertion-key"\nclient_id = "crm"\nregistration_client_uri = "https://sso.example/register/crm"\n'
    more += 'registration_access_token = {vault = "secret/reg/crm#token"}\n'
    words = ["conformance", "assertion-key", "--settings", str(write(tmp_path, SOUND + more)), "--yes"]
    ended = CliRunner().invoke(rotate, words)
    assert ended.exit_code == 2
    assert "registration_access_token vault:secret/reg/crm#token: each use may replace it" in ended.output


def test_when_a_stray_was_used_last_is_said_once() -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    nobody = SimpleNamespace(place=None, credential="", said="")
    stray = SimpleNamespace(
        target="blog", token=SimpleNamespace(id="t"), owner=nobody, last_used=now - timedelta(minutes=5)
    )
    assert "5m ago" in strays._row(stray, "stray", now)
