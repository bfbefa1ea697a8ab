"""The first files of an installation: settings that load as they stand, and the unit. Pure; writing is cli's.

The policy that goes with them is made in app/vault_policy.py.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from rotator.settings import Method

CREDSTORE = "/etc/credstore/rotator."  # before a secret's name; where systemd looks for what a unit loads
_REMARK = re.compile(r"^([^\s#].*?) {2,}# (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class InstallationPlan:
    """What is known of the installation to be."""

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
    Method.KUBERNETES: '{method = "kubernetes", role = "rotator"}',
    Method.JWT: '{method = "jwt", role = "rotator", token = {file = "/run/secrets/vault-jwt"}}',
    Method.CERT: '{method = "cert", role = "rotator", cert_file = "/etc/rotator/vault.pem",'
    ' key_file = "/etc/rotator/vault.key"}',
}

_HEAD = """\
# Settings of rotator, as `rotate init` wrote them. They load as they stand; look through the lines marked "<-".
# Every other key, with its default: config/rotator.toml in rotator's repository.
# After a change: rotate check, then systemctl reload rotator.
#
# No secret stands in here. Secrets are referred to: {{file = "/path"}}, {{credential = "name"}} (given by systemd), or
# {{vault = "mount/path#key"}} (read with rotator's own login).

[vault]
address = {address}  # <-
mount = {mount}  # a KV version 2 engine
auth = {auth}
{more}
[status]
listen = "127.0.0.1:9464"  # a page for people, /healthz, /metrics
"""

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
    """Where in Vault the target's own secret is looked for: mount/path and key."""
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
    """A name in a table's header; with a dot or a slash in it, it is quoted."""
    return name if re.fullmatch(r"[a-z0-9_-]+", name) else _toml(name)


def _toml(value: str) -> str:
    """A basic string: TOML's escapes are JSON's."""
    return json.dumps(value, ensure_ascii=False)
