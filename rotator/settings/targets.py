"""The sections [targets.NAME]. Address, timeouts and request budget are declared by the target's kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from rotator.settings.addresses import check_route
from rotator.settings.errors import WrongValueError, quoted, suggest
from rotator.settings.kind_options import KindDescription, own_options, read_struct
from rotator.settings.model import Minter, Target
from rotator.settings.parsers import flag, span, text, whole
from rotator.settings.secret_files import secret_ref
from rotator.settings.table_reader import Section

_FORMS = 'write {pat = {file = "/path"}}, {username = "name", password = {file = "/path"}} or {self = true}'


def read_target(
    section: Section, name: str, kinds: Mapping[str, KindDescription], troubles: Mapping[str, str]
) -> Target | None:
    """One target; None when it is faulty. `troubles`: why a kind that exists cannot be used."""
    families = {kind.family: kind for kind in kinds.values()}
    example = f'"{next(iter(families), "halo-cms")}"'
    kind = section.need("kind", lambda value: _family(value, families, troubles), "", example)
    in_flight = section.take("in_flight", whole(1, 64), 2)
    settle = section.take("settle", span(timedelta(0), timedelta(minutes=10)), timedelta(seconds=10))
    minter = read_minter(section) if _wants_minter(families.get(kind)) else None
    if kind not in families:
        return None  # without a kind, the other keys cannot be checked
    config = read_struct(section, families[kind].target_config)
    for url in (option for option in own_options(families[kind].target_config) if option.endswith("url")):
        check_route(
            section,
            getattr(config, url, ""),
            config and config.proxy,
            insecure=bool(config and config.allow_insecure_http),
        )
    section.finish()
    if config is None or not section.sound:
        return None
    return Target(name, kind, config, minter, in_flight, settle)


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
        username=given.take("username", _username, ""),
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


def _username(value: object) -> str:
    name = text(value)
    if ":" in name:
        raise WrongValueError("must not contain a colon: Basic Auth (RFC 7617) cannot carry it")
    return name
