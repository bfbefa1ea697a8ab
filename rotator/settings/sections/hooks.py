"""The [hooks.NAME], [ping] and [tracing] sections: who is told what happened; telling them is left to app."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from datetime import timedelta
from functools import partial
from importlib.util import find_spec

from rotator.rotation.secret_ref import SecretRef
from rotator.settings.address import address
from rotator.settings.errors import WrongValueError, quoted, suggest
from rotator.settings.model import Hook, HookMoment, Ping, Tracing
from rotator.settings.parsers import file, flag, one_of, sort_of, span, text, whole
from rotator.settings.proxy import check_way, read_proxy
from rotator.settings.secret_files import secret_ref, way_secret_ref
from rotator.settings.table_reader import Section

PING = "ping"  # what the ping is called where hooks are counted
_SECOND, _MINUTE = timedelta(seconds=1), timedelta(minutes=1)
_COMMAND = '["/usr/bin/systemctl", "reload", "newsletter"]'
_FORMS = f"write command = {_COMMAND}, or url and secret"
_NEEDED = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")
_OURS_OF_URL = ("secret", "ca_file", "allow_insecure_http", "proxy")


def read_hook(section: Section, name: str, credentials: Mapping[str, object]) -> Hook:
    """One hook; faults are written down. `credentials`: the names there are."""
    known: Container[str] = () if section.source.book.partial else credentials
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
    check_way(section, hook.url, hook.proxy, insecure=insecure)
    _one_way(section)
    section.finish()
    return hook


def _one_way(section: Section) -> None:
    if section.has("command") == section.has("url"):
        section.fault("", f"a hook runs a command or calls an address, one of the two: {_FORMS}")
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
    check_way(section, ping.url, ping.proxy, insecure=insecure)
    section.finish()
    return ping


def read_tracing(section: Section) -> Tracing:
    """The [tracing] section; that it is there asks for the extra."""
    if not all(map(_installed, _NEEDED)):
        section.fault("", "needs OpenTelemetry, which is not installed here: pip install 'rotator[otel]', or remove it")
    endpoint = section.take("endpoint", lambda value: address(value).url, "")
    tracing = Tracing(endpoint, read_proxy(section, way_secret_ref))
    section.finish()
    return tracing


def endpoint(value: object, *, insecure: bool) -> str | SecretRef:
    """An address to call, or where one is kept that is itself a secret. Raises WrongValueError without repeating it."""
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
        raise WrongValueError(f"must be an array, such as {_COMMAND}: no shell reads it, nothing in it is expanded")
    words = [_argument(each) for each in _array(value, _COMMAND)]
    if not words[0].startswith("/"):
        raise WrongValueError(f"must begin with the absolute path of a program, such as {_COMMAND}")
    return tuple(words)


def _argument(value: object) -> str:
    from rotator.observe.logs.redaction import redact  # only here: most settings have no hooks

    if not isinstance(value, str) or "\0" in value:
        raise WrongValueError(f"must hold strings only, such as {_COMMAND}")
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
