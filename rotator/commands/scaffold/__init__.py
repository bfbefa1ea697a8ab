"""The first files of an installation: settings, the systemd unit, and the commands to type next. cli/init.py writes.

app/vault_policy.py makes the policy that goes with them. rotator.service beside this file is a copy of
systemd/rotator.service; a test compares the two.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from rotator.commands.scaffold.cluster import TOKEN, review_lines, start_lines
from rotator.rotation.credential import VaultPath
from rotator.rotation.secret import SecretRef, SecretSource
from rotator.settings import Method
from rotator.settings.files import DEFAULT

CREDSTORE = "/etc/credstore/rotator."  # before a secret's name; where systemd looks for what a unit loads
_REMARK = re.compile(r"^([^\s#].*?) {2,}# (.*)$", re.MULTILINE)
_ROLE = "token_policies=rotator token_no_default_policy=true token_ttl=30m"
_START = "ExecStart=/opt/rotator/bin/python -I -m rotator run --log json"
_AGAIN = "ExecReload=/opt/rotator/bin/python -I -m rotator reload"
_STRICT = "ProtectSystem=strict"
_HIDDEN = ("/home", "/root", "/run/user")  # by ProtectHome=yes
_LOAD = "LoadCredential=vault-secret-id:rotator.vault-secret-id"


@dataclass(frozen=True, slots=True)
class InstallationPlan:
    """Facts about the new installation."""

    vault_address: str
    namespace: str = ""
    ca_file: str = ""
    mount: str = "secret"
    auth: Method = Method.APPROLE
    kind: str = "halo-cms"  # of the target
    target: str = "blog"
    url: str = "https://blog.example"
    credential: str = "newsletter"
    path: str = "apps/newsletter/halo"


_AUTH = {
    Method.APPROLE: '{method = "approle", role_id = "rotator", secret_id = {credential = "vault-secret-id"}}',
    Method.TOKEN: '{method = "token", token = {credential = "vault-token"}}',
    Method.KUBERNETES: f'{{method = "kubernetes", role = "rotator", token = {{file = "{TOKEN}"}}}}',
    Method.JWT: '{method = "jwt", role = "rotator", token = {file = "/run/secrets/vault-jwt"}}',
    Method.CERT: '{method = "cert", role = "rotator", cert_file = "/etc/rotator/vault.pem",'
    ' key_file = "/etc/rotator/vault.key"}',
}

_HEAD = """\
# Settings of rotator, as `rotate init` wrote them. They load as they stand; look through the lines marked "<-".
# Every other key, with its default: config/rotator.toml in rotator's repository.
# After a change: {change}
#
# No secret stands in here. Secrets are referred to: {{file = "/path"}}, {{credential = "name"}} (given by systemd), or
# {{vault = "mount/path#key"}} (read with rotator's own login).

[vault]
address = {address}  # <-
mount = {mount}  # a KV version 2 engine
auth = {auth}
{more}
[status]
{status}
"""

_ON_A_HOST = {
    "change": "rotate check, then systemctl reload rotator.",
    "status": 'listen = "127.0.0.1:9464"  # a page for people, /healthz, /metrics',
}
_IN_A_POD = {
    "change": "rotate check --offline, then kubectl apply -k, which starts new pods with it.",
    "status": 'listen = "0.0.0.0:9464"  # probes and Prometheus come from outside the pod ...\n'
    "allow_remote = true  # ... and the network policy lets nobody else in",
}

_HALO = """
[targets.{target}]
kind = "halo-cms"
url = {url}  # <-
minter = {{pat = {{vault = {minter}}}}}  # a token that may hand out the roles below

[credentials.{credential}]
target = {target_value}
kind = "halo-pat"
path = {path}  # what consumers read, below the mount; the value's key is `token`
roles = ["role-template-view-posts"]  # <- what the token may do
every = "30d"  # a successor this often ...
lifetime = "90d"  # ... of tokens that would live this long
retire = {{after = "1h", quiet = "15m", deadline = "24h"}}
#        the predecessor goes an hour after publication once unused for 15 minutes, after a day in any case
"""

_OAUTH = """
[targets.{target}]
kind = "oauth"
url = {url}  # <-
# auth_url, token_url, tenant and audience are worked out from `url` as HaloITSM has them; see config/examples/ there.

