"""The kinds of credentials: those built in, and those of other packages, which are found by their entry point.

Importing it is cheap: the implementation of a kind, and httpx with it, is imported when a target is opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from rotator.providers.base import Kind, Server, TargetConfig
from rotator.providers.halo_cms import HALO_CMS_KINDS
from rotator.providers.halo_itsm import APPLICATION_KINDS, open_server
from rotator.providers.manual import MANUAL_KINDS
from rotator.providers.oauth import OAUTH_KINDS

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["KINDS", "Kind", "OutsideError", "Server", "default_kind", "kind_of", "kind_on", "load_outside"]

KINDS: dict[str, Kind] = {
    **HALO_CMS_KINDS,
    # one HaloITSM may have credentials of both families, so its server has to know applications
    **{name: replace(kind, open_target=open_server) for name, kind in OAUTH_KINDS.items()},
    **APPLICATION_KINDS,
    **MANUAL_KINDS,
}
outside: dict[str, Kind] = {}  # the kinds of other packages that settings of this process have named
GROUP = "rotator.providers"  # of entry points
_SHARED = ("target_config", "open_target", "needs_minter")  # all kinds of a family must agree on these


class OutsideError(Exception):
    """A package offers a kind that cannot be used. The text names the package and quotes none of its texts."""


def default_kind(family: str) -> Kind | None:
    """The first kind of credential on this family of targets."""
    return next((kind for kind in KINDS.values() if kind.family == family), None)


def kind_of(name: str) -> Kind:
    """The kind with this name, built in or from another package that settings name. Raises KeyError."""
    return KINDS.get(name) or outside[name]


def kind_on(family: str) -> Kind:
    """Any kind of credential on this family of targets: all of them open it alike. Raises KeyError."""
    for kind in (*KINDS.values(), *outside.values()):
        if kind.family == family:
            return kind
    raise KeyError(family)


def load_outside(names: Iterable[str]) -> tuple[dict[str, Kind], dict[str, str]]:
    """The kinds of other packages with these names; and for those that cannot be used, why.

    An entry point has the name of its kind, or of its family of targets. Importing a package runs its code with our
    rights, so only packages that settings name are imported.
    """
    families = {kind.family for kind in KINDS.values()}
    asked = sorted(set(names) - KINDS.keys() - families)
    found: dict[str, Kind] = {}
    troubles: dict[str, str] = {}
    for name in asked:
        try:
            kind = _load(name)
            if kind is not None:
                _check(kind, {**KINDS, **found}, _offer(name))
                found[kind.name] = kind
        except OutsideError as trouble:
            troubles[name] = str(trouble)
    outside.update(found)
    return found, troubles


def _load(name: str) -> Kind | None:
    """The kind, or None when no package offers it. Raises OutsideError."""
    offers = _offers(name)
    if not offers:
        return None
    if len(offers) > 1:
        raise OutsideError(f"{' and '.join(map(_whose, offers))} both offer it: remove one of them")
    offer = offers[0]
    try:
        kind = offer.load()
    except Exception as fault:  # noqa: BLE001 (other people's code: whatever it raises, it cannot be used)
        raise OutsideError(f"{_whose(offer)} offers it, but cannot be imported: {type(fault).__name__}") from None
    if not isinstance(kind, Kind):
        raise OutsideError(f"{_whose(offer)} offers it, but {offer.value} is no rotator.providers.base.Kind")
    if name not in (kind.name, kind.family):
        said = f"{_whose(offer)} offers it, but {offer.value} calls itself `{kind.name}` on `{kind.family}`"
        raise OutsideError(f"{said}: name the entry point after its kind")
    return kind


def _check(kind: Kind, taken: Mapping[str, Kind], offer: EntryPoint) -> None:
    """Raise OutsideError if the kind would replace another kind or family of targets."""
    other = taken.get(kind.name)
    if other is not None and other is not kind:
        raise OutsideError(f"{_whose(offer)} offers a kind `{kind.name}`, and that name is taken")
    for sibling in taken.values():
        if sibling.family == kind.family and any(getattr(sibling, key) != getattr(kind, key) for key in _SHARED):
            text = f"{_whose(offer)} offers another sort of `{kind.family}` target than `{sibling.name}` lives on"
            raise OutsideError(f"{text}: it needs a family of its own")
    config, options = kind.target_config, kind.options
    typed = isinstance(options, type) and (is_dataclass(options) or issubclass(options, msgspec.Struct))
    if not (typed and isinstance(config, type) and issubclass(config, TargetConfig)):
        raise OutsideError(f"{_whose(offer)}: the options of `{kind.name}` are no TargetConfig and no dataclass")


def _offers(name: str) -> list[EntryPoint]:
    """One offer per package, also if a package is on the path twice."""
    from importlib.metadata import entry_points  # only here: most settings name no such kind

    offers = {_whose(offer): offer for offer in entry_points(group=GROUP, name=name)}
    return [offers[whose] for whose in sorted(offers)]


def _offer(name: str) -> EntryPoint:
    return _offers(name)[0]


def _whose(offer: EntryPoint) -> str:
    return f"the package {offer.dist.name} {offer.dist.version}" if offer.dist else "a package"
