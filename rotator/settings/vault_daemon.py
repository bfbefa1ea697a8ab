"""The sections [vault] and [daemon]."""

from __future__ import annotations

import re
import socket
from datetime import timedelta

from rotator.settings.addresses import address, check_route, read_proxy
from rotator.settings.model import DaemonConfig, LogLevel, Method, VaultAuth, VaultConfig
from rotator.settings.parsers import WrongValueError, file, flag, one_of, place, span, text, vault_path, whole, word
from rotator.settings.secret_files import local_secret_ref, proxy_secret_ref
from rotator.settings.table_reader import Section

SOCKET = "/run/rotator/control.sock"
_SECOND, _HOUR = timedelta(seconds=1), timedelta(hours=1)
_KUBERNETES_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105 - where a pod finds it
_PREFIX = re.compile(r"[a-z](?:[a-z0-9-]{0,18}[a-z0-9])?")
# The keys that each login needs and allows in [vault.auth].
_NEEDS = {
    Method.TOKEN: ("token",),
    Method.APPROLE: ("role_id", "secret_id"),
    Method.KUBERNETES: ("role",),
    Method.JWT: ("role", "token"),
    Method.CERT: ("cert_file", "key_file"),
}
_KNOWS = {Method.KUBERNETES: ("token",), Method.CERT: ("role",)}


def read_vault(section: Section) -> VaultConfig:
    """The [vault] section. Faults are recorded, and placeholders stand for missing values."""
    insecure = section.take("allow_insecure_http", flag, False)
    url = section.need("address", lambda value: address(value).over(insecure), "", '"https://vault.example:8200"')
    auth = section.inner("auth")
    if auth is None and not section.has("auth"):
        section.fault("", 'the login is missing; write [vault.auth] with method = "approle" (or another) below')
    vault = VaultConfig(
        address=url,
        auth=_read_auth(auth) if auth else VaultAuth(Method.TOKEN, ""),
        namespace=section.take("namespace", _namespace, ""),
        mount=section.take("mount", vault_path, "secret"),
        prefix=section.take("prefix", vault_path, "rotator"),
        mounts=section.take("mounts", _mounts, ()),
        ca_file=section.take("ca_file", file, None),
        allow_insecure_http=insecure,
        connect_timeout=section.take("connect_timeout", span(_SECOND, _HOUR / 12), timedelta(seconds=3)),
        read_timeout=section.take("read_timeout", span(_SECOND, _HOUR / 12), timedelta(seconds=5)),
        proxy=read_proxy(section, proxy_secret_ref),
    )
    check_route(section, vault.address, vault.proxy, insecure=insecure)
    section.close(auth)
    section.finish()
    return vault


def _read_auth(section: Section) -> VaultAuth:
    method = section.need("method", one_of(Method), Method.TOKEN, '"approle"')
    said = section.has("method") and section.sound
    for key in ("role", "role_id", "secret_id", "token", "cert_file", "key_file"):
        if said and section.has(key) and key not in (*_NEEDS[method], *_KNOWS.get(method, ())):
            section.fault(key, f"does not belong to method `{method}`, which takes {', '.join(_NEEDS[method])}")
        if said and not section.has(key) and key in _NEEDS[method]:
            section.fault("", f"method `{method}` needs `{key}`")
    default_token = local_secret_ref({"file": _KUBERNETES_TOKEN}) if method is Method.KUBERNETES else None
    return VaultAuth(
        method=method,
        mount=section.take("mount", _auth_mount, str(method)),
        role=section.take("role", text, ""),
        role_id=section.take("role_id", text, ""),
        secret_id=section.take("secret_id", local_secret_ref, None),
        token=section.take("token", local_secret_ref, default_token),
        cert_file=section.take("cert_file", file, ""),
        key_file=section.take("key_file", file, ""),
        namespace=section.take("namespace", _namespace_or_root, None),
    )


def _namespace(value: object) -> str:
    return vault_path(text(value).strip("/"))


def _namespace_or_root(value: object) -> str:
    return "" if value in ("", "root") else _namespace(value)


def _mounts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise WrongValueError('must be a list of mounts, such as ["infra/kv"]')
    return tuple(vault_path(each) for each in value)


def _auth_mount(value: object) -> str:
    path = vault_path(value)
    if path.startswith("auth/"):
        raise WrongValueError(f"leave out `auth/`: write `{path.removeprefix('auth/')}`")
    return path


def _name_prefix(value: object) -> str:
    if not _PREFIX.fullmatch(text(value)):
        raise WrongValueError(
            "must be 1 to 20 lower-case letters, digits and dashes, start with a letter and not end with a dash"
        )
    return str(value)


def read_daemon(section: Section) -> DaemonConfig:
    """The [daemon] section."""
    host = re.sub(r"[^A-Za-z0-9._-]|^[^A-Za-z0-9]+", "", socket.gethostname())[:63]
    daemon = DaemonConfig(
        instance=section.take("instance", word, host or "rotator"),
        socket=section.take("socket", _socket, SOCKET),
        in_flight=section.take("in_flight", whole(1, 256), 8),
        tick=section.take("tick", span(_SECOND, 60 * _SECOND), _SECOND),
        lease=section.take("lease", span(5 * _SECOND, _HOUR), 30 * _SECOND),
        reconcile=section.take("reconcile", span(10 * _SECOND, 24 * _HOUR), timedelta(seconds=45)),
        sweep=section.take("sweep", span(60 * _SECOND, 24 * 7 * _HOUR), _HOUR),
        probe=section.take("probe", _probe, timedelta(minutes=15)),
        drain=section.take("drain", span(_SECOND, _HOUR), 30 * _SECOND),
        name_prefix=section.take("name_prefix", _name_prefix, "rotator"),
        read_only=section.take("read_only", flag, False),
        log_level=section.take("log_level", one_of(LogLevel), LogLevel.INFO),
    )
    section.finish()
    return daemon


def _probe(value: object) -> timedelta | None:
    return None if value == "off" else span(60 * _SECOND, 24 * 7 * _HOUR)(value)


def _socket(value: object) -> str:
    path = place(value)
    if len(path.encode()) > 107:
        raise WrongValueError("is longer than the 107 bytes a unix socket's path may have")
    return path
