"""The list of kinds of credentials.

Importing it is cheap: the implementation of a kind, and httpx with it, is imported when a target is opened.
"""

from __future__ import annotations

from dataclasses import replace

from rotator.providers import plugins
from rotator.providers.base import Kind, Server
from rotator.providers.halo_cms import HALO_CMS_KINDS
from rotator.providers.halo_itsm import APPLICATION_KINDS, open_server
from rotator.providers.manual import MANUAL_KINDS
from rotator.providers.oauth import OAUTH_KINDS

__all__ = ["KINDS", "Kind", "Server", "default_kind", "kind_of"]

KINDS: dict[str, Kind] = {
    **HALO_CMS_KINDS,
    # one HaloITSM may have credentials of both families, so its server has to know applications
    **{name: replace(kind, open_target=open_server) for name, kind in OAUTH_KINDS.items()},
    **APPLICATION_KINDS,
    **MANUAL_KINDS,
}


def default_kind(family: str) -> Kind | None:
    """The first kind of credential on this family of targets."""
    return next((kind for kind in KINDS.values() if kind.family == family), None)


def kind_of(name: str) -> Kind:
    """The kind with this name, built in or from another package that settings name. Raises KeyError."""
    return KINDS.get(name) or plugins.loaded[name]
