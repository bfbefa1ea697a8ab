"""Kinds of other packages: loaded when settings name them, and only then; none stands in for what is built in."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import is_dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from rotator import providers
from rotator.cli import rotate
from rotator.providers import GROUP, KINDS, kind_of
from rotator.settings import SettingsError, load
from tests.architecture.source import HOUSE

MODULE = """
from datetime import UTC, datetime
from tests.unit.testing import bad
from tests.kit.provider import FakeProvider, Target

TARGET = Target(lambda: datetime.now(UTC), seed="canary")
KIND = bad.kind_of(lambda: FakeProvider(TARGET), lambda: len(TARGET.living()), needs_minter=False)
SHADOW = bad.kind_of(None, None, name="halo-pat", family="acme-vault", needs_minter=False)
TAKEN = bad.kind_of(None, None, family="halo-cms", needs_minter=False)
NOTHING = object()
"""
SETTINGS = """
[targets.acme]
kind = "acme-vault"
url = "https://acme.example"
settle = "0s"

[credentials.tool]
kind = "acme-token"
target = "acme"
path = "apps/tool"
lifetime = "90d"
"""

Install = Callable[..., str]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a package on the path whose entry points are these; returns the name of its module."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(providers, "outside", {})

    def put(name: str, text: str = MODULE, **offers: str) -> str:
        module = f"{name}_{abs(hash(tmp_path)):x}"
        (tmp_path / f"{module}.py").write_text(text)
        metadata = tmp_path / f"{name}-1.2.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        points = "".join(f"{kind} = {module}:{value}\n" for kind, value in offers.items())
        (metadata / "entry_points.txt").write_text(f"[{GROUP}]\n{points}")
        return module

    return put


def named(tmp_path: Path, text: str = SETTINGS) -> Path:
    file = tmp_path / "rotator.toml"
    file.write_text(text)
    return file


def said(file: Path) -> str:
    with pytest.raises(SettingsError) as error:
        load(file, vaultless=True)
    return str(error.value)


def test_a_kind_is_imported_when_settings_name_it_and_the_others_are_not(install: Install, tmp_path: Path) -> None:
    module = install("acme", **{"acme-token": "KIND"})
    other = install("other", "raise SystemExit", **{"other-token": "KIND"})
    settings = load(named(tmp_path), vaultless=True)
    assert settings.credentials["tool"].kind == "acme-token"
    assert settings.targets["acme"].kind == "acme-vault"
    assert kind_of("acme-token").family == "acme-vault"
    assert module in sys.modules
    assert other not in sys.modules


def test_an_author_writes_a_dataclass_of_options_and_gets_it_back(install: Install, tmp_path: Path) -> None:
    install("example", (HOUSE / "config/examples/provider_example.py").read_text(), **{"acme-token": "KIND"})
    minter = 'kind = "acme"\nminter = {pat = {file = "/run/acme"}}'
    text = SETTINGS.replace('kind = "acme-vault"', minter)
    web, shop = (
        load(named(tmp_path, f'{text}team = "{team}"\n'), vaultless=True).credentials["tool"]
        for team in ("web", "shop")
    )
    assert web.options == kind_of("acme-token").options(team="web")
    assert is_dataclass(web.options)
    assert web.rotating_options == {"team": "web"}
    assert web.policy != shop.policy
    assert "`team` is missing" in said(named(tmp_path, text))
    assert "credentials.tool.team: must be a string, not an integer" in said(named(tmp_path, f"{text}team = 1\n"))


def test_nothing_is_imported_for_being_installed(install: Install, tmp_path: Path) -> None:
    module = install("acme", **{"acme-token": "KIND", "halo-pat": "SHADOW"})
    text = SETTINGS.replace('"acme-vault"', '"http"').replace('"acme-token"', '"manual"')
    load(named(tmp_path, f'{text}\ninstructions = "Users, New token"\nprobe = "/me"\n'), vaultless=True)
    assert module not in sys.modules
    assert KINDS.keys() == {name for name in KINDS if kind_of(name) is KINDS[name]}


def test_an_entry_point_named_after_the_family_is_found_by_the_target_alone(install: Install, tmp_path: Path) -> None:
    install("acme", **{"acme-vault": "KIND"})
    settings = load(named(tmp_path, SETTINGS.replace('kind = "acme-token"\n', "")), vaultless=True)
    assert settings.credentials["tool"].kind == "acme-token"


@pytest.mark.parametrize(
    ("text", "offers", "told"),
    [
        (MODULE, {"acme-vault": "SHADOW"}, "package acme 1.2 offers a kind `halo-pat`, and that name is taken"),
        (MODULE, {"acme-token": "TAKEN"}, "package acme 1.2 offers another sort of `halo-cms` target than `halo-pat`"),
        (MODULE, {"acme-token": "NOTHING"}, "package acme 1.2 offers it, but .* is no rotator.providers.base.Kind"),
        (MODULE, {"acme-token": "SHADOW"}, "calls itself `halo-pat` on `acme-vault`: name the entry point after"),
        (MODULE, {"acme-token": "ABSENT"}, "package acme 1.2 offers it, but cannot be imported: AttributeError"),
        ("raise RuntimeError('a canary')", {"acme-token": "KIND"}, "but cannot be imported: RuntimeError"),
        ("", {}, "there is no kind of credential `acme-token`, built in or installed"),
    ],
)
def test_what_cannot_be_used_is_a_fault_in_the_settings_that_names_the_package(
    install: Install, tmp_path: Path, text: str, offers: dict[str, str], told: str
) -> None:
    install("acme", text, **offers)
    spoken = said(named(tmp_path))
    assert re.search(told, spoken), spoken
    assert "canary" not in spoken


def test_a_name_that_two_packages_offer_is_nobodys(install: Install, tmp_path: Path) -> None:
    module = install("acme", **{"acme-token": "KIND"})
    (tmp_path / "twin-1.0.dist-info").mkdir()
    (tmp_path / "twin-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: twin\nVersion: 1.0\n")
    (tmp_path / "twin-1.0.dist-info" / "entry_points.txt").write_text(f"[{GROUP}]\nacme-token = {module}:KIND\n")
    assert "the package acme 1.2 and the package twin 1.0 both offer it" in said(named(tmp_path))


def test_the_kit_tries_a_kind_from_outside_and_says_first_what_it_will_do(install: Install, tmp_path: Path) -> None:
    install("acme", **{"acme-token": "KIND"})
    asked = ["conformance", "acme-token", "--settings", str(named(tmp_path)), "--rest", "0s"]
    refused = CliRunner().invoke(rotate, asked, input="n\n")
    assert refused.exit_code == 2
    assert "mints and ends up to" in refused.output
    done = CliRunner().invoke(rotate, [*asked, "--yes", "--json"])
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert {row["verdict"] for row in rows} == {"passed", "not applicable"}
    assert "killed: accepted" in {row["rule"] for row in rows if row["verdict"] == "passed"}


def test_a_table_with_a_broken_rule_ends_with_exit_1(install: Install, tmp_path: Path) -> None:
    install("acme", MODULE.replace("FakeProvider(TARGET)", "bad.MissesOne(TARGET)"), **{"acme-token": "KIND"})
    asked = ["conformance", "acme-token", "--settings", str(named(tmp_path)), "--rest", "0s", "--yes"]
    done = CliRunner().invoke(rotate, asked)
    assert done.exit_code == 1
    assert "misses 1 of 3" in done.stdout
    assert "1 failed" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize("kind", ["halo-pat", "no-such-kind"])
def test_a_kind_that_the_settings_do_not_have_is_a_wrong_use(install: Install, tmp_path: Path, kind: str) -> None:
    install("acme", **{"acme-token": "KIND"})
    done = CliRunner().invoke(rotate, ["conformance", kind, "--settings", str(named(tmp_path)), "--yes"])
    assert done.exit_code == 2
    assert f"no credentials of kind {kind}" in done.output