[credentials.{credential}]
target = {target_value}
kind = "oauth-token"
path = {path}  # what consumers read, below the mount; the value's key is `access_token`
client_id = "the-client-id"  # <- of the application
client_secret = {{vault = {minter}}}
scopes = ["read:tickets"]  # <- what the token may do
probe = "/api/Agent/me"  # must answer to a good token, and to none else
lifetime = "1h"
fraction = 0.66  # renewed when two thirds of it are over
"""

_TEMPLATES = {"halo-cms": _HALO, "oauth": _OAUTH}


def minter(wish: InstallationPlan) -> tuple[str, str]:
    """The place of the target's minter secret in Vault: mount/path and key."""
    return f"{wish.mount}/minters/{wish.target}", "token" if wish.kind == "halo-cms" else "client_secret"


def settings_text(wish: InstallationPlan) -> str:
    """The commented settings."""
    more = [f"{key} = {_toml(value)}\n" for key, value in (("namespace", wish.namespace), ("ca_file", wish.ca_file))]
    given = [line for line, value in zip(more, (wish.namespace, wish.ca_file), strict=True) if value]
    values = {
        "address": _toml(wish.vault_address),
        "mount": _toml(wish.mount),
        "auth": _AUTH[wish.auth],
        "more": "".join(given),
        **(_IN_A_POD if wish.auth is Method.KUBERNETES else _ON_A_HOST),
        "target": _header(wish.target),
        "target_value": _toml(wish.target),
        "url": _toml(wish.url),
        "minter": _toml("#".join(minter(wish))),
        "credential": _header(wish.credential),
        "path": _toml(wish.path),
    }
    text = (_HEAD + _TEMPLATES[wish.kind]).format_map(values)
    return _REMARK.sub(lambda found: f"{found[1]:<47} # {found[2]}", text)


def _header(name: str) -> str:
    """A name for a table's header, quoted if it has a dot or slash."""
    return name if re.fullmatch(r"[a-z0-9_-]+", name) else _toml(name)


def _toml(value: str) -> str:
    """A basic string: TOML's escapes are JSON's."""
    return json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: why, and what to type."""

    title: str
    lines: tuple[str, ...]


def steps(auth: Method, folder: Path, settings: Path, wanted: Sequence[tuple[VaultPath, str]]) -> tuple[Step, ...]:
    """The next steps on a host. `wanted`: the documents in Vault that the settings refer to, and a key of each."""
    check = f"rotate {'' if settings == DEFAULT else f'-c {shlex.quote(str(settings))} '}check"
    run = f"systemctl enable --now {shlex.quote(str(folder / 'rotator.service'))}"
    start = Step("Try every right, with a token that is thrown away; then start", (check, run))
    return *_in_vault(auth, folder, wanted), start


def cluster_steps(
    vault_address: str, folder: Path, base: str, wanted: Sequence[tuple[VaultPath, str]]
) -> tuple[Step, ...]:
    """The next steps in a cluster, for an overlay in the folder. `base`: where kubectl finds config/kubernetes."""
    return (
        Step(
            "Let Vault ask the cluster who a pod is, as somebody who may do so in both",
            review_lines(vault_address, base),
        ),
        *_in_vault(Method.KUBERNETES, folder, wanted),
        Step("Start it; then try every right from inside, with a token that is thrown away", start_lines(folder)),
    )


def _in_vault(auth: Method, folder: Path, wanted: Sequence[tuple[VaultPath, str]]) -> tuple[Step, Step]:
    policy = shlex.quote(str(folder / "rotator.hcl"))
    login = Step(
        "Let it into Vault, as somebody who may (`vault` instead of `bao` will do)",
        (f"bao policy write rotator {policy}", *_LOGINS[auth]),
    )
    secrets = Step(
        "Give it what the target asks of it; paste the value and press Enter, nothing of it is shown",
        tuple(_put(*each) for each in wanted) or ("# nothing: the settings refer to no secret in Vault",),
    )
    return login, secrets


def _put(place: VaultPath, key: str) -> str:
    """A command that stores a secret without newline, and keeps it from command lines and the shell's history."""
    mount, path, name = map(shlex.quote, (*place, key))
    return f'read -rs it && printf %s "$it" | bao kv put -mount={mount} {path} {name}=-'


