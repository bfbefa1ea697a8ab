"""The sections [vault], [daemon], [status], [audit], [hooks.NAME], [ping] and [tracing]."""

from __future__ import annotations

import re
import socket
from collections.abc import Container, Iterable, Mapping
from datetime import timedelta
from functools import partial
from importlib.util import find_spec
from ipaddress import ip_address

from rotator.rotation.secret import SecretRef
from rotator.settings.addresses import address, check_route, read_proxy
from rotator.settings.model import (
    Audit,
    DaemonConfig,
    Hook,
    HookMoment,
    Listen,
    LogLevel,
    Method,
    MetricsBy,
    Ping,
    Status,
    Tracing,
    VaultAuth,
    VaultConfig,
)
from rotator.settings.parsers import (
    WrongValueError,
    file,
    flag,
    one_of,
    place,
    quoted,
    sort_of,
    span,
    suggest,
    text,
    vault_path,
    whole,
    word,
)
from rotator.settings.secret_files import local_secret_ref, proxy_secret_ref, secret_ref
from rotator.settings.table_reader import Section

SOCKET = "/run/rotator/control.sock"
_SECOND, _MINUTE, _HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
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
_LISTEN_FORMS = 'write "127.0.0.1:9464", "[::1]:9464" or "unix:/run/rotator/status.sock"'
_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<four>[0-9.]+|localhost)):(?P<port>[0-9]{1,5})")
_HOST = re.compile(
    r"(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
_LONGEST_SOCKET_PATH = 107  # bytes of a unix socket's path
PING = "ping"  # the ping's name in the metrics of hooks
_COMMAND_EXAMPLE = '["/usr/bin/systemctl", "reload", "newsletter"]'
_HOOK_FORMS = f"write command = {_COMMAND_EXAMPLE}, or url and secret"
_NEEDED = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")
_OURS_OF_URL = ("secret", "ca_file", "allow_insecure_http", "proxy")


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
        watch=section.take("watch", flag, False),
        log_level=section.take("log_level", one_of(LogLevel), LogLevel.INFO),
    )
    section.finish()
    return daemon


def _probe(value: object) -> timedelta | None:
    return None if value == "off" else span(60 * _SECOND, 24 * 7 * _HOUR)(value)


def _socket(value: object) -> str:
    path = place(value)
    if len(path.encode()) > _LONGEST_SOCKET_PATH:
        raise WrongValueError(f"is longer than the {_LONGEST_SOCKET_PATH} bytes a unix socket's path may have")
    return path


def listen(value: object) -> Listen:
    """An address to listen on. A name is refused: what it resolves to may change."""
    said = text(value)
    if said.startswith("unix:"):
        return Listen(path=_socket(said.removeprefix("unix:")))
    found = _ADDRESS.fullmatch(said)
    if found is None or not 0 < int(found["port"]) < 65536:
        raise WrongValueError(f"is no address to listen on: {_LISTEN_FORMS}")
    try:
        host = ip_address(found["six"] or found["four"].replace("localhost", "127.0.0.1"))
    except ValueError:
        raise WrongValueError(f"is no address to listen on: {_LISTEN_FORMS}") from None
    return Listen(str(host), int(found["port"]))


def read_status(section: Section) -> Status:
    """The [status] section."""
    remote = section.take("allow_remote", flag, False)
    where = section.take("listen", listen, None)
    if where and where.host and not ip_address(where.host).is_loopback and not remote:
        section.fault(
            "listen",
            "can be reached from other hosts, and whoever reaches it may look: listen on 127.0.0.1,"
            " or set allow_remote = true",
        )
    keys = section.take("jwks_listen", listen, None)  # public keys may be served at any address
    if keys is not None and keys == where:
        section.fault("jwks_listen", "is the address of `listen`; public keys have one of their own")
    hosts = section.take("hosts", _hosts, ())
    metrics = section.take("metrics", one_of(MetricsBy), MetricsBy.CREDENTIALS)
    section.finish()
    return Status(where, remote, keys, hosts, metrics)


def _hosts(value: object) -> tuple[str, ...]:
    """Host names as browsers send them: lower case, without port."""
    if not isinstance(value, list):
        raise WrongValueError(f'must be a list of names, such as ["rotator.example"], not {sort_of(value)}')
    names = tuple(text(each).lower().removesuffix(".") for each in value)
    if wrong := next((name for name in names if not _HOST.fullmatch(name)), None):
        raise WrongValueError(f"{quoted(wrong)} is no host name: write it without scheme and port")
    return names


def read_audit(section: Section) -> Audit:
    """The [audit] section."""
    audit = Audit(
        file=section.take("file", file, ""),
        required=section.take("required", flag, False),
        sync=section.take("sync", flag, True),
    )
    if audit.required and not section.has("file"):
        section.fault("required", 'needs a file to write to; add file = "/var/lib/rotator/receipts.jsonl"')
    section.finish()
    return audit


