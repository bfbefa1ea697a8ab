"""Kinds from other packages: found by their entry point, imported only when settings name them.

What a kind is, is base.py's. Importing a package runs its code with our rights, so nobody is imported for being there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from rotator.providers.base import Kind
from rotator.providers.config import TargetConfig

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "rotator.providers"
_SHARED = (
    "target_config",
    "open_target",
    "needs_minter",
)  # what decides how a target is read and opened: one answer for each family


class OutsideError(Exception):
    """A package offers a kind that cannot be used; the text names the package, and quotes none of its own."""


loaded: dict[str, Kind] = {}  # what settings of this process have named, by the kind's name


def find(names: Iterable[str], built_in: Mapping[str, Kind]) -> tuple[dict[str, Kind], dict[str, str]]:
    """The kinds that these names, which are not built in, stand for; and what is wrong with the others that exist.

    An entry point bears the name of its kind, or of the family of targets that it lives on.
    """
    families = {kind.family for kind in built_in.values()}
    asked = sorted(set(names) - built_in.keys() - families)
    found: dict[str, Kind] = {}
    troubles: dict[str, str] = {}
    for name in asked:
        try:
            kind = _load(name)
            if kind is not None:
                _check(kind, {**built_in, **found}, _offer(name))
                found[kind.name] = kind
        except OutsideError as trouble:
            troubles[name] = str(trouble)
    loaded.update(found)
    return found, troubles


def _load(name: str) -> Kind | None:
    """None when nobody offers it. Raises OutsideError."""
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
    """Raises OutsideError when it would stand in for a kind, or a family of targets, that is there already."""
    other = taken.get(kind.name)
    if other is not None and other is not kind:
        raise OutsideError(f"{_whose(offer)} offers a kind `{kind.name}`, and that name is taken")
    for sibling in taken.values():
        if sibling.family == kind.family and any(getattr(sibling, key) != getattr(kind, key) for key in _SHARED):
            text = f"{_whose(offer)} offers another sort of `{kind.family}` target than `{sibling.name}` lives on"
            raise OutsideError(f"{text}: it needs a family of its own")
    shapes = isinstance(kind.target_config, type) and isinstance(kind.options, type)
    if not (shapes and issubclass(kind.target_config, TargetConfig) and issubclass(kind.options, msgspec.Struct)):
        raise OutsideError(
            f"{_whose(offer)}: the settings keys of `{kind.name}` are no TargetConfig and msgspec.Struct"
        )


def _offers(name: str) -> list[EntryPoint]:
    """One of each package: a package that is found twice on the path is still one."""
    from importlib.metadata import entry_points  # only here: most settings name no such kind

    offers = {_whose(offer): offer for offer in entry_points(group=GROUP, name=name)}
    return [offers[whose] for whose in sorted(offers)]


def _offer(name: str) -> EntryPoint:
    return _offers(name)[0]


def _whose(offer: EntryPoint) -> str:
    return f"the package {offer.dist.name} {offer.dist.version}" if offer.dist else "a package"
