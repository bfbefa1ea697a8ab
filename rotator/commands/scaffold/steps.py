"""What to type once the first files are there, for each way into Vault."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rotator.commands.scaffold import CREDSTORE
from rotator.rotation.credential import VaultPath
from rotator.settings import Method
from rotator.settings.files import DEFAULT

_ROLE = "token_policies=rotator token_no_default_policy=true token_ttl=30m"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: why, and what to type."""

    title: str
    lines: tuple[str, ...]


def steps(auth: Method, folder: Path, settings: Path, wanted: Sequence[tuple[VaultPath, str]]) -> tuple[Step, ...]:
    """The next three. `wanted`: the documents in Vault that the settings refer to, and a key of each."""
    policy = shlex.quote(str(folder / "rotator.hcl"))
    chosen = "" if settings == DEFAULT else f"-c {shlex.quote(str(settings))} "
    login = Step(
        "Let it into Vault, as somebody who may (`vault` instead of `bao` will do)",
        (f"bao policy write rotator {policy}", *_LOGINS[auth]),
    )
    secrets = Step(
        "Give it what the target asks of it; paste the value and press Enter, nothing of it is shown",
        tuple(_put(*each) for each in wanted) or ("# nothing: the settings refer to no secret in Vault",),
    )
    check = f"rotate {chosen}check"
    unit = shlex.quote(str(folder / "rotator.service"))
    cluster = "kubectl apply -k config/kubernetes     # in rotator's repository"
    run = cluster if auth is Method.KUBERNETES else f"systemctl enable --now {unit}"
    return login, secrets, Step("Try every right, with a token that is thrown away; then start", (check, run))


def _put(place: VaultPath, key: str) -> str:
    """Without the line's end, and neither on a command line nor in the shell's history."""
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
