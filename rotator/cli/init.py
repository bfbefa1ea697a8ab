"""`rotate init` writes the first files of an installation; `rotate policy` prints the Vault policy for settings."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import click

from rotator.cli import base, output
from rotator.settings import Method, SecretSource, Settings, SettingsError, load

_HOME, _CLUSTER = Path("/etc/rotator"), Path("rotator-cluster")
_CHECKOUT = Path(__file__).parents[2]  # of the repository, where rotator runs from one
_USAGE = 2
# First values of a kind of target: the target's name, its address, the credential's name, the end of its path.
_EXAMPLES = {
    "halo-cms": ("blog", "https://blog.example", "newsletter", "halo"),
    "oauth": ("desk", "https://desk.example", "crm", "desk"),
}
_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("folder", metavar="[DIR]", required=False, type=_PATH)
@click.option("--vault-addr", envvar=["VAULT_ADDR", "BAO_ADDR"], default="https://127.0.0.1:8200", show_default=True,
              show_envvar=True, metavar="URL", help="Where Vault is.")  # fmt: skip
@click.option("--namespace", envvar=["VAULT_NAMESPACE", "BAO_NAMESPACE"], default="", show_envvar=True,
              help="Vault's namespace, if any.")  # fmt: skip
@click.option("--ca-file", envvar=["VAULT_CACERT", "BAO_CACERT"], default="", show_envvar=True, metavar="FILE",
              help="Vault's authority, PEM.")  # fmt: skip
@click.option("--mount", default="secret", show_default=True, help="The KV version 2 engine.")
@click.option(
    "--auth",
    type=click.Choice([each.value for each in Method]),
    default="approle",
    show_default=True,
    help="The login to Vault.",
)
@click.option("--kind", type=click.Choice([*_EXAMPLES]), default="halo-cms", show_default=True, help="The target's.")
@click.option("--target-url", "url", metavar="URL", help="Where the target is.")
@click.option("--credential", metavar="NAME", help="The first credential.")
@click.option("--consumer-path", "path", metavar="PATH", help="What its consumers read, below the mount.")
@click.option("--from", "existing", type=_PATH, metavar="FILE", help="Keep these settings: only policy and unit.")
@click.option("--manifests", metavar="DIR|URL", default="",
              help="config/kubernetes of rotator's repository, for kubernetes.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace files that are there.")
def init_command(folder: Path | None, existing: Path | None, manifests: str, force: bool, **wanted: Any) -> None:
    """Write settings that load, the Vault policy for just what they name, and the unit; say what to type next.

    With --auth kubernetes an overlay of the manifests takes the unit's place. DIR is then ./rotator-cluster unless
    given, else /etc/rotator. Nothing is asked, nobody is called, and no file is replaced without --force.
    """
    home = _CLUSTER if wanted["auth"] == Method.KUBERNETES else _HOME
    folder = (folder or (existing.parent if existing else home)).absolute()
    path = existing.absolute() if existing else folder / "rotator.toml"
    texts: dict[Path, str] = {}
    try:
        if existing:
            settings = base.settings(str(path))
        else:
            texts[path] = _text(wanted)
            settings = _tried(folder, texts[path])
        texts |= _beside(settings, folder, path)
        there = _manifests(manifests, folder) if settings.vault.auth.method is Method.KUBERNETES else ""
        texts |= _overlay(settings, folder, path, there, "" if existing else wanted["ca_file"]) if there else {}
        _write(texts, force=force)
    except OSError as fault:
        _refuse(
            f"{fault.filename or folder} cannot be written: {fault.strerror}; sudo, or name a folder: rotate init ."
        )
    _say(settings, folder, path, [*texts], there)


def _text(wanted: Mapping[str, Any]) -> str:
    from rotator.commands.scaffold import InstallationPlan, settings_text

    target, where, name, last = _EXAMPLES[wanted["kind"]]
    name = wanted["credential"] or name
    return settings_text(
        InstallationPlan(
            vault_address=wanted["vault_addr"],
            namespace=wanted["namespace"],
            ca_file=_authority(wanted),
            mount=wanted["mount"],
            auth=Method(wanted["auth"]),
            kind=wanted["kind"],
            target=target,
            url=wanted["url"] or where,
            credential=name,
            path=wanted["path"] or f"apps/{name}/{last}",
        )
    )


def _authority(wanted: Mapping[str, Any]) -> str:
    from rotator.commands.scaffold.cluster import AUTHORITY

    if not wanted["ca_file"]:
        return ""
    return AUTHORITY if wanted["auth"] == Method.KUBERNETES else str(Path(wanted["ca_file"]).absolute())


def _tried(folder: Path, text: str) -> Settings:
    """The settings as they will be read there, including conf.d beside them."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        tempfile.NamedTemporaryFile(
            "w", dir=folder if folder.is_dir() else scratch, prefix=".rotator-", suffix=".toml", encoding="utf-8"
        ) as trial,
    ):
        trial.write(text)
        trial.flush()
        try:
            return load(trial.name)
        except SettingsError as error:
            faults = [f"{x.key}: {x.text}" if x.file == trial.name else str(x) for x in error.faults]
            _refuse(*faults, code=_USAGE)


