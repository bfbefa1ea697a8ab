"""The sections [targets.NAME], and the options that a kind declares as a dataclass."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from datetime import timedelta
from functools import cache
from typing import Any, Protocol, TypeVar, get_args, get_type_hints

import msgspec

from rotator.host.proxy import Proxy
from rotator.rotation.credential import Credential
from rotator.rotation.secret import SecretRef
from rotator.settings.addresses import address, check_route, read_proxy, username
from rotator.settings.model import Minter, Target
from rotator.settings.parsers import (
    Reader,
    WrongValueError,
    converted,
    duration,
    flag,
    quoted,
    real,
    span,
    suggest,
    text,
    whole,
)
from rotator.settings.secret_files import secret_ref
from rotator.settings.table_reader import Section
from rotator.settings.windows import window

S = TypeVar("S")
_ABSENT = object()
_ISSUER = "issuer"  # a name, and mostly an address
_FORMS = 'write {pat = {file = "/path"}}, {username = "name", password = {file = "/path"}} or {self = true}'


class KindDescription(Protocol):
    """The part of a kind that settings need."""

    @property
    def name(self) -> str: ...
    @property
    def family(self) -> str: ...
    @property
    def target_config(self) -> type[Any]: ...
    @property
    def options(self) -> type[Any]: ...
    @property
    def non_rotating_options(self) -> frozenset[str]: ...
    @property
    def validate(self) -> Callable[[Credential, Any, timedelta], str]: ...
    @property
    def needs_minter(self) -> bool: ...
    @property
    def only_expires(self) -> bool: ...
    @property
    def revokes_by_value(self) -> Callable[[Any, Any], bool]: ...
    @property
    def identifies(self) -> bool: ...
    @property
    def document_field(self) -> str: ...
    @property
    def document_field_in_transit(self) -> str: ...
    @property
    def has_cutover(self) -> Callable[[Any], bool]: ...
    @property
    def exclusive_resources(self) -> Callable[[Credential], frozenset[str]]: ...
    @property
    def default_lifetime(self) -> timedelta | None: ...
    @property
    def minimum_grace(self) -> Callable[[Any], timedelta]: ...
    @property
    def propagation_delay(self) -> Callable[[Any], timedelta]: ...
    @property
    def last_use_resolution(self) -> timedelta | None: ...
    @property
    def calls_of_rotation(self) -> int: ...
    @property
    def calls_of_proof(self) -> int: ...


@dataclass(frozen=True, slots=True)
class _Option:
    name: str
    type: Any
    default: Callable[[], object] | None  # None: it must be given


@cache  # since annotations are evaluated, which would take half the time of a load
def _options(shape: Any) -> tuple[_Option, ...]:
    if issubclass(shape, msgspec.Struct):
        return tuple(_Option(each.name, each.type, _default(each)) for each in msgspec.structs.fields(shape))
    types = get_type_hints(shape, include_extras=True)
    return tuple(_Option(each.name, types[each.name], _default(each)) for each in fields(shape))


def _default(field: msgspec.structs.FieldInfo | Field[Any]) -> Callable[[], object] | None:
    absent, factory = (MISSING, msgspec.NODEFAULT), field.default_factory
    if factory is not None and factory not in absent:
        return factory
    return None if field.default in absent else lambda: field.default


def own_options(shape: Any) -> tuple[str, ...]:
    """The names of the options that a dataclass declares."""
    return tuple(option.name for option in _options(shape))


def read_options(section: Section, shape: Callable[..., S]) -> S | None:
    """The dataclass, read option by option so that every fault is reported; None when there was one."""
    values: dict[str, Any] = {}
    before = len(section.source.fault_list.faults)
    insecure = section.table.get("allow_insecure_http") is True
    for option, inner, reader in _ways(shape):
        if inner is Proxy:
            value = read_proxy(section) or _ABSENT
        elif inner:
            value = _read_inner(section, option.name, inner)
        else:
            if option.name.endswith("url"):
                reader = _url(insecure, base=option.name == "url")
            elif option.name == _ISSUER:
                reader = _issuer
            ask = section.take if option.default else section.need
            value = ask(option.name, reader, _ABSENT)
        if value is not _ABSENT:
            values[option.name] = value
    if len(section.source.fault_list.faults) > before:
        return None
    try:
        return shape(**values)
    except (ValueError, TypeError) as fault:
        _place(section, str(fault), values)
        return None


@cache
def _ways(shape: Any) -> tuple[tuple[_Option, type[Any] | None, Reader[Any]], ...]:
    """How each option of a dataclass is read: as a table of options, or by a reader."""
    return tuple((each, _inner(each.type), _reader(each.type)) for each in _options(shape))


def _inner(wanted: Any) -> type[Any] | None:
    """The dataclass of an option that is a table of options."""
    if Proxy in get_args(wanted):
        return Proxy
    members = (each for each in (wanted, *get_args(wanted)) if isinstance(each, type) and each is not SecretRef)
    return next((each for each in members if issubclass(each, msgspec.Struct) or is_dataclass(each)), None)


def _read_inner(section: Section, key: str, shape: type[Any]) -> Any:
    part = section.inner(key)
    if part is None:
        return _ABSENT
    value = read_options(part, shape)
    section.close(part)
    return _ABSENT if value is None else value


def changed(options: Any, besides: frozenset[str]) -> dict[str, Any]:
    """The options that differ from their default, as plain values, without those named in `besides`."""
    given = ((option, getattr(options, option.name)) for option in _options(options.__class__))
    return {
        option.name: msgspec.to_builtins(value)
        for option, value in given
        if option.name not in besides and not (option.default and value == option.default())
    }


def _reader(wanted: Any) -> Reader[Any]:
    members = {wanted, *get_args(wanted)}
    if timedelta in members:
        return duration
    if SecretRef in members:
        return secret_ref

    return lambda value: converted(value, wanted)


def _url(insecure: bool, *, base: bool) -> Reader[str]:
    """An address. Only a base loses its closing slash; whether others may have a query, their kind says."""

    def read(value: object) -> str:
        url = address(value, query=not base).over(insecure)
        return url if base else text(value)

    return read


def _issuer(value: object) -> str:
    issuer = text(value)
    if issuer.startswith(("http://", "https://")):
        address(issuer)  # whether plain http may be asked, its kind says
    return issuer


def _place(section: Section, fault: str, keys: Container[str]) -> None:
    section.fault(next((word for word in re.findall(r"[a-z0-9_]+", fault) if word in keys), ""), fault)


def read_target(
    section: Section, name: str, kinds: Mapping[str, KindDescription], troubles: Mapping[str, str]
) -> Target | None:
    """One target; None when it is faulty. `troubles`: why a kind that exists cannot be used."""
    families = {kind.family: kind for kind in kinds.values()}
    example = f'"{next(iter(families), "halo-cms")}"'
    kind = section.need("kind", lambda value: _family(value, families, troubles), "", example)
    in_flight = section.take("in_flight", whole(1, 64), 2)
    settle = section.take("settle", span(timedelta(0), timedelta(minutes=10)), timedelta(seconds=10))
    hours = section.take("window", window, None)
    stop_above = section.take("stop_above", real(0.0, 1.0), 0.5)
    minter = read_minter(section) if _wants_minter(families.get(kind)) else None
    if kind not in families:
        return None  # without a kind, the other keys cannot be checked
    config = read_options(section, families[kind].target_config)
    options = own_options(families[kind].target_config)
    for url in (option for option in options if option.endswith("url") or option == _ISSUER):
        check_route(
            section,
            getattr(config, url, ""),
            config and config.proxy,
            insecure=bool(config and config.allow_insecure_http),
        )
    section.finish()
    if config is None or not section.sound:
        return None
    return Target(name, kind, config, minter, in_flight, settle, stop_above, hours)


def _wants_minter(kind: KindDescription | None) -> bool:
    return kind is None or kind.needs_minter


def _family(value: object, families: Iterable[str], troubles: Mapping[str, str]) -> str:
    family = text(value)
    if family not in families:
        absent = f"there is no kind of target {quoted(family)}, built in or installed; {suggest(family, families)}"
        raise WrongValueError(troubles.get(family, absent))
    return family


def read_minter(section: Section) -> Minter | None:
    """The `minter` of a target; None when it is absent or no table, which is reported."""
    given = section.inner("minter")
    if given is None:
        if not section.has("minter"):
            section.fault("", f"`minter` is missing, the identity that mints: {_FORMS}")
        return None
    minter = Minter(
        pat=given.take("pat", secret_ref, None),
        username=given.take("username", username, ""),
        password=given.take("password", secret_ref, None),
        self_minting=given.take("self", flag, False),
    )
    if given.sound:
        basic = given.has("username") or given.has("password")
        if [given.has("pat"), basic, given.has("self")].count(True) != 1:
            given.fault("", f"must name exactly one identity: {_FORMS}")
        elif basic and not (minter.username and minter.password):
            given.fault("", "Basic Auth needs both `username` and `password`")
        elif given.has("self") and not minter.self_minting:
            given.fault("self", f"can only be true; otherwise {_FORMS}")
    section.close(given)
    return minter
