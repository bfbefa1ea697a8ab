"""The options of Halo CMS sites and of their personal access tokens."""

from __future__ import annotations

import re
from datetime import timedelta

import msgspec

from rotator.providers.base import TargetConfig

_VERSION = re.compile(r"\d+\.\d+(\.\d+)?")
_HALO_ROLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")
LAST_USE_STEP = timedelta(minutes=1)  # Halo CMS records a use at most once a minute


class HaloCmsTargetConfig(TargetConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Halo CMS site."""

    version: str = "auto"  # of the server, when known: 2.20.19 and later keep the names we choose
    keep: timedelta = timedelta(hours=24)  # how long revoked records are kept, so that a late mint finds its name taken
    api_group: str = "uc.api.security.halo.run"  # before 2.17: api.security.halo.run
    username: str | None = None  # the user of the tokens; with Basic Auth, the minter's name

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.version != "auto" and not _VERSION.fullmatch(self.version):
            raise ValueError('version is "auto" or a number such as "2.26.0"')
        if self.keep < timedelta(0):
            raise ValueError("keep must not be negative")
        if not re.fullmatch(r"[a-z0-9.]+", self.api_group):
            raise ValueError("api_group is a dotted lower-case name")

    @property
    def keeps_names(self) -> bool | None:
        """Whether a chosen metadata.name survives a mint (since 2.20.19); None: not known."""
        return None if self.version == "auto" else tuple(map(int, self.version.split("."))) >= (2, 20, 19)


class HaloPatOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Halo personal access token."""

    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()  # stored and shown by Halo (to 2.26.0), enforced nowhere
    probe: str | None = None  # a path that answers 2xx only to a token with the wanted roles
    description: str = ""  # shown in Halo's console, before our marker

    def __post_init__(self) -> None:
        if self.probe is not None and not re.fullmatch(r"/(?!/)[!-~]*", self.probe):
            raise ValueError("probe is a path on the target: it starts with one slash and holds no blanks")
        if self.probe is not None and "#" in self.probe:
            raise ValueError("probe must not have a fragment")
        if unfit := [role for role in self.roles if not _HALO_ROLE.fullmatch(role)]:
            raise ValueError(f"not the name of a role: {unfit[0]!r}")