def _beside(settings: Settings, folder: Path, path: Path) -> dict[Path, str]:
    from rotator.app.vault_policy import UngrantableError, policy, references
    from rotator.commands.scaffold import unit_text

    try:
        texts = {folder / "rotator.hcl": policy(settings)}
    except UngrantableError as fault:
        _refuse(str(fault), code=_USAGE)
    if settings.vault.auth.method is not Method.KUBERNETES:
        texts[folder / "rotator.service"] = unit_text(references(settings), sys.executable, path, _files(settings))
    return texts


def _manifests(given: str, folder: Path) -> str:
    """Where config/kubernetes is, seen from the folder, as kustomize wants it: a relative path, or an address."""
    if _is_remote(given):
        return given
    likely = [Path(given)] if given else [Path("config/kubernetes"), _CHECKOUT / "config" / "kubernetes"]
    for each in likely:
        if (each / "token-reviewer" / "kustomization.yaml").is_file():
            if folder.resolve().is_relative_to(each.resolve()):
                _refuse(f"{folder} is in {each}, where kustomize allows no overlay of it: name another", code=_USAGE)
            return os.path.relpath(each.resolve(), folder.resolve())
    what = f"{given} is not" if given else "the overlay needs"
    remedy = "name it, or its address, with --manifests"
    return _refuse(f"{what} config/kubernetes of rotator's repository: {remedy}", code=_USAGE)


def _is_remote(manifests: str) -> bool:
    return "://" in manifests or manifests.startswith("git@")


def _overlay(settings: Settings, folder: Path, path: Path, there: str, authority: str) -> dict[Path, str]:
    """The overlay beside the settings. Raises OSError when Vault's authority cannot be read."""
    from importlib.metadata import version

    from rotator.commands.scaffold.cluster import overlay, port

    if others := [str(each) for each in settings.files if each.parent.name == "conf.d"]:
        _refuse(f"a config map has no folders: put {', '.join(others)} into {path.name}", code=_USAGE)
    if path.parent != folder:
        _refuse(f"kustomize reads only what is below the overlay: copy {path} to {folder}", code=_USAGE)
    urls = [settings.vault.address, *(each.config.url for each in settings.targets.values())]
    proxies = [settings.vault.proxy, *(each.config.proxy for each in settings.targets.values())]
    ports = [*map(port, urls), *(port(each.url) for each in proxies if each)]
    made = overlay(folder, there, path.name, ports, version("rotator"), authority=bool(authority))
    texts = {folder / "kustomization.yaml": made}
    return texts | ({folder / "vault.crt": Path(authority).read_text(encoding="utf-8")} if authority else {})


