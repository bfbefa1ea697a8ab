"""Owns reading the keys that a kind declares as a msgspec struct; which kinds there are is left to providers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Protocol, TypeVar, get_args

import msgspec

from rotator.rotation.reference import SecretRef
from rotator.settings.address import address
from rotator.settings.faults import WrongValueError
from rotator.settings.secrets import secret_ref
from rotator.settings.section import Section
from rotator.settings.values import Reader, duration

S = TypeVar("S", bound=msgspec.Struct)
_ABSENT = object()


class Kind(Protocol):
    """What settings need to know of a kind."""

    @property
    def name(self) -> str: ...
    @property
    def family(self) -> str: ...
    @property
    def target(self) -> type[Any]: ...
    @property
    def options(self) -> type[Any]: ...


def own_keys(shape: type[msgspec.Struct]) -> tuple[str, ...]:
    """The keys a struct declares, as settings write them."""
    return tuple(field.encode_name for field in msgspec.structs.fields(shape))


def read_struct(section: Section, shape: type[S]) -> S | None:
    """The struct, read key by key so that every fault is found; None when there was one."""
    values: dict[str, Any] = {}
    sound, insecure = True, section.table.get("allow_insecure_http") is True
    for field in msgspec.structs.fields(shape):
        before, section.sound = section.sound, True
        reader = _url(insecure) if field.encode_name == "url" else _reader(field.type)
        value = (
            section.need(field.encode_name, reader, _ABSENT)
            if field.required
            else section.take(field.encode_name, reader, _ABSENT)
        )
        sound, section.sound = sound and section.sound, before and section.sound
        if value is not _ABSENT:
            values[field.name] = value
    if not sound:
        return None
    try:
        return shape(**values)
    except (ValueError, TypeError) as fault:
        _place(section, str(fault), values)
        return None


def written(value: msgspec.Struct) -> dict[str, Any]:
    """What differs from the kind's defaults, as plain values.

    Only this goes into a credential's policy digest: a default that a later version adds must not rotate anything.
    """
    plain = {field.encode_name: getattr(value, field.name) for field in msgspec.structs.fields(type(value))}
    defaults = {field.encode_name: field.default for field in msgspec.structs.fields(type(value))}
    kept = {key: given for key, given in plain.items() if given != defaults[key]}
    return {key: msgspec.to_builtins(given) for key, given in kept.items()}


def _reader(wanted: Any) -> Reader[Any]:
    members = {wanted, *get_args(wanted)}
    if timedelta in members:
        return duration
    if SecretRef in members:
        return secret_ref

    def read(value: object) -> Any:
        try:
            return msgspec.convert(value, wanted)
        except (msgspec.ValidationError, ValueError, TypeError) as fault:
            raise WrongValueError(_say(str(fault))) from None

    return read


def _url(insecure: bool) -> Reader[str]:
    return lambda value: address(value).over(insecure)


def _say(fault: str) -> str:
    words = {"`str`": "a string", "`int`": "a whole number", "`bool`": "true or false", "`array`": "an array"}
    for code, name in words.items():
        fault = fault.replace(code, name)
    return fault[:1].lower() + fault[1:]


def _place(section: Section, fault: str, keys: Iterable[str]) -> None:
    named = re.findall(r"[a-z_]+", fault)
    section.fault(next((key for key in keys if key in named), ""), fault)
