"""Kinds from other packages, found by their entry point.

Importing a package runs its code with our rights, so only packages that settings name are imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass
from typing import TYPE_CHECKING

import msgspec

from rotator.providers.base import Kind, TargetConfig

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "rotator.providers"
_SHARED = (
    "target_config",
    "open_target",
    "needs_minter",
)  # all kinds of a family must agree on these


class OutsideError(Exception):
    """A package offers a kind that cannot be used. The text names the package and quotes none of its texts."""


loaded: dict[str, Kind] = {}  # the kinds that settings of this process have named


def find(names: Iterable[str], built_in: Mapping[str, Kind]) -> tuple[dict[str, Kind], dict[str, str]]:
    """The kinds from other packages with these names; and what is wrong with those that cannot be used.

    An entry point has the name of its kind, or of its family of targets.
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
