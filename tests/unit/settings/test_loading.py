"""Files become settings: joined, defaulted, frozen, digested; every fault of every file at once."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import FrozenInstanceError
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.host.cron import Cron
from rotator.host.proxy import Proxy
from rotator.providers.halo_cms.config import HaloPatOptions
from rotator.rotation.credential import AtDeadline, OnForeign, VaultPath
from rotator.rotation.schedule import Every, FractionOfLife
from rotator.rotation.secret import SecretRef, SecretSource
from rotator.settings import FaultAt, Method, Minter, SettingsError, load
from rotator.settings import files as settings_files
from rotator.settings.files import socket_in
from tests.unit.settings.files import SOUND, faults, line_of, write

CONFIG = Path(__file__).parents[3] / "config"
_SINGLE = "[daemon]\n[status]\n[audit]\n"
SHIPPED = [CONFIG / "rotator.toml", *sorted((CONFIG / "examples").glob("*.toml"))]


def test_a_short_file_gets_the_defaults(tmp_path: Path) -> None:
    settings = load(write(tmp_path, SOUND))
    web = settings.credentials["web"]
    assert (web.kind, web.target, web.place, web.key) == (
        "halo-pat",
        "blog",
        VaultPath("secret", "apps/web/halo"),
        "token",
    )
    assert (web.schedule, web.lifetime) == (Every(timedelta(days=30), 0.1), timedelta(days=90))
    assert (web.on_foreign, web.describe) == (OnForeign.HOLD, True)
    assert (web.options, web.rotating_options) == (HaloPatOptions(), {})
    assert settings.targets["blog"].minter == Minter(pat=SecretRef(SecretSource.VAULT, "secret/minters/blog", "token"))
    assert settings.targets["blog"].config.url == "https://blog.example"
    assert settings.vault.auth.method is Method.APPROLE
    assert settings.vault.auth.mount == "approle"
    assert settings.daemon.instance


@pytest.mark.parametrize("path", SHIPPED, ids=[path.name for path in SHIPPED])
def test_every_shipped_file_loads(path: Path) -> None:
    assert load(path).credentials


def test_the_commented_file_shows_every_key() -> None:
    from rotator.providers import KINDS
    from rotator.settings.credentials import _DEFAULTABLE
    from rotator.settings.targets import own_options

    text = (CONFIG / "rotator.toml").read_text(encoding="utf-8")
    shown = {line.lstrip("# ").partition(" =")[0] for line in text.splitlines()}
    wanted = {
        "address",
        "namespace",
        "prefix",
        "connect_timeout",
        "instance",
        "socket",
        "in_flight",
        "settle",
        "minter",
        "listen",
        "allow_remote",
        "hosts",
        "file",
        "required",
        "sync",
    }
    wanted |= {*_DEFAULTABLE, "path"} | {
        key for kind in KINDS.values() for key in own_options(kind.target_config) + own_options(kind.options)
    }
    assert wanted <= shown


def test_the_commented_file_says_what_it_means() -> None:
    settings = load(CONFIG / "rotator.toml")
    newsletter, indexer, preview = (settings.credentials[name] for name in ("newsletter", "search/indexer", "preview"))
    assert newsletter.retire.at_deadline is AtDeadline.HOLD
    assert newsletter.options.roles == ("role-template-manage-posts",)
    assert newsletter.labels == {"team": "web", "tier": "1"}
    assert indexer.schedule == Cron("0 3 * * 1", "Europe/Berlin", timedelta(hours=2))
    assert indexer.retire.deadline == timedelta(days=1)
    assert preview.schedule == FractionOfLife(0.66, 0.1)


def test_settings_are_frozen(tmp_path: Path) -> None:
    settings = load(write(tmp_path, SOUND))
    with pytest.raises(FrozenInstanceError):
        settings.vault.mount = "other"


def test_files_beside_are_joined_in_the_order_of_their_names(tmp_path: Path) -> None:
    main = write(tmp_path, SOUND)
    write(tmp_path, '[credentials.b]\ntarget = "blog"\npath = "b"\n', "conf.d/20-b.toml")
    write(tmp_path, '[credentials.a]\ntarget = "blog"\npath = "a"\n', "conf.d/10-a.toml")
    write(tmp_path, "not read", "conf.d/notes.txt")
    write(tmp_path, "not read", "conf.d/.hidden.toml")
    settings = load(main)
    assert list(settings.credentials) == ["web", "a", "b"]
    assert [path.name for path in settings.files] == ["rotator.toml", "10-a.toml", "20-b.toml"]


@pytest.mark.parametrize("section", ["credentials.web", "targets.blog", "vault", "daemon", "status", "audit"])
def test_a_name_defined_twice_names_both_places(section: str, tmp_path: Path) -> None:
    main = write(tmp_path, SOUND + _SINGLE)
    other = write(tmp_path, f"# another team\n[{section}]\n", "conf.d/team.toml")
    [fault] = faults(main)
    assert (fault.file, fault.line, fault.key) == (str(other), 2, section)
    assert f"{main}:{line_of(SOUND + _SINGLE, f'[{section}]')}" in fault.text


def test_two_credentials_must_not_write_one_path(tmp_path: Path) -> None:
    main = write(tmp_path, SOUND)
    other = write(tmp_path, '[credentials.web2]\ntarget = "blog"\npath = "apps/web/halo"\n', "conf.d/team.toml")
    [fault] = faults(main)
    assert (fault.file, fault.line, fault.key) == (str(other), 3, "credentials.web2.path")
    assert f"credentials.web ({main}:{line_of(SOUND, 'path')})" in fault.text


def test_one_path_on_two_mounts_is_two_places(tmp_path: Path) -> None:
    more = '[credentials.web2]\ntarget = "blog"\npath = "apps/web/halo"\nmount = "team"\n'
    assert faults(write(tmp_path, SOUND + more)) == ()


def test_every_fault_of_every_file_is_reported_at_once(tmp_path: Path) -> None:
    text = SOUND.replace("https://vault", "http://vault").replace('url = "https://blog', 'url = "ftp://blog')
    main = write(tmp_path, text + 'every = 30\nkey = 5\ncolour = "red"\n')
    write(tmp_path, '[credentials.x]\ntarget = "blgo"\nlifetime = "for ever"\n', "conf.d/x.toml")
    write(tmp_path, "[credentials.y\n", "conf.d/y.toml")
    found = {(Path(fault.file).name, fault.line, fault.key) for fault in faults(main)}
    assert found == {
        ("rotator.toml", 2, "vault.address"),
        ("rotator.toml", 9, "targets.blog.url"),
        ("rotator.toml", 14, "credentials.web.every"),
        ("rotator.toml", 15, "credentials.web.key"),
        ("rotator.toml", 16, "credentials.web.colour"),
        ("x.toml", 1, "credentials.x"),
        ("x.toml", 3, "credentials.x.lifetime"),
        ("y.toml", 1, ""),
    }


def test_an_unparsable_file_does_not_make_its_names_unknown(tmp_path: Path) -> None:
    main = write(tmp_path, SOUND.replace('target = "blog"', 'target = "elsewhere"'))
    broken = write(tmp_path, '[targets.elsewhere]\nkind = "halo-cms"\nurl = https://blog\n', "conf.d/x.toml")
    [fault] = faults(main)
    assert (fault.file, fault.line) == (str(broken), 3)
    assert "not valid TOML" in fault.text


@pytest.mark.parametrize(
    ("content", "line", "phrase"),
    [
        (b"[vault]\naddress = \n", 2, "not valid TOML"),
        (b"a = 1\na = 2\n", 2, "Cannot overwrite"),
        (b"a = '''\n\n", 3, "not valid TOML"),
        (b"# \n\xff\n", 2, "not UTF-8"),
        (b"a = " + b"[" * 5000, 0, "nested too deeply"),
        (b"a = " + b"9" * 5000, 0, "not valid TOML"),
        (b"# x\n[" + b"a." * 50_000 + b"a]\n", 2, "a key of more than 32 parts"),
        (b"x = 1\n" + b"a . " * 50_000 + b"a = 1\n", 2, "a key of more than 32 parts"),
        (b"x = {y = 1, " + b"'a'." * 50_000 + b"a = 1}\n", 1, "a key of more than 32 parts"),
        (b"#" * (8 * 1024 * 1024 + 1), 0, "is larger than 8 MiB"),
    ],
    ids=[
        "no value",
        "a key twice",
        "an open string",
        "not UTF-8",
        "too deep",
        "too many digits",
        "a deep header",
        "a deep key",
        "a deep key within",
        "too large",
    ],
)
def test_what_is_not_toml_is_refused_with_its_line(content: bytes, line: int, phrase: str, tmp_path: Path) -> None:
    path = tmp_path / "rotator.toml"
    path.write_bytes(content)
    [fault] = faults(path)
    assert (fault.line, fault.key) == (line, "")
    assert phrase in fault.text


DOTS = "a." * 50


@pytest.mark.parametrize(
    "value",
    [f'"{DOTS}"', f"'{DOTS}'", f'"""\n{DOTS}"""', f"'''\n{DOTS}'''", "[" + "1.5, " * 50 + "]", f"1 # {DOTS}"],
)
def test_dots_that_belong_to_no_key_are_not_counted(value: str, tmp_path: Path) -> None:
    told = faults(write(tmp_path, SOUND + f"[defaults]\nx = {value}\n"))
    assert [fault.key for fault in told] == ["defaults.x"]


def test_an_absent_file_says_how_to_name_another(tmp_path: Path) -> None:
    [fault] = faults(tmp_path / "absent.toml")
    assert fault == FaultAt(
        str(tmp_path / "absent.toml"), 0, "",
        "cannot be read: No such file or directory; name another with --config or $ROTATOR_CONFIG",
    )  # fmt: skip


def test_a_directory_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "conf.d" / "x.toml").mkdir(parents=True)
    [fault] = faults(write(tmp_path, SOUND))
    assert fault.text == "cannot be read: it is a folder, not a regular file"


def test_a_missing_vault_section_is_one_fault(tmp_path: Path) -> None:
    [fault] = faults(write(tmp_path, ""))
    assert fault.text.startswith("the section [vault] is missing")


def test_the_environment_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROTATOR_CONFIG", str(write(tmp_path, SOUND, "mine.toml")))
    assert load().files == (tmp_path / "mine.toml",)


def test_without_any_word_the_file_is_in_etc(monkeypatch: pytest.MonkeyPatch) -> None:
    from rotator.settings.files import main_file

    monkeypatch.delenv("ROTATOR_CONFIG", raising=False)
    assert main_file(None) == Path("/etc/rotator/rotator.toml")


def test_the_digest_changes_with_any_file(tmp_path: Path) -> None:
    main = write(tmp_path, SOUND)
    first = load(main).digest
    assert load(main).digest == first
    write(tmp_path, "# nothing\n", "conf.d/x.toml")
    second = load(main).digest
    assert second != first
    write(tmp_path, "# nothing new\n", "conf.d/x.toml")
    assert load(main).digest != second


DEFAULTS = """\
[defaults]
every = "7d"
jitter = 0.2
lifetime = "30d"
retire = {after = "2h"}
roles = ["r"]
target = "blog"
"""


def test_defaults_fill_in_what_a_credential_does_not_say(tmp_path: Path) -> None:
    web = load(write(tmp_path, SOUND.replace('target = "blog"\n', "") + DEFAULTS)).credentials["web"]
    assert (web.target, web.schedule, web.lifetime) == ("blog", Every(timedelta(days=7), 0.2), timedelta(days=30))
    assert (web.retire.after, web.options.roles) == (timedelta(hours=2), ("r",))
    assert web.rotating_options == {"roles": ("r",)}


def test_a_schedule_of_its_own_shuts_out_the_default_one(tmp_path: Path) -> None:
    web = load(write(tmp_path, SOUND + 'cron = "0 3 * * 1"\n' + DEFAULTS)).credentials["web"]
    assert web.schedule == Cron("0 3 * * 1", "UTC", timedelta(0))
    web = load(write(tmp_path, SOUND + "fraction = 0.5\n" + DEFAULTS)).credentials["web"]
    assert web.schedule == FractionOfLife(0.5, 0.2)


def test_a_cron_and_its_splay_may_be_defaults(tmp_path: Path) -> None:
    lines = '[defaults]\ncron = "0 3 * * *"\njitter = "1h"\ntimezone = "Europe/Berlin"\n'
    text = SOUND + lines + '[credentials.b]\ntarget = "blog"\npath = "b"\nevery = "9d"\n'
    credentials = load(write(tmp_path, text)).credentials
    assert credentials["web"].schedule == Cron("0 3 * * *", "Europe/Berlin", timedelta(hours=1))
    assert credentials["b"].schedule == Every(timedelta(days=9), 0.1)


def test_a_faulty_default_is_reported_once_and_at_its_own_place(tmp_path: Path) -> None:
    text = SOUND + '[credentials.b]\ntarget = "blog"\npath = "b"\n[defaults]\nlifetime = 90\n'
    [fault] = faults(write(tmp_path, text))
    assert (fault.line, fault.key) == (line_of(text, "lifetime"), "defaults.lifetime")


@pytest.mark.parametrize(
    ("line", "key", "phrase"),
    [
        ('path = "x"', "defaults.path", "every credential has its own path"),
        ('evry = "7d"', "defaults.evry", "did you mean `every`?"),
        ('every = "7d"\nfraction = 0.5', "defaults", "only one of"),
        ('cron = "0 3 * * *"\njitter = 0.2', "defaults.jitter", "a length of time with `cron`"),
    ],
)
def test_what_can_be_no_default_is_refused(line: str, key: str, phrase: str, tmp_path: Path) -> None:
    [fault] = faults(write(tmp_path, SOUND + f"[defaults]\n{line}\n"))
    assert fault.key == key
    assert phrase in fault.text


def test_a_default_that_a_kind_declares_does_not_change_the_policy(tmp_path: Path) -> None:
    plain = load(write(tmp_path, SOUND)).credentials["web"].policy
    assert load(write(tmp_path, SOUND + "scopes = []\n")).credentials["web"].policy == plain
    assert load(write(tmp_path, SOUND + 'roles = ["r"]\n')).credentials["web"].policy != plain


def test_a_short_lived_value_may_still_be_rotated(tmp_path: Path) -> None:
    short = 'fraction = 0.5\nlifetime = "1h"\nretire = {after = "10m"}\nlimits = {mints_per_day = 60}\n'
    assert load(write(tmp_path, SOUND + short)).credentials["web"].lifetime == timedelta(hours=1)


def test_a_fault_never_repeats_a_pasted_secret(tmp_path: Path) -> None:
    canary = "pat_eyJcanary-7f3a91c4d2"
    text = SOUND.replace("https://vault.example", f"https://root:{canary}@vault.example")
    text = text.replace('{vault = "secret/minters/blog#token"}', f'"{canary}"')
    text = text.replace('{credential = "vault-secret-id"}', f'{{credential = "{canary} x"}}')
    with pytest.raises(SettingsError) as caught:
        load(
            write(
                tmp_path,
                text + f'key = "{canary} x"\nlifetime = "{canary}"\nkind = "{canary}"\non_foreign = "{canary}"\n',
            )
        )
    assert len(caught.value.faults) == 7
    assert canary not in str(caught.value)


def test_the_error_reads_file_line_key_and_remedy(tmp_path: Path) -> None:
    path = write(tmp_path, SOUND + "every = 30\n")
    with pytest.raises(SettingsError) as caught:
        load(path)
    said = f'{path}:14: credentials.web.every: 30 has no unit: write "30s", "30m", "30h", "30d" or "30w"'
    assert str(caught.value) == said


def test_loading_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from rotator.settings import load; load(sys.argv[1]);"
        "heavy = {'httpx', 'hvac', 'structlog', 'apscheduler', 'requests', 'jwt', 'prometheus_client'};"
        "sys.exit(','.join(heavy & set(sys.modules)) or 0)"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(write(tmp_path, SOUND))], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.timeout(60)
def test_a_thousand_credentials_load_quickly(tmp_path: Path) -> None:
    many = "".join(f'[credentials.c{n}]\ntarget = "blog"\npath = "p/{n}"\nroles = ["r"]\n' for n in range(1000))
    assert len(load(write(tmp_path, SOUND + many)).credentials) == 1001


SOCKETS = {
    "as it should be": ('[daemon]\nsocket = "/run/a.sock"\n', "/run/a.sock"),
    "broken behind it": ("[daemon]\nlease = soon\n  socket = '/run/a.sock'\n[targets.blog\n", "/run/a.sock"),
    "another section's": ('[status]\nsocket = "/run/b.sock"\n[daemon]\nlease = "30s"\n', ""),
    "a comment": ('[daemon]\n# socket = "/run/b.sock"\n', ""),
    "not even text": ("\udcff[daemon]\n", ""),
}


@pytest.mark.parametrize(("text", "expected"), SOCKETS.values(), ids=SOCKETS)
def test_where_the_daemon_listens_is_found_in_faulty_files_too(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "rotator.toml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    assert socket_in(path) == expected
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "10-site.toml").write_text('[daemon]\nsocket = "/run/site.sock"\n')
    assert socket_in(path) == (expected or "/run/site.sock")
    assert socket_in(tmp_path / "nowhere.toml") == "/run/site.sock"


def test_a_link_that_leads_nowhere_and_a_pipe_are_named(tmp_path: Path) -> None:
    write(tmp_path, SOUND)
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "gone.toml").symlink_to("/nowhere/gone.toml")
    os.mkfifo(tmp_path / "conf.d" / "pipe.toml")
    first, second = faults(tmp_path / "rotator.toml")
    assert first.file.endswith("conf.d/gone.toml")
    assert first.text.endswith("it is a link to /nowhere/gone.toml, where nothing is: mend or remove it")
    assert second.file.endswith("conf.d/pipe.toml")
    assert second.text == "cannot be read: it is a pipe, not a regular file"


def test_a_pipe_in_the_place_of_a_file_that_settings_name_is_refused_where_it_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (fault,) = faults(write(tmp_path, SOUND + f'[audit]\nfile = "{tmp_path / "pipe"}"\n'))
    assert (fault.key, fault.text) == ("audit.file", f"must be a regular file, and a pipe is at {tmp_path / 'pipe'}")


_PROXIED = """
[hooks.page]
on = ["held"]
url = "https://hooks.example/x"
secret = {credential = "hook"}
proxy = {url = "https://proxy.example", username = "page", password = {vault = "secret/proxies/page#password"}}
"""


def test_a_proxy_is_an_address_or_a_table_and_its_password_is_referred_to(tmp_path: Path) -> None:
    from rotator.app.vault_policy import policy, references

    table = 'proxy = {url = "http://127.0.0.1:3128/", username = "web", password = {file = "/run/secrets/proxy"}}'
    text = SOUND.replace("[vault.auth]", 'proxy = "http://proxy.example:3128"\n[vault.auth]')
    settings = load(write(tmp_path, text.replace("[credentials.web]", f"{table}\n[credentials.web]") + _PROXIED))
    own = Proxy("http://127.0.0.1:3128", "web", SecretRef(SecretSource.FILE, "/run/secrets/proxy"))
    page = SecretRef(SecretSource.VAULT, "secret/proxies/page", "password")
    assert settings.vault.proxy == Proxy("http://proxy.example:3128")
    assert settings.targets["blog"].config.proxy == own
    assert settings.hooks["page"].proxy == Proxy("https://proxy.example", "page", page)
    assert {own.password, page} <= set(references(settings))
    assert 'path "secret/data/proxies/page"' in policy(settings)


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("text", [SOUND, "[vault"])
def test_the_garbage_collector_is_left_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, enabled: bool
) -> None:
    known, reads = gc.isenabled(), []
    monkeypatch.setattr(settings_files, "main_file", lambda path: reads.append(gc.isenabled()) or Path(path))
    (gc.enable if enabled else gc.disable)()
    try:
        with suppress(SettingsError):
            load(write(tmp_path, text))
        assert (reads, gc.isenabled()) == ([False], enabled)
    finally:
        (gc.enable if known else gc.disable)()