def _keep(name: str) -> str:
    return f"install -D -m 0400 /dev/stdin {CREDSTORE}{name}"


_LOGINS: Mapping[Method, tuple[str, ...]] = {
    Method.APPROLE: (
        "bao auth enable approle     # unless it is there",
        f"bao write auth/approle/role/rotator {_ROLE}",
        "bao write auth/approle/role/rotator/role-id role_id=rotator",
        f"bao write -f -field=secret_id auth/approle/role/rotator/secret-id | {_keep('vault-secret-id')}",
    ),
    Method.TOKEN: (
        "bao token create -orphan -policy=rotator -no-default-policy -period=24h -field=token"
        f" | {_keep('vault-token')}",
    ),
    Method.KUBERNETES: (
        "bao write auth/kubernetes/role/rotator bound_service_account_names=rotator"
        f" bound_service_account_namespaces=rotator audience=vault {_ROLE}",
    ),
    Method.JWT: (
        "bao write auth/jwt/role/rotator role_type=jwt user_claim=sub bound_audiences=vault"
        f" bound_subject=WHOM-THE-TOKEN-NAMES {_ROLE}",
        "# /run/secrets/vault-jwt: a token for the audience `vault`, kept fresh by its signer; the service reads it",
    ),
    Method.CERT: (
        f"bao write auth/cert/certs/rotator certificate=@/etc/rotator/vault.pem {_ROLE}",
        "# /etc/rotator/vault.pem and vault.key: the service, a user of its own, must be able to read them",
    ),
}


def unit_text(references: Iterable[SecretRef], python: str, settings: Path, writes: Iterable[str] = ()) -> str:
    """The unit. `references`: every secret that the settings refer to; `python`: the program that runs rotator;
    `writes`: the files that the settings have it write."""
    shipped = (resources.files("rotator.commands.scaffold") / "rotator.service").read_text(encoding="utf-8")
    asked = "" if settings == DEFAULT else f" -c {_word(str(settings))}"
    load = [f"LoadCredential={name}:rotator.{name}" for name in loaded(references)]
    folders = sorted({str(Path(each).parent) for each in writes} - {"/var/lib/rotator"})
    allowed = [f"ReadWritePaths={_word(f'-{each}')}" for each in folders if not each.startswith("/var/lib/rotator/")]
    program = f"{_word(python)} -I -m rotator{asked}"
    lines = {
        _START: [f"ExecStart={program} run --log json"],
        _AGAIN: [f"ExecReload={program} reload"],
        _STRICT: [_STRICT, *allowed],
        _LOAD: load,
    }
    return "\n".join(new for line in shipped.split("\n") for new in lines.get(line, [line]))


def loaded(references: Iterable[SecretRef]) -> tuple[str, ...]:
    """The names of the secrets that systemd provides."""
    return tuple(dict.fromkeys(each.name for each in references if each.source is SecretSource.CREDENTIAL))


def closed(path: Path) -> list[str]:
    """The folders on the way to a file that nobody but root and root's group may enter."""
    folders = [(str(each), each.stat()) for each in reversed(path.absolute().parents)]
    return [each for each, is_ in folders if is_.st_uid == 0 and not is_.st_mode & (0o011 if is_.st_gid else 0o001)]


def hidden(*paths: str) -> str:
    """The first of these files that ProtectHome hides from the unit; "" if none."""
    for path in paths:
        for each in (Path(path), Path(path).resolve()):
            if any(each.is_relative_to(home) for home in _HIDDEN):
                return str(each)
    return ""


def _word(text: str) -> str:
    """One word of a command line for systemd.service(5), which expands % and $."""
    escaped = text.replace("%", "%%").replace("$", "$$").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if set(text) & set(" \t'\"\\;") else escaped
