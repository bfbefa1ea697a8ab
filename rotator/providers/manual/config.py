"""The options of credentials that a person supplies, and of their plain HTTP targets."""

from __future__ import annotations

import re

import msgspec

from rotator.providers.base import TargetConfig
from rotator.rotation.secret import SecretRef

_PATH = re.compile(r"/(?!/)[!-\"$-~]*")
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]*")


class ManualTargetConfig(TargetConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Anything that answers HTTP and asks for a token in a header."""


class ManualOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token that only a person can make, and end."""

    instructions: str  # where to click for a new one
    ending: str = ""  # where to click to end an old one
    probe: str  # what only the token opens
    header: str = "Authorization"
    prefix: str = "Bearer "
    identity: dict[str, str | int | bool] = {}  # fields that the probe's answer must have
    old_is_safe: bool = True  # whether an ended token may be shown to the target, to prove it dead
    control: SecretRef | None = None  # another value that the probe accepts: while it is refused, no refusal counts

    def __post_init__(self) -> None:
        if not self.instructions.strip():
            raise ValueError("instructions must not be empty: they tell a person where to click for a new token")
        if not _PATH.fullmatch(self.probe):
            raise ValueError("probe is a path on the target: it starts with one slash and holds no blanks")
        if not _HEADER.fullmatch(self.header):
            raise ValueError("header is the name of an HTTP header")
        if not self.prefix.isprintable() or not self.prefix.isascii():
            raise ValueError("prefix is plain printable text")


NON_ROTATING_OPTIONS = frozenset(
    {"instructions", "ending", "probe", "header", "prefix", "identity", "old_is_safe", "control"}
)