def _files(settings: Settings) -> list[str]:
    """The files that the service will write with these settings."""
    from rotator.app.vault_policy import entries

    sets = [value for key, value in entries(settings) if key == "jwks_file" and isinstance(value, str) and value]
    return [*sets, *([settings.audit.file] if settings.audit.file else [])]


def _write(texts: Mapping[Path, str], *, force: bool) -> None:
    if not force and (there := [str(path) for path in texts if os.path.lexists(path)]):
        _refuse(f"{', '.join(there)}: there already, and left alone; nothing was written. --force replaces")
    for path, text in texts.items():
        _make(path.parent)
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, prefix=".rotator-", delete=False, encoding="utf-8"
        ) as new:
            new.write(text)
        Path(new.name).chmod(0o644)
        Path(new.name).replace(path)


def _make(folder: Path) -> None:
    """Create a folder and its parents, accessible to the service's user whatever the shell's umask is."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir()
        each.chmod(0o755)


def _warn(path: Path) -> None:
    """Say what would keep the service from starting."""
    from rotator.commands.scaffold import closed, hidden

    if unseen := hidden(sys.executable, sys.prefix, str(path)):
        advice = "install rotator elsewhere (python3 -m venv /opt/rotator), and keep its settings in /etc/rotator"
        output.say(err=True)
        output.say(f"warning: ProtectHome hides {unseen} from the service, which cannot start: {advice}", err=True)
    if folders := closed(path):
        output.say(err=True)
        said = f"warning: only root may enter {' and '.join(folders)}, and the service has a user of its own"
        output.say(f"{said}: chmod 755 {' '.join(folders)}", err=True)


def _say(settings: Settings, folder: Path, path: Path, written: list[Path], manifests: str) -> None:
    from rotator.app.factories import place_of
    from rotator.app.vault_policy import references
    from rotator.commands.scaffold import cluster_steps, steps

    for each in written:
        output.say(f"wrote {each}")
    if any(each.suffix == ".service" for each in written):
        _warn(path)
    wanted = [(place_of(ref, settings), ref.key) for ref in references(settings) if ref.source is SecretSource.VAULT]
    if settings.vault.auth.method is Method.KUBERNETES:
        base = manifests if _is_remote(manifests) else os.path.relpath(folder / manifests)
        listed = cluster_steps(settings.vault.address, folder, base, wanted)
    else:
        listed = steps(settings.vault.auth.method, folder, path, wanted)
    for number, step in enumerate(listed, 1):
        output.say()
        output.say(f"{output.style(f'{number}. {step.title}', bold=True)}:")
        output.say()
        for line in step.lines:
            output.say(f"    {line}")
    places = ", ".join(f"{each.place} ({each.key})" for each in settings.credentials.values())
    output.say()
    output.say(f"Then consumers read {places}.")


def _refuse(*texts: str, code: int = base.FAILED) -> NoReturn:
    for text in texts:
        output.say(f"rotate: {text}", err=True)
    sys.exit(code)


@click.command()
@click.pass_obj
def policy_command(config: str | None) -> None:
    """Print the Vault policy that the settings need, and nothing more.

    After adding a credential: rotate policy | bao policy write rotator -

    Nobody is called, unless settings leave open which mount serves a secret: then Vault is asked, with our login. Where
    it does not tell, the first part of the path is taken, and that is said.
    """
    settings = base.settings(config)

    async def main() -> int:
        from rotator.app.vault_fitness import located_if_told
        from rotator.app.vault_policy import UngrantableError, guesses, policy
        from rotator.host.cron import SystemClock

        told, why_not = await located_if_told(settings, SystemClock())
        try:
            output.block(policy(told))
        except UngrantableError as fault:
            output.say(f"rotate: {fault}", err=True)
            return base.BAD_CONFIG
        for guess in guesses(told):
            output.say(f"rotate: {why_not}; {guess}", err=True)
        return 0

    base.run(main)