def read_hook(section: Section, name: str, credentials: Mapping[str, object]) -> Hook:
    """One hook. `credentials`: the names of all credentials."""
    known: Container[str] = () if section.source.fault_list.partial else credentials
    if name == PING:
        section.fault("", "`ping` is what the dead-man ping is called; choose another name")
    insecure = section.take("allow_insecure_http", flag, False)
    hook = Hook(
        name=name,
        on=section.need("on", _moments, (), '["published", "failed"]'),
        command=section.take("command", _command, ()),
        url=section.take("url", partial(endpoint, insecure=insecure), ""),
        secret=section.take("secret", secret_ref, None),
        ca_file=section.take("ca_file", file, None),
        allow_insecure_http=insecure,
        credentials=section.take("credentials", lambda value: _names(value, known, credentials), ()),
        labels=section.take("labels", _labels, {}),
        timeout=section.take("timeout", span(_SECOND, 10 * _MINUTE), 10 * _SECOND),
        attempts=section.take("attempts", whole(1, 10), 3),
        proxy=read_proxy(section),
    )
    check_route(section, hook.url, hook.proxy, insecure=insecure)
    _one_way(section)
    section.finish()
    return hook


def _one_way(section: Section) -> None:
    if section.has("command") == section.has("url"):
        section.fault("", f"a hook runs a command or calls an address, one of the two: {_HOOK_FORMS}")
    elif section.has("url") and not section.has("secret"):
        section.fault("", 'the secret that signs the calls is missing; write secret = {file = "/run/secrets/name"}')
    for key in _OURS_OF_URL:
        if section.has("command") and not section.has("url") and section.has(key):
            section.fault(key, "goes with `url` only; a command is never told a secret")


def read_ping(section: Section) -> Ping:
    """The [ping] section."""
    insecure = section.take("allow_insecure_http", flag, False)
    ping = Ping(
        url=section.need(
            "url", partial(endpoint, insecure=insecure), "", '"https://…" or {file = "/run/secrets/ping"}'
        ),
        every=section.take("every", span(10 * _SECOND, 60 * _MINUTE), _MINUTE),
        ca_file=section.take("ca_file", file, None),
        allow_insecure_http=insecure,
        proxy=read_proxy(section),
    )
    check_route(section, ping.url, ping.proxy, insecure=insecure)
    section.finish()
    return ping


def read_tracing(section: Section) -> Tracing:
    """The [tracing] section. Its presence requires the extra `otel`."""
    if not all(map(_installed, _NEEDED)):
        section.fault("", "needs OpenTelemetry, which is not installed here: pip install 'rotator[otel]', or remove it")
    endpoint = section.take("endpoint", lambda value: address(value).url, "")
    tracing = Tracing(endpoint, read_proxy(section, proxy_secret_ref))
    section.finish()
    return tracing


def endpoint(value: object, *, insecure: bool) -> str | SecretRef:
    """An address to call, or a reference to a secret one. Raises WrongValueError without repeating the value."""
    if isinstance(value, dict):
        return secret_ref(value)
    url = text(value)
    if set("?#") & set(url):
        raise WrongValueError(
            "must end before any `?` or `#`: what stands there may be a secret, so refer to the whole address,"
            ' such as {file = "/run/secrets/hook-url"}'
        )
    address(url).over(insecure)
    return url  # as it is written: a slash at the end may matter


def _moments(value: object) -> tuple[HookMoment, ...]:
    return tuple(dict.fromkeys(one_of(HookMoment)(each) for each in _array(value, '["published", "failed"]')))


def _command(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        raise WrongValueError(
            f"must be an array, such as {_COMMAND_EXAMPLE}: no shell reads it, nothing in it is expanded"
        )
    words = [_argument(each) for each in _array(value, _COMMAND_EXAMPLE)]
    if not words[0].startswith("/"):
        raise WrongValueError(f"must begin with the absolute path of a program, such as {_COMMAND_EXAMPLE}")
    return tuple(words)


def _argument(value: object) -> str:
    from rotator.observe.logs.redaction import redact  # only here: most settings have no hooks

    if not isinstance(value, str) or "\0" in value:
        raise WrongValueError(f"must hold strings only, such as {_COMMAND_EXAMPLE}")
    if redact(value) != value:
        raise WrongValueError("an argument looks like a secret, and everybody on the host can read arguments")
    return value


def _names(value: object, known: Container[str], credentials: Iterable[str]) -> tuple[str, ...]:
    names = [text(each) for each in _array(value, '["newsletter"]')]
    for name in names:
        if known and name not in known:
            raise WrongValueError(f"there is no credential {quoted(name)}; {suggest(name, credentials)}")
    return tuple(names)


def _labels(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise WrongValueError('must be a table of strings such as {team = "web"}')
    return dict(value)


def _array(value: object, example: str) -> list[object]:
    if not isinstance(value, list):
        raise WrongValueError(f"must be an array such as {example}, not {sort_of(value)}")
    if not value:
        raise WrongValueError(f"must not be empty; write {example}")
    return value


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
